"""Images from files: every mode and size becomes RGB of one size, in a fixed order, and damage is named."""

import sys

import numpy as np
import pytest

from autograd_cnn.data import Dataset, load_folder, read_image

Image = pytest.importorskip("PIL.Image")


def save(path, colour=(200, 100, 50), size=(32, 32), mode="RGB", **options):
    """Write an image of one colour; `size` is (width, height), as Pillow has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).convert(mode).save(path, **options)
    return path


@pytest.fixture
def flowers(tmp_path):
    """Two classes of ten images; the green of each image is its number, and a rose is red."""
    for label, name in ((1, "rose"), (0, "daisy")):
        for number in range(10):
            save(tmp_path / "flowers" / name / f"{number:02}.png", (255 * label, number, 0))
    return tmp_path / "flowers"


def numbers(images):
    return images[:, 0, 0, 1].tolist()


def test_folders_are_classes_and_a_share_is_held_out(flowers):
    data = load_folder(flowers, test=0.3)
    assert isinstance(data, Dataset) and data.name == "flowers" and data.classes == ("daisy", "rose")
    assert data.train_images.shape == (14, 32, 32, 3) and data.test_images.shape == (6, 32, 32, 3)
    for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
        np.testing.assert_array_equal(images[:, 5, 5, 0], 255 * labels)
    for label in range(2):
        train, test = (
            numbers(images[labels == label])
            for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels))
        )
        assert sorted(train + test) == list(range(10)) and train == sorted(train) and test == sorted(test)
    np.testing.assert_array_equal(load_folder(str(flowers), test=0.3).test_images, data.test_images)
    assert (load_folder(flowers, test=0.3, seed=1).test_images != data.test_images).any()


def test_train_and_test_are_taken_as_they_are(flowers, tmp_path):
    (tmp_path / "split").mkdir()
    flowers.rename(tmp_path / "split" / "train")
    for name in ("daisy", "rose"):
        save(tmp_path / "split" / "test" / name / "a.jpg", (0, 77, 0), quality=100, subsampling=0)
    data = load_folder(tmp_path / "split")
    assert len(data.train_images) == 20 and data.train_labels.tolist() == [0] * 10 + [1] * 10
    assert numbers(data.train_images) == list(range(10)) * 2
    assert data.test_labels.tolist() == [0, 1] and abs(data.test_images[0, 9, 9].astype(int) - (0, 77, 0)).max() < 3


def test_other_files_are_passed_over_and_folders_inside_are_searched(flowers):
    (flowers / "rose" / "notes.txt").write_text("none")
    (flowers / "README.md").write_text("none")
    (flowers / ".git").mkdir()
    save(flowers / "rose" / ".hidden.png")
    save(flowers / "rose" / ".cache" / "a.png")
    save(flowers / "rose" / "more" / "B.PNG", (255, 99, 0))
    data = load_folder(flowers)
    assert data.classes == ("daisy", "rose")
    assert 99 in numbers(np.concatenate([data.train_images, data.test_images]))
    assert len(data.train_images) + len(data.test_images) == 21


def test_every_damaged_file_is_named_at_once(flowers):
    cut = flowers / "daisy" / "03.png"
    cut.write_bytes(cut.read_bytes()[:40])
    (flowers / "rose" / "07.png").write_bytes(b"<html>")
    (flowers / "tulip").mkdir()
    with pytest.raises(ValueError) as caught:
        load_folder(flowers)
    first, *lines = str(caught.value).split("\n")
    assert first == "load_folder: remove or replace" and len(lines) == 3
    assert lines[0].startswith(f"  {flowers / 'tulip'}: has no image (.bmp, ")
    assert lines[1].startswith(f"  {cut}: not a readable image (")
    assert lines[2].startswith(f"  {flowers / 'rose' / '07.png'}: not a readable image (cannot identify")
    for number in range(10):
        (flowers / "rose" / f"{number:02}.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"\n  and 2 more$"):
        load_folder(flowers)


def test_a_folder_of_another_form_is_refused(flowers, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist$"):
        load_folder(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="00.png is a file$"):
        load_folder(flowers / "rose" / "00.png")
    with pytest.raises(ValueError, match=r"rose has no folder; want one for each class, such as .*cat$"):
        load_folder(flowers / "rose")
    save(tmp_path / "half" / "train" / "cat" / "a.png")
    with pytest.raises(ValueError, match="half has train/, but not both train/ and test/$"):
        load_folder(tmp_path / "half")
    save(tmp_path / "half" / "test" / "dog" / "a.png")
    with pytest.raises(ValueError, match=r"test.dog is a class that .*train lacks$"):
        load_folder(tmp_path / "half")


def test_without_pillow_the_error_has_the_install_line(flowers, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r'^reading images needs Pillow: pip install "autograd_cnn\[images\]"$'):
        load_folder(flowers)


# One image


@pytest.mark.parametrize(
    ("mode", "ending", "colour"),
    [
        ("RGB", "png", (200, 100, 50)),
        ("RGB", "bmp", (200, 100, 50)),
        ("RGBA", "png", (200, 100, 50)),
        ("L", "png", (124, 124, 124)),
        ("1", "png", (255, 255, 255)),
        ("P", "gif", None),
        ("CMYK", "jpg", None),
        ("CMYK", "tiff", None),
        ("LA", "png", (124, 124, 124)),
    ],
)
def test_any_mode_becomes_rgb(tmp_path, mode, ending, colour):
    file = save(tmp_path / f"a.{ending}", (255, 255, 255) if mode == "1" else (200, 100, 50), mode=mode)
    image = read_image(file, (32, 32))
    assert image.shape == (32, 32, 3) and image.dtype == np.uint8 and image.flags.writeable
    assert abs(image[16, 16].astype(int) - (colour or (200, 100, 50))).max() <= (0 if colour else 30)


def test_sixteen_bits_keep_their_brightness(tmp_path):
    levels = np.array([[0, 256 * 100], [256 * 200, 65535]], np.uint16)
    Image.fromarray(levels).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", (2, 2))[..., 1].tolist() == [[0, 100], [200, 255]]


def test_what_is_transparent_is_white(tmp_path):
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png", (8, 8)) == 255).all()
    Image.new("P", (8, 8)).save(tmp_path / "b.png", transparency=0)
    assert (read_image(tmp_path / "b.png", (8, 8)) == 255).all()


def test_a_photo_taken_sideways_is_turned_upright(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:, :4] = 255  # stored with the light half at the left: it was at the top
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    image = read_image(tmp_path / "a.png", (8, 8))
    assert (image[:4] == 255).all() and (image[4:] == 0).all()


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_another_size_is_scaled_to_cover_and_cut_in_the_middle(tmp_path, ending):
    """Three squares side by side: the middle one stays."""
    pixels = np.repeat(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8), 100, axis=1).repeat(100, axis=0)
    Image.fromarray(pixels).save(tmp_path / f"a.{ending}", **({"quality": 95} if ending == "jpg" else {}))
    image = read_image(tmp_path / f"a.{ending}", (10, 10))
    assert image.shape == (10, 10, 3)
    assert (image[:, 2:8, 1] > 240).all() and (image[:, 2:8, [0, 2]] < 15).all()
    wide = read_image(tmp_path / f"a.{ending}", (10, 30))
    assert wide.shape == (10, 30, 3) and wide[5, 5].argmax() == 0 and wide[5, 25].argmax() == 2
