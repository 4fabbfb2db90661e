"""CIFAR-100 and Fashion-MNIST, hand-made and small: the layouts, the labels, the damage, the download of four files."""

import gzip
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from autograd_cnn.data import cache_dir, cifar100, fashion_mnist, load_cifar100, load_fashion_mnist, published


def publish(monkeypatch, module, files, each, **table):
    """Replace the sums and sizes of a set by those of `files`."""
    (version,) = module.TABLE.versions
    known = {name: (len(raw), hashlib.sha256(raw).hexdigest()) for name, raw in files.items()}
    version = version._replace(files=known, **table)
    monkeypatch.setattr(module, "TABLE", module.TABLE._replace(versions=(version,), each=each))
    return files


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
    return folder


# CIFAR-100


def records(rng, each):
    """Records of 3074 bytes, `each` for each class: a group, the class, the planes of red, green and blue."""
    labels = rng.permutation(np.repeat(np.arange(100), each))
    planes = rng.integers(0, 256, (len(labels), 3072), np.uint8)
    planes[:, :1024] = labels[:, None]
    return np.column_stack([labels // 5, labels, planes]).astype(np.uint8).tobytes()


@pytest.fixture
def cifar(monkeypatch, home, rng, pack_archive):
    files = {"train.bin": records(rng, 2), "test.bin": records(rng, 1)}
    archive = pack_archive([(f"cifar-100-binary/{name}", raw) for name, raw in files.items()])
    known = {"cifar-100-binary.tar.gz": (len(archive), hashlib.sha256(archive).hexdigest())}
    publish(monkeypatch, cifar100, files, (2, 1), archive=known)
    return files, archive


def test_cifar100_has_fine_labels_and_colours(cifar, home):
    files, archive = cifar
    folder = write(home / "cifar-100-binary", files)
    (home / "cifar-100-binary.tar.gz").write_bytes(archive)
    for path in (folder, home, home / "cifar-100-binary.tar.gz", folder / "train.bin"):
        data = load_cifar100(path)
        assert data.name == "CIFAR-100" and len(data.classes) == 100
        assert data.train_images.shape == (200, 32, 32, 3) and data.test_images.shape == (100, 32, 32, 3)
        for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
            np.testing.assert_array_equal(images[:, 3, 7, 0], labels)
        record = np.frombuffer(files["test.bin"], np.uint8)[2:3074].reshape(3, 32, 32)
        np.testing.assert_array_equal(data.test_images[0], record.transpose(1, 2, 0))


def test_the_fine_labels_are_in_the_order_of_the_alphabet():
    names = cifar100.CLASSES
    assert len(set(names)) == 100 and list(names) == sorted(names)
    assert (names[0], names[49], names[99]) == ("apple", "mountain", "worm")


def test_an_archive_of_cifar100_in_the_cache_is_kept_unpacked(cifar):
    files, archive = cifar
    write(cache_dir(), {"cifar-100-binary.tar.gz": archive})
    load_cifar100()
    assert {f.name: f.read_bytes() for f in (cache_dir() / "cifar-100-binary").iterdir()} == files


def test_damage_of_cifar100_is_noticed(cifar, home):
    files, _ = cifar
    folder = write(home / "cifar-100-binary", files)
    wrong = bytearray(files["test.bin"])
    wrong[1] ^= 1
    (folder / "test.bin").write_bytes(wrong)
    with pytest.raises(ValueError, match="test.bin: SHA-256 is .* as expected: the content differs. Delete it"):
        load_cifar100(home)
    assert load_cifar100(home, verify=False).name == "CIFAR-100 (unverified copy)"
    wrong[1] = 100
    (folder / "test.bin").write_bytes(wrong)
    with pytest.raises(ValueError, match=r"test.bin: label 100 at \[0\], but classes are 0\.\.99"):
        load_cifar100(home, verify=False)
    (folder / "test.bin").write_bytes(files["test.bin"][:-1])
    with pytest.raises(ValueError, match="not a whole number of records of 3,074"):
        load_cifar100(home, verify=False)


def test_files_of_the_same_name_that_nobody_asked_for_are_left_alone(cifar, home):
    """A `train.bin` in the current folder is another program's, unless its size is right."""
    files, _ = cifar
    Path("train.bin").write_bytes(b"tokens")
    with pytest.raises(FileNotFoundError, match=r"\n  \.: nothing of CIFAR-100\n"):
        load_cifar100()
    with pytest.raises(ValueError, match=r"^train\.bin: 6 bytes, want [\d,]+: cut short"):
        load_cifar100(".")
    write(Path(), files)
    assert len(load_cifar100().test_images) == 100


# Fashion-MNIST


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(header + array.astype(np.uint8).tobytes(), mtime=0)


@pytest.fixture
def clothes(rng):
    """Images and labels of training and test: two and one of each class."""
    labels = [rng.permutation(np.repeat(np.arange(10), each)) for each in (2, 1)]
    return [(rng.integers(0, 256, (len(y), 28, 28), np.uint8), y) for y in labels]


@pytest.fixture
def fashion(monkeypatch, home, clothes):
    contents = [idx(array) for part in clothes for array in part]
    return publish(
        monkeypatch, fashion_mnist, dict(zip(fashion_mnist.TABLE.versions[0].files, contents, strict=True)), (2, 1)
    )


@pytest.mark.parametrize("name", [None, 0, 1, 2, 3])
@pytest.mark.parametrize("verify", [True, False])
def test_damage_anywhere_in_a_file_is_refused_or_changes_values_only(fashion, cifar, home, damaged, name, verify):
    """Of CIFAR-100 (None), and of each of the four files of Fashion-MNIST."""
    load, files = (load_cifar100, cifar[0]) if name is None else (load_fashion_mnist, fashion)
    folder = write(home / ("cifar-100-binary" if name is None else "fashion-mnist"), files)
    file, refused = folder / list(files)[-1 if name is None else name], 0
    for raw in damaged(files[file.name]):
        file.write_bytes(raw)
        try:
            data = load(folder, verify=verify)
        except ValueError as error:
            assert str(file) in str(error)
            refused += 1
        else:
            assert not verify and data.name.endswith(" (unverified copy)")
            for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
                assert images.shape[1:] == (32, 32, 3) if name is None else (28, 28, 1)
                assert labels.shape == (len(images),) and labels.max() < len(data.classes)
    assert refused > 20


@pytest.mark.parametrize("name", ["fashion-mnist", "FashionMNIST/raw", "fashion", ""])
def test_fashion_mnist_is_found_and_decoded(fashion, clothes, home, name):
    folder = write(home / name, fashion)
    for path in (home, folder, folder / "train-images-idx3-ubyte.gz"):
        data = load_fashion_mnist(path)
        assert data.name == "Fashion-MNIST" and data.classes[9] == "Ankle boot"
        for (images, labels), (x, y) in zip(
            clothes,
            ((data.train_images, data.train_labels), (data.test_images, data.test_labels)),
            strict=True,
        ):
            np.testing.assert_array_equal(x, images[..., None])
            np.testing.assert_array_equal(y, labels)
            assert y.dtype == np.int64 and x.flags.writeable


def test_a_file_with_the_name_of_a_folder_is_passed_over(fashion, home):
    write(home, {"fashion": b"notes"})
    assert published.searched(fashion_mnist.TABLE, home) == [(home, "nothing of Fashion-MNIST")]
    with pytest.raises(FileNotFoundError, match="Fashion-MNIST not found"):
        load_fashion_mnist(home)


def test_not_found_names_the_four_files(fashion, home):
    with pytest.raises(FileNotFoundError) as caught:
        load_fashion_mnist(home / "here")
    assert str(caught.value) == (
        "Fashion-MNIST not found. Looked in:\n"
        f"  {home / 'here'}: does not exist\n"
        "download=True fetches 0 MB. By hand: put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, "
        f"t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz in {home / 'here' / 'fashion-mnist'} "
        "(https://storage.googleapis.com/tensorflow/tf-keras-datasets/, SHA-256 "
        f"{', '.join(digest for _, digest in fashion_mnist.TABLE.versions[0].files.values())}). "
        "Without Fashion-MNIST: ag.data.load_shapes()"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"P5 28 28", "not compressed by gzip"),
        (idx(np.zeros((3, 28, 28)))[:-9], "cut short, or more than 64,000,000 bytes"),
        (gzip.compress(bytes(64_000_001), 1), "cut short, or more than 64,000,000 bytes"),
        (idx(np.zeros(3)), "not an array of uint8 with 3 axes"),
        (gzip.compress(bytes([0, 0, 8, 3, 0])), "not an array of uint8 with 3 axes"),
        (
            gzip.compress(bytes([0, 0, 8, 3]) + b"\xff" * 12 + bytes(9)),
            r"has the shape \(4294967295, 4294967295, .*, want",
        ),
        (idx(np.zeros((20, 28, 27))), r"has the shape \(20, 28, 27\), want \(N, 28, 28\)"),
        (idx(np.zeros((20, 0, 28))), r"has the shape \(20, 0, 28\), want \(N, 28, 28\)"),
        (gzip.compress(bytes([0, 0, 8, 3, 255, 0, 0, 0, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes(9)), "cannot reshape"),
        (idx(np.zeros((20, 28, 28))) + b"more", "4 bytes behind its end"),
        (idx(np.zeros((20, 28, 28))) * 2, r"\d+ bytes behind its end"),
        (idx(np.zeros((3, 28, 28))), r"3 images, but labels of shape \(20,\)"),
    ],
    ids=[
        "no gzip",
        "cut short",
        "too large",
        "one axis",
        "short header",
        "huge sides",
        "narrow",
        "flat",
        "huge number",
        "more behind",
        "twice",
        "too few",
    ],
)
def test_what_is_no_idx_file_is_refused_even_unverified(fashion, home, content, message):
    folder = write(home / "fashion-mnist", fashion)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(ValueError, match=f"train-images-idx3-ubyte.gz, .*train-labels-idx1-ubyte.gz: {message}"):
        load_fashion_mnist(home, verify=False)


@pytest.fixture
def server(monkeypatch):
    """Sends `server.files`, by path, and lists what was requested."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.requests.append(self.path)
            content = self.server.files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.files, server.requests = {}, []
        server.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_four_files_are_downloaded_each_once(fashion, home, server):
    server.files = {f"/mirror/{name}": raw for name, raw in fashion.items()}
    missing = server.files.pop("/mirror/t10k-images-idx3-ubyte.gz")
    with pytest.raises(OSError, match="404"):
        load_fashion_mnist(download=True, url=server.address + "/mirror/")
    server.files["/mirror/t10k-images-idx3-ubyte.gz"] = missing
    for _ in range(2):
        assert len(load_fashion_mnist(download=True, url=server.address + "/mirror").train_images) == 20
    assert {f.name: f.read_bytes() for f in (cache_dir() / "fashion-mnist").iterdir()} == fashion
    names = [path.removeprefix("/mirror/") for path in server.requests]
    assert names == [*list(fashion)[:3], *list(fashion)[2:]]


def test_cifar100_is_downloaded_into_the_path(cifar, home, server):
    server.files["/c.tar.gz"] = cifar[1]
    assert len(load_cifar100(home, download=True, url=server.address + "/c.tar.gz").train_images) == 200
    assert (home / "cifar-100-binary.tar.gz").read_bytes() == cifar[1]


def test_the_four_files_are_downloaded_into_a_folder_of_their_own(fashion, home, server):
    server.files = {f"/{name}": raw for name, raw in fashion.items()}
    for path, folder in ((home / "a", home / "a" / "fashion-mnist"), (home / "fashion-mnist", home / "fashion-mnist")):
        load_fashion_mnist(path, download=True, url=server.address)
        assert {file.name for file in folder.iterdir()} == set(fashion)
