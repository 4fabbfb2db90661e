"""CIFAR-10, hand-made and small: versions, places, damage of every kind, and a server that misbehaves."""

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
from autograd_cnn.data import cache_dir, cifar10

load = ag.data.load_cifar10


def binary(images, labels):
    return np.column_stack([labels, images.transpose(0, 3, 1, 2).reshape(len(images), -1)]).astype(np.uint8).tobytes()


def pickled(images, labels):
    planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2).reshape(len(images), -1))
    return pickle.dumps({b"data": planes, b"labels": labels.tolist(), b"batch_label": b"a batch"}, 2)


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
        table, self.pickled = getattr(cifar10, name), name == "PYTHON"
        self.parts = [(rng.integers(0, 256, (n, 32, 32, 3), np.uint8), np.arange(n) * 7 % 10) for n in (30, 4)]
        (x, y), test = self.parts
        batches = [*zip(np.split(x, 5), np.split(y, 5), strict=True), test]
        write, digest = (pickled, hashlib.md5) if self.pickled else (binary, hashlib.sha256)
        self.files = {name: write(*batch) for name, batch in zip(table.files, batches, strict=True)}
        self.archive = pack(table.folder, self.files)
        self.table = table._replace(
            files={name: digest(raw).hexdigest() for name, raw in self.files.items()},
            sum=hashlib.sha256(self.archive).hexdigest(),
        )
        monkeypatch.setattr(cifar10, name, self.table)
        if name == "BINARY":
            monkeypatch.setattr(cifar10, "SIZE", len(self.archive))

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
        assert data.name == "CIFAR-10" + copy and data.classes[3] == "cat"
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


@pytest.fixture(params=["BINARY", "PYTHON"])
def small(request, monkeypatch, rng):
    return Small(monkeypatch, rng, request.param)


@pytest.fixture
def cifar(monkeypatch, rng):
    return Small(monkeypatch, rng, "BINARY")


# Finding


def test_folder_parent_and_archive_give_the_same_arrays(small, home):
    folder = small.write(home / "unpacked")
    archives = [small.write(home / name, name) for name in (small.table.archive, "images.tgz")]
    for path in (folder, folder.parent, str(folder), *archives, archives[0].parent):
        small.check(load(path))
        small.check(load(path, verify=False))  # a published copy keeps its name


def test_a_damaged_copy_is_passed_over_if_there_is_another(cifar, home):
    archive = cifar.write(cache_dir(), "cifar-10-binary.tar.gz")
    archive.write_bytes(b"?")
    with pytest.raises(ValueError) as caught:
        load()
    assert str(caught.value).startswith(f"{archive}: 1 bytes have the checksum 8a8de823..., want {cifar.table.sum[:8]}")
    assert str(caught.value).endswith("Delete it, or fetch the images again with download=True (--download)")
    folder = cifar.write(cache_dir())
    cifar.check(load())
    (folder / "test_batch.bin").write_bytes(b"?")
    archive.write_bytes(cifar.archive)
    cifar.check(load())
    with pytest.raises(FileNotFoundError):
        load(home / "elsewhere")


def test_the_cache_follows_the_environment(home, monkeypatch):
    assert cache_dir() == home / ".cache" / "autograd_cnn"
    monkeypatch.setenv("XDG_CACHE_HOME", "")  # as if it were not set
    assert cache_dir() == home / ".cache" / "autograd_cnn"
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/me")
    assert cache_dir() == Path("/var/cache/me/autograd_cnn")
    monkeypatch.setenv("AUTOGRAD_CNN_DATA", "~/räume und daten")
    assert cache_dir() == home / "räume und daten"


def test_not_found_says_where_and_how_and_opens_no_connection(home, monkeypatch):
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("opened a socket"))
    cache = home / ".cache" / "autograd_cnn"
    for path, place, folder in (None, cache, cache), ("a/b.tar.gz", "a/b.tar.gz", "a"):
        with pytest.raises(FileNotFoundError) as caught:
            load(path)
        assert str(caught.value) == (
            f"CIFAR-10 not found in {place}\n"
            f"download=True (--download) fetches 170 MB. By hand: put cifar-10-binary.tar.gz in {folder} "
            f"({cifar10.URL}, SHA-256 {cifar10.BINARY.sum}). Without CIFAR-10: ag.data.load_shapes()"
        )


# Damage


def test_one_wrong_byte_anywhere_is_noticed(small, home):
    folder = small.write(home)
    for name, right in small.files.items():
        for place in (0, len(right) // 2, len(right) - 1):
            wrong = bytearray(right)
            wrong[place] ^= 128
            (folder / name).write_bytes(wrong)
            with pytest.raises(ValueError) as caught:
                load(folder)
            assert str(caught.value).startswith(f"{folder / name}: {len(right):,} bytes have the checksum ")
        (folder / name).write_bytes(right)
    small.check(load(folder))
    archive = small.write(home / "packed", small.table.archive)
    for raw, text in (
        (small.archive[:-1] + bytes([small.archive[-1] ^ 1]), f": {len(small.archive):,} bytes have the checksum "),
        (small.archive[:-10], f": {len(small.archive) - 10:,} bytes have the checksum "),
        (b" <!doctype html><title>Sign in</title>", ": 38 bytes, a web page, have the checksum "),
    ):
        archive.write_bytes(raw)
        for verify in (True, False):
            with pytest.raises(ValueError, match=text):
                load(archive, verify=verify)


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes in folders there")
def test_a_missing_file_and_a_pipe_are_named(cifar, home):
    folder = cifar.write(home)
    (folder / "data_batch_4.bin").unlink()
    with pytest.raises(FileNotFoundError, match="data_batch_4.bin"):
        load(home)
    os.mkfifo(folder / "data_batch_4.bin")
    with pytest.raises(ValueError, match="data_batch_4.bin: 0 bytes"):
        load(home)


# Copies of one's own


def test_a_subset_loads_unverified_and_its_name_says_so(cifar, home):
    folder = cifar.write(home)
    cifar.parts[1] = [array[:3] for array in cifar.parts[1]]
    (folder / "test_batch.bin").write_bytes(binary(*cifar.parts[1]))
    with pytest.raises(
        ValueError, match=r"you made this copy, verify=False \(--no-verify\) accepts cifar-10-batches-b"
    ):
        load(folder)
    cifar.check(load(folder, verify=False), " (unverified copy)")


def test_a_pickle_of_ones_own_does_not_run(monkeypatch, rng, home):
    folder = Small(monkeypatch, rng, "PYTHON").write(home)
    (folder / "test_batch").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(ValueError, match=r"test_batch: .* verify=False \(--no-verify\) accepts cifar-10-batches-bin"):
        load(folder, verify=False)
    assert not Path("ran").exists()


@pytest.mark.parametrize(("raw", "message"), [
    (b"\x01" * 3074, "test_batch.bin: 3,074 bytes are not a whole number of records"),
    (b"", "test_batch.bin: 0 bytes are not a whole number of records"),
    (b"\x0a" * 3073, r"test label 10 at \[0\], but classes are 0\.\.9"),
])  # fmt: skip
def test_wrong_contents_are_refused_even_unverified(cifar, home, raw, message):
    (cifar.write(home) / "test_batch.bin").write_bytes(raw)
    with pytest.raises(ValueError, match=message):
        load(home, verify=False)


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


def fails(url, *patterns):
    """Loading raises and keeps nothing; the message has each of the patterns."""
    with pytest.raises(OSError) as caught:
        load(download=True, url=url)
    for pattern in patterns:
        assert pattern in str(caught.value)
    assert names_in(cache_dir()) == []


def test_a_set_is_downloaded_once_and_kept(cifar, server, home, capfd, monkeypatch):
    url = server.answer("/any", sends(cifar.archive, Content_Encoding="x-gzip"))
    monkeypatch.setattr(cifar10, "URL", url)
    for path, place in (None, None), (None, None), (home / "folder", url), (home / "a.tar.gz", url):
        cifar.check(load(path, download=True, url=place))
    assert server.requests == ["/any"] * 3
    assert names_in(cache_dir()) == names_in(home / "folder") == ["cifar-10-binary.tar.gz"]
    assert capfd.readouterr() == ("", "")  # no progress bar without a terminal


def test_a_damaged_archive_is_replaced_and_a_redirect_followed(cifar, server):
    damaged = cifar.write(cache_dir(), "cifar-10-binary.tar.gz")
    damaged.write_bytes(cifar.archive[:100])
    server.answer("/new", sends(cifar.archive))
    cifar.check(load(download=True, url=server.answer("/old", sends(b"moved", 301, Location="/new"))))
    assert damaged.read_bytes() == cifar.archive and server.requests == ["/old", "/new"]


@pytest.mark.parametrize("case", ["short", "long", "other", "page", "cut off", "silent", "endless", "404", "no HTTP"])
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

    answer, text = {
        "short": (sends(archive[:-7]), f"{len(archive) - 7:,} bytes have the checksum"),
        "long": (sends(archive + b"more"), "bytes have the checksum"),
        "other": (sends(archive[:-1] + bytes([archive[-1] ^ 1])), f"want {cifar.table.sum[:8]}..."),
        "page": (sends(b"<html>"), "6 bytes, a web page, have"),
        "cut off": (sends(archive[:10], Content_Length=len(archive)), "10 bytes have the checksum"),
        "silent": (stall, "timed out"),
        "endless": (pour, "bytes have the checksum"),
        "404": (sends(b"gone", 404), "404"),
        "no HTTP": (lambda handler: handler.wfile.write(b"220 ready"), "220 ready"),
    }[case]
    monkeypatch.setattr(cifar10, "TIMEOUT", 0.1 if case == "silent" else 30)
    url = server.answer("/a", answer)
    try:
        by_hand = f"Kept nothing. By hand: put cifar-10-binary.tar.gz in {cache_dir()} (https://"
        fails(url, url, text, by_hand, "Mirror: url='http")
    finally:
        over.set()
    server.answer("/a", sends(archive))
    cifar.check(load(download=True, url=url))


def test_no_host_and_no_such_protocol_are_os_errors(cifar):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        urls = f"http://127.0.0.1:{free.getsockname()[1]}/a", "ftp://127.0.0.1/a", "no address at all"
        for url in urls:
            fails(url, f"{url}: ", "By hand")


def test_a_full_disk_and_a_folder_that_cannot_be_made_are_named(cifar, server, monkeypatch, tmp_path):
    def full(*_):
        raise OSError(28, "No space left on device")

    url = server.answer("/a", sends(cifar.archive))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        fails(url, str(cache_dir()), "No space left")
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("AUTOGRAD_CNN_DATA", str(tmp_path / "file" / "cache"))
    fails(url, str(tmp_path / "file"))
