"""A small CIFAR-10: both versions, 20 images in each file, with checksums that replace the published ones."""

import hashlib
import io
import pickle
import struct
import tarfile

import numpy as np
import pytest

from autograd_cnn.data import cifar10

RECORDS = 20
KEYS = "binary", "python"  # of the versions


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes as Python 2 wrote its strings, like the published batches."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_bytes(self, value):
        value = value.encode("latin-1") if isinstance(value, str) else value
        short = pickle.SHORT_BINSTRING, "<B"
        instruction, length = short if len(value) < 256 else (pickle.BINSTRING, "<i")
        self.write(instruction + struct.pack(length, len(value)) + value)

    dispatch[bytes] = dispatch[str] = save_bytes


def python2_pickle(value):
    file = io.BytesIO()
    Python2Pickler(file, protocol=2).dump(value)
    return file.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def binary_file(planes, labels):
    return np.concatenate([labels.astype(np.uint8)[:, None], planes], axis=1).tobytes()


def python_file(planes, labels):
    return python2_pickle(
        {
            "batch_label": "a batch",
            "labels": labels.tolist(),
            "data": planes,
            "filenames": [f"{k}.png" for k in range(len(labels))],
        }
    )


def pack(members):
    """A .tar.gz of (name, content) pairs or of ready-made (TarInfo, content)."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, content in members:
            member = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


class Published:
    """The data that the patched table describes: arrays, files and archives."""

    def __init__(self, monkeypatch):
        self.monkeypatch = monkeypatch
        rng = np.random.default_rng(0)
        self.planes = rng.integers(0, 256, (6, RECORDS, 3072), dtype=np.uint8)
        self.labels = np.stack([rng.permutation(np.arange(RECORDS) % 10) for _ in range(6)])
        self.files, self.archives = {}, {}
        self.replace(each=(RECORDS // 2, RECORDS // 10))
        for key, write in (("binary", binary_file), ("python", python_file)):
            self.publish(key, [write(*pair) for pair in zip(self.planes, self.labels, strict=True)])

    def replace(self, **entries):
        """Replace entries of the table."""
        self.monkeypatch.setattr(cifar10, "TABLE", cifar10.TABLE._replace(**entries))

    def version(self, key):
        return cifar10.TABLE.versions[KEYS.index(key)]

    def publish(self, key, contents, archive=None):
        """Put the checksums of six files, and of their archive or another one, into the table."""
        version = self.version(key)
        self.files[key] = dict(zip(version.files, contents, strict=True))
        if archive is None:
            archive = pack((f"{version.folder}/{name}", raw) for name, raw in self.files[key].items())
        self.archives[key] = archive
        known, algorithm = (True, "sha256") if key == "binary" else (False, "md5")
        version = version._replace(
            archive={name: (len(archive), hashlib.sha256(archive).hexdigest()) for name in version.archive},
            files={
                name: (len(raw) if known else None, hashlib.new(algorithm, raw).hexdigest())
                for name, raw in self.files[key].items()
            },
        )
        versions = list(cifar10.TABLE.versions)
        versions[KEYS.index(key)] = version
        self.replace(versions=tuple(versions))

    def write_folder(self, key, parent):
        folder = parent / self.version(key).folder
        folder.mkdir(parents=True)
        for name, raw in self.files[key].items():
            (folder / name).write_bytes(raw)
        return folder

    def write_archive(self, key, parent):
        parent.mkdir(parents=True, exist_ok=True)
        archive = parent.joinpath(*self.version(key).archive)
        archive.write_bytes(self.archives[key])
        return archive

    def check(self, dataset, name="CIFAR-10"):
        assert dataset.name == name
        for images, labels, planes, expected in (
            (dataset.train_images, dataset.train_labels, self.planes[:5], self.labels[:5]),
            (dataset.test_images, dataset.test_labels, self.planes[5:], self.labels[5:]),
        ):
            assert images.dtype == np.uint8 and labels.dtype == np.int64 and images.flags.c_contiguous
            for colour in range(3):
                plane = planes.reshape(-1, 3, 32, 32)[:, colour]
                np.testing.assert_array_equal(images[..., colour], plane)
            np.testing.assert_array_equal(labels, expected.ravel())


@pytest.fixture
def damaged(rng):
    """Yield copies of some bytes: cut off at many places, with many bytes changed, and with more bytes at the end."""

    def damaged(raw, cuts=20, flips=60, head=40):
        for k in np.unique(np.linspace(0, len(raw) - 1, cuts).astype(int)):
            yield raw[:k]
        for k in {
            *range(min(head, len(raw))),
            *range(max(0, len(raw) - 8), len(raw)),
            *rng.integers(0, len(raw), flips),
        }:
            yield raw[:k] + bytes([raw[k] ^ rng.choice([1, 16, 128, 255])]) + raw[k + 1 :]
        yield raw + b"\0"
        yield raw + raw

    return damaged


@pytest.fixture
def pack_archive():
    return pack


@pytest.fixture
def as_binary():
    return binary_file


@pytest.fixture
def as_python():
    return python_file


@pytest.fixture
def as_python2_pickle():
    return python2_pickle


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home, current directory and cache, all in `tmp_path`."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    for variable in ("AUTOGRAD_CNN_DATA", "XDG_CACHE_HOME", "LOCALAPPDATA", "KERAS_HOME"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


@pytest.fixture
def published(monkeypatch, home):
    return Published(monkeypatch)
