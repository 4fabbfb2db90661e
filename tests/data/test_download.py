"""Downloads from a local server that misbehaves in every way: only the right bytes are kept."""

import functools
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from autograd_cnn.data import cache_dir, cifar10, download, load_cifar10

PACKAGE_FOLDER = Path(cifar10.__file__).parents[2]


class Server:
    """Answers each path with a function of the request handler, and lists the requested paths."""

    def __init__(self, certificate=None):
        self.answers, self.requests = {}, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append(self.path)
                outer.answers[self.path](self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # a client that disconnects is not an error of the server
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.address = f"http{'s' if certificate else ''}://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, path, answer):
        self.answers[path] = answer
        return self.address + path

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def sends(content, status=200, **headers):
    def answer(handler):
        handler.send_response(status)
        usual = {"Content_Type": "application/gzip", "Content_Length": len(content)}
        for name, value in {**usual, **headers}.items():
            handler.send_header(name.replace("_", "-"), str(value))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    if not shutil.which("openssl"):
        pytest.skip("needs openssl to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-days",
            "2",
            "-out",
            files[0],
            "-keyout",
            files[1],
        ],
        check=True,
        capture_output=True,
    )
    return files


@pytest.fixture
def tls_server(monkeypatch, certificate):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server(certificate)
    yield server
    server.close()


@pytest.fixture
def archive(published):
    """The bytes that a correct server sends."""
    return published.archives["binary"]


def names_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file()) if folder.exists() else []


def fails(error, url, *patterns):
    """`load_cifar10` raises and keeps nothing; the message has each of the patterns."""
    with pytest.raises(error) as caught:
        load_cifar10(download=True, url=url)
    assert type(caught.value) in (ValueError, OSError, ConnectionError)
    for pattern in patterns:
        assert pattern in str(caught.value)
    assert names_in(cache_dir()) == []
    return str(caught.value)


def test_the_archive_is_kept_and_not_requested_again(published, server, archive, capfd):
    url = server.answer("/images.tar.gz", sends(archive))
    published.check(load_cifar10(download=True, url=url))
    published.check(load_cifar10(download=True, url=url))
    published.check(load_cifar10())
    assert server.requests == ["/images.tar.gz"]
    assert names_in(cache_dir()) == sorted(["cifar-10-binary.tar.gz", *published.files["binary"]])
    assert (cache_dir() / "cifar-10-binary.tar.gz").read_bytes() == archive
    assert capfd.readouterr() == ("", "")  # no progress bar without a terminal


def test_the_archive_goes_to_the_path(published, home, server, archive):
    url = server.answer("/a", sends(archive))
    for path in (home / "folder", home / "other" / "cifar-10-binary.tar.gz"):
        published.check(load_cifar10(path, download=True, url=url))
        published.check(load_cifar10(path))
    assert names_in(cache_dir()) == []


def test_a_damaged_archive_is_replaced(published, server, archive):
    damaged = published.write_archive("binary", cache_dir())
    damaged.write_bytes(archive[:100])
    published.check(load_cifar10(download=True, url=server.answer("/a", sends(archive))))
    assert damaged.read_bytes() == archive


def test_a_redirect_is_followed(published, server, archive):
    server.answer("/new", sends(archive))
    url = server.answer("/old", sends(b"<html>moved", 301, Location="/new", Content_Type="text/html"))
    published.check(load_cifar10(download=True, url=url))
    assert server.requests == ["/old", "/new"]


def test_addresses_are_tried_in_order(published, server, archive):
    answers = {
        "/1": sends(b"gone", 404),
        "/2": sends(b"<html>", Content_Type="text/html"),
        "/3": sends(archive),
        "/4": sends(archive),
    }
    published.replace(urls=tuple(server.answer(*pair) for pair in answers.items()))
    published.check(load_cifar10(download=True))
    assert server.requests == ["/1", "/2", "/3"]


def test_when_all_addresses_fail_the_error_names_each(published, server):
    first, second = server.answer("/1", sends(b"gone", 404)), server.answer("/2", sends(b"short"))
    with pytest.raises(ValueError) as caught:
        download.fetch((first, second), cache_dir() / "file", 10, "c4a3")
    lines = str(caught.value).split("\n")
    assert lines[0].startswith(f"{first}: 404") and lines[1] == f"{second}: 5 bytes, want 10: cut short"
    assert lines[2] == (
        f"Kept nothing. In a browser: download {first}, put it in {cache_dir()}, SHA-256 c4a3. Mirror: url=..."
    )


def test_a_content_encoding_header_does_not_unzip_the_archive(published, server, archive):
    url = server.answer("/a", sends(archive, Content_Encoding="x-gzip"))
    published.check(load_cifar10(download=True, url=url))


def test_a_web_page_is_recognised_by_its_type(published, server):
    page = b"<!doctype html>" + b" " * 985
    url = server.answer("/a", sends(page, Content_Type="text/html; charset=utf-8"))
    fails(
        ValueError,
        url,
        f"{url}: sent text/html; charset=utf-8, 1000 bytes, not the archive\nKept nothing",
        "Mirror: url=",
    )


def test_wrong_length_and_wrong_sum_are_refused(published, server, archive):
    size, other = len(archive), archive[:-1] + bytes([archive[-1] ^ 1])
    short = server.answer("/short", sends(archive[:-7]))
    long = server.answer("/long", sends(archive + b"more"))
    fails(ValueError, short, f"{short}: {size - 7:,} bytes, want {size:,}: cut short")
    fails(ValueError, long, f"{long}: more bytes than wanted")
    fails(
        ValueError,
        server.answer("/other", sends(other)),
        "SHA-256 is ",
        f"{size:,} bytes, as expected: the content differs",
    )


def test_after_an_early_close_the_next_call_recovers(published, server, archive):
    url = server.answer("/a", sends(archive[: len(archive) // 2], Content_Length=len(archive)))
    fails(
        OSError,
        url,
        url,
        "IncompleteRead",
        "In a browser: download",
        published.version("binary").archive["cifar-10-binary.tar.gz"][1],
    )
    server.answer("/a", sends(archive))
    published.check(load_cifar10(download=True, url=url))


def test_a_silent_host_times_out(published, server, archive, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.1)
    over = threading.Event()

    def stall(handler):
        sends(archive[:10], Content_Length=len(archive))(handler)
        handler.wfile.flush()
        over.wait(10)  # then the connection closes, which is another error

    try:
        fails(OSError, server.answer("/a", stall), "timed out")
    finally:
        over.set()


def test_an_endless_answer_does_not_fill_the_disk(published, server, archive):
    def pour(handler):
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(bytes(1 << 16))

    fails(ValueError, server.answer("/a", pour), "more bytes than wanted")


def trickles(content, over, head=b""):
    """Send `head` at once and the rest byte by byte, for ten seconds at most, until the client is gone or has ended."""

    def answer(handler):
        handler.wfile.write(head)
        for k in range(min(len(content), 2000)):
            handler.wfile.write(content[k : k + 1])
            handler.wfile.flush()
            if over.wait(0.005):
                break

    return answer


@pytest.mark.parametrize("where", ["headers", "body", "continuations"])
def test_a_host_that_trickles_is_given_up(published, server, monkeypatch, where):
    """Each byte comes in time; together they would take for ever."""
    monkeypatch.setattr(download, "PATIENCE", 0.1)
    over, status = threading.Event(), b"HTTP/1.1 200 OK\r\n"
    answer = {
        "headers": trickles(b"X-Header: " + b"x" * 5000, over, status),
        "body": trickles(bytes(5000), over, status + b"\r\n"),
        "continuations": trickles(b"HTTP/1.1 100 Continue\r\n\r\n" * 200, over),
    }[where]
    try:
        fails(OSError, server.answer("/a", answer), "too slow: ", " bytes in 0 s")
    finally:
        over.set()


def test_a_host_that_trickles_over_https_is_given_up(published, tls_server, certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    monkeypatch.setattr(download, "PATIENCE", 0.1)
    over = threading.Event()
    try:
        fails(OSError, tls_server.answer("/a", trickles(bytes(5000), over, b"HTTP/1.1 200 OK\r\n\r\n")), "too slow: ")
    finally:
        over.set()


def test_endless_continuations_are_given_up(published, server, monkeypatch):
    monkeypatch.setattr(download, "OVERHEAD", 10_000)

    def pour(handler):
        for _ in range(1000):
            handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)

    fails(OSError, server.answer("/a", pour), "bytes, and no end")


def test_a_redirect_with_an_endless_page_is_given_up(published, server, archive, monkeypatch):
    monkeypatch.setattr(download, "OVERHEAD", 10_000)
    server.answer("/new", sends(archive))

    def pour(handler):
        handler.send_response(301)
        handler.send_header("Location", "/new")
        handler.end_headers()
        for _ in range(1000):
            handler.wfile.write(bytes(1000))

    fails(OSError, server.answer("/old", pour), "bytes, and no end")


def test_a_slow_host_that_keeps_the_least_rate_is_heard_out(published, server, archive, monkeypatch):
    monkeypatch.setattr(download, "PATIENCE", 0)
    monkeypatch.setattr(download, "SLOWEST", 1)
    published.check(load_cifar10(download=True, url=server.answer("/a", sends(archive))))


def test_no_host_and_no_such_protocol_are_os_errors(published):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        fails(OSError, f"http://127.0.0.1:{free.getsockname()[1]}/a", "In a browser: download")
    fails(OSError, "ftp://127.0.0.1/a", "ftp://127.0.0.1/a")
    fails(OSError, "no address at all", "no address at all")


def test_https_is_not_retried_over_http(published, server, archive):
    url = server.answer("/a", sends(archive)).replace("http:", "https:")
    fails(OSError, url, url)
    assert server.requests == []


def test_an_unknown_certificate_is_refused(published, tls_server, archive):
    fails(OSError, tls_server.answer("/a", sends(archive)), "certificate verify failed")
    assert tls_server.requests == []


def test_https_does_not_lead_to_http(published, server, tls_server, certificate, archive, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    away = tls_server.answer("/away", sends(b"", 302, Location=server.answer("/plain", sends(archive))))
    fails(OSError, away, "which is not https")
    published.check(load_cifar10(download=True, url=tls_server.answer("/a", sends(archive))))


def test_a_full_disk_is_noticed_before_the_download(published, server, archive, monkeypatch):
    usage = shutil.disk_usage(".")._replace(free=len(archive) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    fails(
        OSError,
        server.answer("/a", sends(archive)),
        f"{cache_dir()}: 0 MB needed, 0 MB free (No space left on device). ",
        "AUTOGRAD_CNN_DATA or path= points elsewhere",
    )
    assert server.requests == []


def test_an_error_of_a_disk_that_fills_meanwhile_names_the_folder(published, server, archive, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    fails(OSError, server.answer("/a", sends(archive)), f"{cache_dir()}: ", "No space left", "AUTOGRAD_CNN_")


def test_an_error_names_the_folder_that_cannot_be_made(published, tmp_path, server, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("AUTOGRAD_CNN_DATA", str(tmp_path / "file" / "cache"))
    fails(OSError, server.answer("/a", sends(b"")), f"{tmp_path / 'file' / 'cache'}: ", "AUTOGRAD_CNN_DATA")
    assert server.requests == []


LOAD_IN_ANOTHER_PROCESS = """
import json, sys
from autograd_cnn.data import cifar10
files, each, url = json.loads(sys.argv[1])
binary = cifar10.TABLE.versions[0]._replace(**files)
cifar10.TABLE = cifar10.TABLE._replace(versions=(binary,), each=each)
print("ready", flush=True)
print(len(cifar10.load_cifar10(download=True, url=url).train_images), flush=True)
"""


def test_two_processes_download_at_the_same_time(published, server, archive):
    requested, release = threading.Event(), threading.Event()

    def answer(handler):
        requested.set()
        assert release.wait(60)
        sends(archive)(handler)

    version = published.version("binary")
    files = {"archive": version.archive, "files": version.files}
    command = [
        sys.executable,
        "-c",
        LOAD_IN_ANOTHER_PROCESS,
        json.dumps([files, cifar10.TABLE.each, server.answer("/a", answer)]),
    ]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE_FOLDER), "AUTOGRAD_CNN_DATA": str(cache_dir())}
    start = functools.partial(subprocess.Popen, command, env=environment, stdout=subprocess.PIPE, text=True)
    with start() as first:
        assert requested.wait(60)
        with start() as second:
            release.set()
            assert second.communicate(timeout=600)[0] == "ready\n100\n"
        assert first.communicate(timeout=600)[0] == "ready\n100\n"
    assert names_in(cache_dir()) == sorted(["cifar-10-binary.tar.gz", *published.files["binary"]])


def test_a_download_without_requests_names_the_cure(monkeypatch, server, archive):
    monkeypatch.setitem(sys.modules, "requests", None)
    url = server.answer("/images.tar.gz", sends(archive))
    message = r"^a download needs requests \(.*\): .* pip install 'autograd_cnn\[download\]'$"
    with pytest.raises(ImportError, match=message):
        load_cifar10(download=True, url=url)
    assert server.requests == [] and names_in(cache_dir()) == []
