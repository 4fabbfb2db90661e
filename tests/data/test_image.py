"""One image: every mode, depth and orientation has the right pixels, or is refused with the cure."""

import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest

from autograd_cnn.data import read_image

Image = pytest.importorskip("PIL.Image", reason="Pillow, which reads images, is not installed")


def pixel(path, content):
    """Write bytes or an image, and return the colour in the middle as it is read."""
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content.save(path)
    image = read_image(path, (4, 4))
    assert image.shape == (4, 4, 3) and image.dtype == np.uint8 and image.flags.writeable
    return image[2, 2].tolist()


def png(bits, colour, row, clear=None, palette=None, side=4):
    """A PNG of 4 x 4 pixels: depth, kind of colour, the bytes of a row, and the chunk of the transparent colour."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    chunks = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, bits, colour, 0, 0, 0))
    chunks += chunk(b"PLTE", palette) if palette else b""
    chunks += chunk(b"tRNS", clear) if clear else b""
    return b"\x89PNG\r\n\x1a\n" + chunks + chunk(b"IDAT", zlib.compress((b"\0" + row) * 4)) + chunk(b"IEND", b"")


def pil(mode, colour, **info):
    image = Image.new(mode, (4, 4), colour)
    image.info.update(info)
    return image


RED, WHITE = [200, 100, 50], [255, 255, 255]
RIGHT = {  # of each content the colour, and the largest error of compression or of Pillow's conversion
    "RGB.png": (pil("RGB", (200, 100, 50)), RED, 0),
    "RGB.bmp": (pil("RGB", (200, 100, 50)), RED, 0),
    "RGB.ppm": (pil("RGB", (200, 100, 50)), RED, 0),
    "RGB.tif": (pil("RGB", (200, 100, 50)), RED, 0),
    "RGB.webp": (pil("RGB", (200, 100, 50)), RED, 3),
    "RGB.jpg": (pil("RGB", (200, 100, 50)), RED, 3),
    "RGBX.tif": (pil("RGBX", (200, 100, 50, 0)), RED, 0),
    "CMYK.tif": (pil("CMYK", (55, 155, 205, 0)), RED, 0),
    "CMYK.jpg": (pil("CMYK", (55, 155, 205, 0)), RED, 3),
    "P.gif": (pil("RGB", (200, 100, 50)).quantize(4), RED, 0),
    "P.png": (pil("RGB", (200, 100, 50)).quantize(4), RED, 0),
    "L.png": (pil("L", 77), [77] * 3, 0),
    "1.png": (pil("1", 1), WHITE, 0),
    # Transparency: over white
    "RGBA half.png": (pil("RGBA", (200, 100, 50, 128)), [227, 177, 152], 1),
    "RGBA clear.png": (pil("RGBA", (0, 0, 0, 0)), WHITE, 0),
    "LA clear.png": (pil("LA", (0, 0)), WHITE, 0),
    "LA half.png": (pil("LA", (77, 128)), [166] * 3, 1),
    "PA clear.tif": (pil("PA", (0, 0)), WHITE, 0),
    "P clear.png": (png(8, 3, b"\1" * 4, b"\xff\0", bytes(6)), WHITE, 0),
    "P half.png": (png(8, 3, b"\1" * 4, b"\xff\x80", bytes([9, 9, 9, 200, 100, 50])), [227, 177, 152], 1),
    "P clear.gif": (pil("P", 0, transparency=0), WHITE, 0),
    "RGB clear.png": (png(8, 2, bytes([200, 100, 50] * 4), struct.pack(">3H", 200, 100, 50)), WHITE, 0),
    "L clear.png": (png(8, 0, b"\7" * 4, b"\0\7"), WHITE, 0),
    "1 clear.png": (png(1, 0, b"\0", b"\0\0"), WHITE, 0),
    # More than 8 bits
    "16 with alpha.png": (png(16, 4, b"\x64\x01\0\0" * 4), WHITE, 0),
    "16 RGB.png": (png(16, 2, b"\xc8\1\x64\2\x32\3" * 4), RED, 0),
    "16 RGBA.png": (png(16, 6, b"\xc8\1\x64\2\x32\3\0\0" * 4), WHITE, 0),
}


@pytest.mark.parametrize("name", RIGHT)
def test_every_mode_has_the_right_colour(tmp_path, name):
    content, colour, error = RIGHT[name]
    assert np.abs(np.subtract(pixel(tmp_path / name, content), colour)).max() <= error


RANGE = r"and no file says which are black and white\. Scale them to 0\.\.255, and save them as uint8\)$"
UNKNOWN = "it begins like none of BMP, GIF, JPEG"


def odd(mode, content):
    return content, rf"its pixels have the mode {mode}, not 8 bits of grey or RGB, {RANGE}"


REFUSED = {
    "float.pfm": (b"Pf 4 4 -1.0\n" + bytes(64), ""),
    "float.tif": odd("F", pil("F", 0.5)),
    "16.png": odd("I(;16)?", png(16, 0, b"\x64\1" * 4)),
    "16 clear.png": odd("I(;16)?", png(16, 0, b"\x64\1" * 4, b"\x64\1")),
    "32.tif": odd("I", pil("I", 200)),
    "LAB.tif": odd("LAB", pil("LAB", (9, 9, 9))),
    "no pixels.ppm": (b"P6 0 0 255\n", ""),
    "no pixels.png": (png(8, 0, b"", side=0), ""),
    "huge.png": (png(8, 0, b"", side=10_752), "10,752 x 10,752 pixels, more than 100,000,000"),
    "huger.png": (png(8, 0, b"", side=65_536), "exceeds limit"),
    "cat.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n(x) run\n", UNKNOWN),
    "page.jpg": (b"<!doctype html>", UNKNOWN),
    "empty.png": (b"", UNKNOWN),
    "photo.avif": (b"\0\0\0\x18ftypavif\0\0\0\0avif", "AVIF, which Pillow does not read alone. Save it as JPEG"),
    "photo.jpg": (b"\0\0\0\x18ftypheic\0\0\0\0mif1", "HEIC, which Pillow does not read alone. Save it as JPEG"),
}


@pytest.mark.filterwarnings("ignore:Image size")
@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_certain_colours_is_refused_with_the_cure(tmp_path, monkeypatch, name):
    content, message = REFUSED[name]
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("started a program"))
    with pytest.raises(ValueError, match=rf"{name}: not a readable image \(.*{message}"):
        pixel(tmp_path / name, content)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp"])
def test_a_photo_is_turned_upright(tmp_path, orientation, ending):
    """The four corners, as a camera stores them, and where they belong."""
    upright = np.array([[10, 90], [170, 250]], np.uint8)
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.T,
        6: np.rot90(upright), 7: upright[::-1, ::-1].T, 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(stored.repeat(16, axis=0).repeat(16, axis=1))
    image.save(tmp_path / f"a.{ending}", exif=exif)
    found = read_image(tmp_path / f"a.{ending}", (32, 32))[8::16, 8::16, 0]
    assert np.abs(found.astype(int) - upright).max() <= 3


@pytest.mark.parametrize("ending", ["gif", "png", "webp", "tif", "jpg"])
def test_the_first_of_several_images_counts(tmp_path, ending):
    first, second = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    options = {"format": "MPO"} if ending == "jpg" else {}
    first.save(tmp_path / f"a.{ending}", save_all=True, append_images=[second], **options)
    red, _, blue = read_image(tmp_path / f"a.{ending}", (8, 8))[4, 4]
    assert red > 240 and blue < 15


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


@pytest.mark.parametrize("shape", [(1, 1), (1, 20_000), (20_000, 1), (3, 2)])
def test_any_proportions_will_do(tmp_path, shape):
    Image.fromarray(np.full(shape, 77, np.uint8)).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png", (7, 5)) == 77).all()


@pytest.mark.parametrize("size", [(0, 8), (8, -1), (32, 32, 3), 32, None, "ab", (8.0, 8)])
def test_a_size_that_cannot_be_is_named(tmp_path, size):
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"^read_image: size is .*, want \(height, width\), such as \(32, 32\)"):
        read_image(tmp_path / "a.png", size)
    assert read_image(tmp_path / "a.png", np.array([2, 3])).shape == (2, 3, 3)


# Pipes, devices and folders


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes and devices in folders there")
def test_pipes_devices_and_folders_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    for name in ("pipe.png", "zero.png"):
        with pytest.raises(ValueError, match=f"{name}: not a readable image"):
            read_image(tmp_path / name, (4, 4))
    (tmp_path / "ring.png").symlink_to("ring.png")
    for name, error in {"ring.png": OSError, "gone.png": FileNotFoundError, ".": IsADirectoryError}.items():
        with pytest.raises(error):
            read_image(tmp_path / name, (4, 4))


def test_names_are_printed_as_one_line_that_no_terminal_obeys(tmp_path):
    path = tmp_path / "a\n\x1b[31mb\u202e.png"
    path.write_bytes(b"")
    with pytest.raises(ValueError) as caught:
        read_image(path, (4, 4))
    assert str(caught.value).startswith(f"{tmp_path / 'a'}\\n\\x1b[31mb\\u202e.png: not a readable image (")


# Damage


KINDS = {
    "png": {}, "jpeg": {}, "gif": {}, "bmp": {}, "ppm": {}, "webp": {}, "tiff": {"compression": "raw"},
    "TIFF": {"compression": "tiff_lzw"},
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # Pillow warns of some damage
@pytest.mark.parametrize("kind", KINDS)
def test_damage_anywhere_is_refused_or_harmless(tmp_path, rng, kind):
    """Truncated at many places, and with many bytes changed, which may also be sizes of images and of tables."""
    path = tmp_path / "image"
    Image.fromarray(rng.integers(0, 256, (24, 24, 3), np.uint8)).save(path, kind, **KINDS[kind])
    whole = path.read_bytes()
    damaged = [whole[:k] for k in np.unique(np.linspace(0, len(whole) - 1, 40).astype(int))]
    for k in [*range(min(len(whole), 120)), *rng.integers(0, len(whole), 120).tolist()]:
        damaged.append(whole[:k] + bytes([whole[k] ^ int(rng.choice([1, 16, 128, 255]))]) + whole[k + 1 :])
    for content in damaged:
        path.write_bytes(content)
        try:
            found = read_image(path, (8, 8))
        except ValueError as error:
            assert "image: not a readable image (" in str(error), error
        else:
            assert found.shape == (8, 8, 3) and found.dtype == np.uint8
