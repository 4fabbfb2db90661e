"""Folders of images: classes in a fixed order; damage, wrong arguments and files that cannot be read are named."""

import itertools
import os
import sys

import numpy as np
import pytest

from autograd_cnn.data import Dataset, load_folder

Image = pytest.importorskip("PIL.Image")


def save(path, colour=(200, 100, 50), **options):
    """Write an image of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 32), colour).save(path, **options)
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


@pytest.mark.parametrize(
    "names", [["Zebra", "ant"], ["10", "9"], ["a b", "a-b", "a_b"], ["Äpfel", "Zimt", "猫"], ["cat.png", "cats"]]
)
def test_classes_have_the_names_of_their_folders_in_the_order_of_the_letters(tmp_path, names):
    for label, name in enumerate(sorted(names)):
        for number in range(3):
            save(tmp_path / "set" / name / f"{number}.png", (label, 0, 0))
    data = load_folder(tmp_path / "set")
    assert data.classes == tuple(sorted(names))
    for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
        assert images[:, 5, 5, 0].tolist() == labels.tolist() and set(labels) == set(range(len(names)))


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
    for hidden in ("rose/.cache/a.png", "rose/__MACOSX/._a.png", "__MACOSX/rose/._a.png"):
        save(flowers / hidden)
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
    cure = "Remove or replace it, or leave out images that cannot be read (skip=print):"
    assert first == f"load_folder: some of this cannot be used. {cure}" and len(lines) == 3
    assert lines[0].startswith(f"  {flowers / 'tulip'}: has no image (.bmp, ")
    assert lines[1].startswith(f"  {cut}: not a readable image (")
    assert lines[2].startswith(f"  {flowers / 'rose' / '07.png'}: not a readable image (it begins like none of BMP, ")
    for number in range(10):
        (flowers / "rose" / f"{number:02}.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"\n  and 2 more$"):
        load_folder(flowers)


def test_a_folder_of_another_form_is_refused(flowers, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist$"):
        load_folder(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="00.png is a file$"):
        load_folder(flowers / "rose" / "00.png")
    with pytest.raises(TypeError, match="skip is True, want a function that gets each message, such as print$"):
        load_folder(flowers, skip=True)
    one = r"^load_folder: folders in .*rose: 0, want one for each of .*, such as .*cat\. If it is a class: .*flowers$"
    with pytest.raises(ValueError, match=one):
        load_folder(flowers / "rose")
    for here, there in (("train", "test"), ("test", "train")):
        save(tmp_path / here / here / "dog" / "a.png")
        save(tmp_path / here / here / "cat" / "a.png")
        save(tmp_path / here / there / "dog" / "a.png")
        told = rf"^load_folder: \S*{here}.cat is a class that \S*{there} lacks\. Remove it, or add it there$"
        with pytest.raises(ValueError, match=told):
            load_folder(tmp_path / here)


@pytest.mark.parametrize(("parts", "cure"), [
    (["train"], "Rename the parts .*train"),
    (["Training", "validation"], "Rename the parts train/ and test/; or load one part, .*Training"),
    (["train", "val"], "Rename the parts train/ and test/; or load one part, .*train"),
    (["eval", "other"], "Rename the parts .*eval"),
])  # fmt: skip
def test_parts_of_a_split_are_not_taken_for_classes(tmp_path, parts, cure):
    for part in parts:
        for name in ("cat", "dog"):
            for number in range(5):
                save(tmp_path / "f" / part / name / f"{number}.png")
    with pytest.raises(
        ValueError, match=rf"^load_folder: \S*f has {parts[0]}/.*, but not train/ and test/.*\. {cure}$"
    ):
        load_folder(tmp_path / "f")
    assert load_folder(tmp_path / "f" / parts[0]).classes == ("cat", "dog")
    for number in range(5):
        save(tmp_path / "flat" / parts[0] / f"{number}.png")
    with pytest.raises(ValueError, match="but not train/ and test/"):
        load_folder(tmp_path / "flat")
    for number in range(5):  # trains, and cars
        save(tmp_path / "flat" / "car" / f"{number}.png")
    assert load_folder(tmp_path / "flat").classes == tuple(sorted([parts[0], "car"]))


def test_train_and_test_may_be_in_upper_case(tmp_path):
    for part, name in itertools.product(("Train", "TEST"), ("cat", "dog")):
        save(tmp_path / "f" / part / name / "a.png")
    data = load_folder(tmp_path / "f")
    assert data.classes == ("cat", "dog") and data.test_labels.tolist() == [0, 1]


def test_without_pillow_the_error_has_the_install_line(flowers, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(
        ImportError, match=r"^reading images needs pillow \(.*\): .* -m pip install 'autograd_cnn\[images\]'$"
    ):
        load_folder(flowers)


@pytest.mark.parametrize(("options", "message"), [
    ({"size": (32, 32, 3)}, r"size is \(32, 32, 3\), want \(height, width\), such as \(32, 32\): size=\(32, 32\)$"),
    ({"size": (0, 8)}, r"size is \(0, 8\), want \(height, width\)"),
    ({"size": 32}, "size is 32, want"),
    ({"size": (32.0, 32)}, r"size is \(32\.0, 32\), want"),
    ({"test": 0}, r"test is 0, want a share in \(0, 1\)"),
    ({"test": 20}, r"test is 20, want a share in \(0, 1\)"),
])  # fmt: skip
def test_arguments_are_checked_before_any_image_is_blamed(flowers, options, message):
    (flowers / "rose" / "07.png").write_bytes(b"<html>")
    with pytest.raises(ValueError, match=f"^load_folder: {message}"):
        load_folder(flowers, **options)


@pytest.mark.skipif(sys.platform == "win32", reason="no links and named pipes in folders there")
def test_images_that_cannot_be_read_are_not_passed_over(flowers):
    """A link that leads nowhere, one in a circle, a pipe, and the formats of phones."""
    rose = flowers / "rose"
    (rose / "gone.png").symlink_to("nowhere")
    (rose / "ring.png").symlink_to("ring.png")
    os.mkfifo(rose / "pipe.png")
    (rose / "photo.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (rose / "loop").symlink_to(flowers)
    (rose / "line\nbreak \x1b[31m.png").write_bytes(b"")
    with pytest.raises(ValueError) as caught:
        load_folder(flowers)
    text = str(caught.value)
    assert text.count("\n") == 5
    for part in (
        "gone.png'",
        "ring.png'",
        f"{rose / 'pipe.png'}: not a readable image",
        f"{rose / 'photo.HEIC'}: not a readable image (HEIC, which Pillow does not read alone. Save it as JPEG: ",
        f"{rose}{os.sep}line\\nbreak \\x1b[31m.png: not a readable image (",
    ):
        assert part in text
