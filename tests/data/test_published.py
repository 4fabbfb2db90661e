"""Published images, hand-made and small: layouts, places, damage of every kind, and a server that misbehaves."""

import gzip
import hashlib
import io
import os
import pickle
import socket
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.data import cache_dir, download, published

EACH = {"CIFAR10": (10, 2), "CIFAR10_PYTHON": (10, 2), "CIFAR100": (2, 1), "FASHION_MNIST": (2, 1)}  # images of a class
LOAD = {
    "CIFAR10": ag.data.load_cifar10, "CIFAR10_PYTHON": ag.data.load_cifar10, "CIFAR100": ag.data.load_cifar100,
    "FASHION_MNIST": ag.data.load_fashion_mnist,
}  # fmt: skip


def binary(images, labels, groups=0):
    columns = [labels // 5] * groups + [labels, images.transpose(0, 3, 1, 2).reshape(len(images), -1)]
    return np.column_stack(columns).astype(np.uint8).tobytes()


def pickled(images, labels):
    planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2).reshape(len(images), -1))
    return pickle.dumps({b"data": planes, b"labels": labels.tolist(), b"batch_label": b"a batch"}, 2)


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(header + array.astype(np.uint8).tobytes(), mtime=0)


def pack(folder, files):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, raw in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(raw)
            tar.addfile(member, io.BytesIO(raw))
    return file.getvalue()


class Small:
    """A set with the names of the published one, and with sums of small files of its own in the table."""

    def __init__(self, monkeypatch, rng, name):
        self.name, self.load, self.pickled = name, LOAD[name], name == "CIFAR10_PYTHON"
        self.table = getattr(published, name)
        classes = len(self.table.classes)
        labels = [rng.permutation(np.repeat(np.arange(classes), each)) for each in EACH[name]]
        shape = (28, 28, 1) if name == "FASHION_MNIST" else (32, 32, 3)
        self.parts = [(rng.integers(0, 256, (len(y), *shape), np.uint8), y) for y in labels]
        (x, y), test = self.parts
        if name == "FASHION_MNIST":
            contents = [idx(array) for images, labels in self.parts for array in (images[..., 0], labels)]
        elif name == "CIFAR100":
            contents = [binary(*part, groups=1) for part in self.parts]
        else:
            write = pickled if self.pickled else binary
            contents = [write(*batch) for batch in [*zip(np.split(x, 5), np.split(y, 5), strict=True), test]]
        self.files = dict(zip(self.table.files, contents, strict=True))
        self.archive = pack(self.table.folder, self.files)
        self.monkeypatch = monkeypatch
        self.digest = hashlib.md5 if self.pickled else hashlib.sha256
        self.replace(
            files={n: (len(raw), self.digest(raw).hexdigest()) for n, raw in self.files.items()},
            archive={n: (len(self.archive), hashlib.sha256(self.archive).hexdigest()) for n in self.table.archive},
            each=EACH[name],
        )

    def replace(self, **entries):
        self.table = self.table._replace(**entries)
        self.monkeypatch.setattr(published, self.name, self.table)

    def write(self, parent, name=None):
        """Write the files into a folder, or the archive under its `name`."""
        folder = parent / self.table.folder
        if name:
            parent.mkdir(parents=True, exist_ok=True)
            (parent / name).write_bytes(self.archive)
            return parent / name
        folder.mkdir(parents=True)
        for file, raw in self.files.items():
            (folder / file).write_bytes(raw)
        return folder

    def check(self, data, copy=""):
        assert data.name == self.table.name + copy
        for (images, labels), x, y in zip(
            self.parts, (data.train_images, data.test_images), (data.train_labels, data.test_labels), strict=True
        ):
            assert (x.dtype, y.dtype, x.flags.c_contiguous, x.flags.writeable) == (np.uint8, np.int64, True, True)
            np.testing.assert_array_equal(x, images)
            np.testing.assert_array_equal(y, labels)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home, current directory and cache, all in `tmp_path`."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    for variable in ("AUTOGRAD_CNN_DATA", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


@pytest.fixture(params=EACH)
def small(request, monkeypatch, rng):
    return Small(monkeypatch, rng, request.param)


@pytest.fixture(params=[name for name in EACH if name != "CIFAR10_PYTHON"])
def first(request, monkeypatch, rng):
    """The version of a set that is downloaded."""
    return Small(monkeypatch, rng, request.param)


@pytest.fixture
def cifar(monkeypatch, rng):
    return Small(monkeypatch, rng, "CIFAR10")


# Finding


def test_folder_parent_and_archive_give_the_same_arrays(small, home):
    folder = small.write(home / "unpacked")
    paths = [folder, folder.parent, str(folder), folder / next(iter(small.files))]
    for name in (*small.table.archive, "images.tgz") if small.table.archive else ():
        paths.append(small.write(home / name, name))
    paths += [path.parent for path in paths[4:5]]
    for path in paths:
        small.check(small.load(path))


def test_a_damaged_copy_is_passed_over_if_there_is_another(cifar, home):
    archive = cifar.write(cache_dir(), "cifar-10-binary.tar.gz")
    archive.write_bytes(b"?")
    with pytest.raises(ValueError) as caught:
        cifar.load()
    assert str(caught.value).startswith(f"{archive}: 1 bytes, want {len(cifar.archive):,}: cut short. Delete it")
    folder = cifar.write(cache_dir())
    cifar.check(cifar.load())
    (folder / "test_batch.bin").write_bytes(b"?")
    archive.write_bytes(cifar.archive)
    cifar.check(cifar.load())
    with pytest.raises(FileNotFoundError):
        cifar.load(home / "elsewhere")


def test_the_cache_follows_the_environment(home, monkeypatch):
    assert cache_dir() == home / ".cache" / "autograd_cnn"
    monkeypatch.setenv("XDG_CACHE_HOME", "")  # as if it were not set
    assert cache_dir() == home / ".cache" / "autograd_cnn"
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/me")
    assert cache_dir() == Path("/var/cache/me/autograd_cnn")
    monkeypatch.setenv("AUTOGRAD_CNN_DATA", "~/räume und daten")
    assert cache_dir() == home / "räume und daten"


def test_not_found_says_where_and_how_and_opens_no_connection(first, home, monkeypatch):
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("opened a socket"))
    with pytest.raises(FileNotFoundError) as caught:
        first.load()
    table, cache = first.table, home / ".cache" / "autograd_cnn"
    files = table.archive or table.files
    sizes, sums = zip(*files.values(), strict=True)
    assert str(caught.value) == (
        f"{table.name} not found in {cache}\n"
        f"download=True fetches {sum(sizes) / 1e6:.0f} MB. By hand: put {', '.join(files)} in "
        f"{cache if table.archive else cache / 'fashion-mnist'} ({table.urls[0]}, SHA-256 {', '.join(sums)}). "
        f"Without {table.name}: ag.data.load_shapes()"
    )


def test_the_fine_labels_are_in_the_order_of_the_alphabet():
    names = published.CIFAR100.classes
    assert len(set(names)) == 100 and list(names) == sorted(names)


# Damage


def test_one_wrong_byte_anywhere_is_noticed(small, home):
    folder = small.write(home)
    for name, right in small.files.items():
        for place in (0, len(right) // 2, len(right) - 1):
            wrong = bytearray(right)
            wrong[place] ^= 128
            (folder / name).write_bytes(wrong)
            with pytest.raises(ValueError) as caught:
                small.load(folder)
            assert str(caught.value).startswith(f"{folder / name}: {'MD5' if small.pickled else 'SHA-256'} is ")
        (folder / name).write_bytes(right)
    small.check(small.load(folder))
    for name in small.table.archive:
        archive = small.write(home / "packed", name)
        archive.write_bytes(small.archive[:-1] + bytes([small.archive[-1] ^ 1]))
        for verify in (True, False):
            with pytest.raises(ValueError, match="the content differs. Delete it, or fetch the images again"):
                small.load(archive, verify=verify)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda raw: raw[:-10], "cut short"),
        (lambda raw: b"<!doctype html><title>Sign in</title>", "a web page"),
        (lambda raw: raw + b"more", "not what was published"),
    ],
)
def test_a_wrong_number_of_bytes_says_what_it_may_be(cifar, home, change, cause):
    archive = cifar.write(home, "cifar-10-binary.tar.gz")
    archive.write_bytes(change(cifar.archive))
    with pytest.raises(ValueError, match=f"bytes, want {len(cifar.archive):,}: {cause}. "):
        cifar.load(home)


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes in folders there")
def test_a_missing_file_and_a_pipe_are_named(cifar, home):
    folder = cifar.write(home)
    (folder / "data_batch_4.bin").unlink()
    with pytest.raises(FileNotFoundError, match="data_batch_4.bin"):
        cifar.load(home)
    os.mkfifo(folder / "data_batch_4.bin")
    with pytest.raises(ValueError, match="data_batch_4.bin: 0 bytes, want"):
        cifar.load(home)


def test_classes_are_counted(cifar, home):
    cifar.replace(each=(9, 2))
    with pytest.raises(ValueError, match=r"\[10, 10, .*\] images of the classes, want 9 of each"):
        cifar.load(cifar.write(home))


# Copies of one's own


def test_a_subset_loads_unverified_and_its_name_says_so(small, home):
    folder = small.write(home)
    *_, name = small.files
    if small.pickled:
        (folder / name).write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
        with pytest.raises(ValueError, match="test_batch: .* verify=False accepts cifar-10-batches-bin alone"):
            small.load(folder, verify=False)
        assert not Path("ran").exists()
        return
    images, labels = small.parts[1] = [array[:7] for array in small.parts[1]]
    if small.name == "FASHION_MNIST":
        (folder / "t10k-images-idx3-ubyte.gz").write_bytes(idx(images[..., 0]))
        (folder / name).write_bytes(idx(labels))
    else:
        (folder / name).write_bytes(binary(images, labels, small.name == "CIFAR100"))
    with pytest.raises(ValueError, match="if you made this copy, verify=False accepts it"):
        small.load(folder)
    small.check(small.load(folder, verify=False), " (unverified copy)")


def test_an_official_copy_keeps_its_name_without_verification(small, home):
    small.check(small.load(small.write(home), verify=False))


@pytest.mark.parametrize(
    ("name", "file", "raw", "message"),
    [
        ("CIFAR10", "test_batch.bin", b"\x01" * 3074, "test_batch.bin: 3,074 bytes are not a whole number of records"),
        ("CIFAR10", "test_batch.bin", b"", "test_batch.bin: 0 bytes are not a whole number of records"),
        ("CIFAR10", "test_batch.bin", b"\x0a" * 3073, r"test_batch.bin: label 10 at \[0\], but classes are 0\.\.9"),
        ("CIFAR100", "test.bin", b"\x64" * 3074, r"test.bin: label 100 at \[0\], but classes are 0\.\.99"),
        ("FASHION_MNIST", "images", b"P5 28 28", "labels-idx1-ubyte.gz: not compressed by gzip"),
        ("FASHION_MNIST", "images", idx(np.zeros((3, 28, 28)))[:-9], "not compressed by gzip"),
        ("FASHION_MNIST", "images", idx(np.zeros(3)), "not an array of uint8 with 3 axes"),
        (
            "FASHION_MNIST",
            "images",
            gzip.compress(bytes([0, 0, 8, 3, 0]), mtime=0),
            "not an array of uint8 with 3 axes",
        ),
        ("FASHION_MNIST", "images", idx(np.zeros((9, 28, 27))), r"the shape \(9, 28, 27\), want \(N, 28, 28\)"),
        ("FASHION_MNIST", "images", idx(np.zeros((3, 28, 28))), r"3 images, but labels of shape \(10,\)"),
        (
            "FASHION_MNIST",
            "images",
            gzip.compress(bytes([0, 0, 8, 3, 255, 0, 0, 0, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes(9), mtime=0),
            "cannot reshape",
        ),
    ],
)
def test_wrong_contents_are_refused_even_unverified(monkeypatch, rng, home, name, file, raw, message):
    small = Small(monkeypatch, rng, name)
    folder = small.write(home)
    (folder / ("t10k-images-idx3-ubyte.gz" if file == "images" else file)).write_bytes(raw)
    with pytest.raises(ValueError, match=message):
        small.load(folder, verify=False)


# Downloads


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        self.server.answers[self.path](self)

    def log_message(self, *_):
        pass


def sends(content, status=200, **headers):
    def answer(handler):
        handler.send_response(status)
        for name, value in {"Content_Length": len(content), **headers}.items():
            handler.send_header(name.replace("_", "-"), str(value))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


@pytest.fixture
def server(monkeypatch):
    """Answers each path with a function of the request handler, and lists the requested paths."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *_: None  # a client that disconnects is not an error of the server
        server.answers, server.requests = {}, []
        address = f"http://127.0.0.1:{server.server_address[1]}"
        server.answer = lambda path, answer: server.answers.update({path: answer}) or address + path
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def names_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file()) if folder.exists() else []


def fails(load, error, url, *patterns):
    """`load` raises and keeps nothing; the message has each of the patterns."""
    with pytest.raises(error) as caught:
        load(download=True, url=url)
    for pattern in patterns:
        assert pattern in str(caught.value)
    assert names_in(cache_dir()) == []


def test_a_set_is_downloaded_once_and_kept(first, server, home, capfd):
    small = first
    archived, folder = small.table.archive, "" if small.table.archive else "/mirror"
    contents = dict.fromkeys(archived, small.archive) or small.files
    for name, raw in contents.items():
        url = server.answer(f"{folder}/{name}", sends(raw, Content_Encoding="x-gzip"))
    url = url if archived else url.rpartition("/")[0]
    for path in (None, None, home / "folder", home / "other" / small.table.folder if folder else home / "a.tar.gz"):
        small.check(small.load(path, download=True, url=url))
    assert server.requests == [f"{folder}/{name}" for _ in range(3) for name in contents]
    assert names_in(cache_dir()) == sorted(contents)
    assert capfd.readouterr() == ("", "")  # no progress bar without a terminal


def test_a_damaged_archive_is_replaced_and_a_redirect_followed(cifar, server):
    damaged = cifar.write(cache_dir(), "cifar-10-binary.tar.gz")
    damaged.write_bytes(cifar.archive[:100])
    server.answer("/new", sends(cifar.archive))
    cifar.check(cifar.load(download=True, url=server.answer("/old", sends(b"moved", 301, Location="/new"))))
    assert damaged.read_bytes() == cifar.archive and server.requests == ["/old", "/new"]


def test_addresses_are_tried_in_order_and_each_failure_is_named(cifar, server):
    answers = {"/1": sends(b"gone", 404), "/2": sends(b"<html>"), "/3": sends(cifar.archive), "/4": sends(b"")}
    urls = [server.answer(*pair) for pair in answers.items()]
    cifar.replace(urls=tuple(urls))
    cifar.check(cifar.load(download=True))
    assert server.requests == ["/1", "/2", "/3"]
    with pytest.raises(ValueError) as caught:
        download.fetch(urls[:2], cache_dir() / "file", 10, "c4a3")
    first, second, last = str(caught.value).split("\n")
    assert first.startswith(f"{urls[0]}: 404") and second == f"{urls[1]}: 6 bytes, want 10: a web page"
    assert last == (
        f"Kept nothing. In a browser: download {urls[0]}, put it in {cache_dir()}, SHA-256 c4a3. Mirror: url=..."
    )


def trickles(over):
    def answer(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(2000):  # ten seconds at most
            handler.wfile.write(b"x" * 100)
            if over.wait(0.005):
                break

    return answer


@pytest.mark.parametrize("case", ["short", "long", "other", "cut off", "silent", "endless", "trickles", "404"])
def test_a_server_that_misbehaves_leaves_nothing_and_the_next_call_recovers(cifar, server, monkeypatch, case):
    archive, over = cifar.archive, threading.Event()

    def pour(handler):
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(bytes(1 << 16))

    def stall(handler):
        sends(archive[:10], Content_Length=len(archive))(handler)
        handler.wfile.flush()
        over.wait(10)  # then the connection closes, which is another error

    answer, error, text = {
        "short": (sends(archive[:-7]), ValueError, f"{len(archive) - 7:,} bytes, want {len(archive):,}: cut short"),
        "long": (sends(archive + b"more"), ValueError, "more bytes than wanted"),
        "other": (sends(archive[:-1] + bytes([archive[-1] ^ 1])), ValueError, "the content differs"),
        "cut off": (sends(archive[: len(archive) // 2], Content_Length=len(archive)), OSError, "IncompleteRead"),
        "silent": (stall, OSError, "timed out"),
        "endless": (pour, ValueError, "more bytes than wanted"),
        "trickles": (trickles(over), OSError, "too slow: "),
        "404": (sends(b"gone", 404), OSError, "404"),
    }[case]
    monkeypatch.setattr(download, "TIMEOUT", 0.1 if case == "silent" else 30)
    monkeypatch.setattr(download, "PATIENCE", -1 if case == "trickles" else 60)
    monkeypatch.setattr(download, "SLOWEST", 1e9 if case == "trickles" else 1)
    url = server.answer("/a", answer)
    try:
        fails(cifar.load, error, url, url, text, "In a browser: download")
    finally:
        over.set()
    monkeypatch.setattr(download, "PATIENCE", 60)
    server.answer("/a", sends(archive))
    cifar.check(cifar.load(download=True, url=url))


def test_no_host_and_no_such_protocol_are_os_errors(cifar):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        fails(cifar.load, OSError, f"http://127.0.0.1:{free.getsockname()[1]}/a", "In a browser: download")
    for url in ("ftp://127.0.0.1/a", "no address at all"):
        fails(cifar.load, OSError, url, url)


def test_a_full_disk_and_a_folder_that_cannot_be_made_are_named(cifar, server, monkeypatch, tmp_path):
    def full(*_):
        raise OSError(28, "No space left on device")

    url = server.answer("/a", sends(cifar.archive))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        fails(cifar.load, OSError, url, str(cache_dir()), "No space left", "AUTOGRAD_CNN_DATA or path= points")
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("AUTOGRAD_CNN_DATA", str(tmp_path / "file" / "cache"))
    fails(cifar.load, OSError, url, str(tmp_path / "file"))


def test_a_download_without_requests_names_the_cure(monkeypatch, cifar, server):
    monkeypatch.setitem(sys.modules, "requests", None)
    message = r"^a download needs requests \(.*\): .* pip install 'autograd_cnn\[download\]'$"
    with pytest.raises(ImportError, match=message):
        cifar.load(download=True, url=server.answer("/a", sends(cifar.archive)))
    assert server.requests == [] and names_in(cache_dir()) == []
