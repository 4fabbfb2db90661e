"""Downloads a file of known length and SHA-256, and keeps it only if both are right.

This file adds what must hold whatever the server does: the bytes go to a `.part` file, which gets the final name
only if the checksum is right; their number and the time are bounded; and an error states what arrived instead, and what
to do.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import http.client
import io
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from autograd_cnn.environment import needs
from autograd_cnn.files import write_atomically

if TYPE_CHECKING:
    import requests

TIMEOUT = 30  # seconds that a host may be silent
SLOWEST = 10_000  # bytes a second, on average
PATIENCE = 60  # seconds before the average counts
OVERHEAD = 1 << 20  # bytes of headers and redirects


def complaint_of(source: Path | str, raw: bytes, size: int | None, want: str) -> str:
    """Describe a wrong number of bytes, if `size` is given, or a wrong checksum; return "" if both are right.

    `want` is a SHA-256 or, with 32 digits, an MD5.

    Examples
    --------
    >>> complaint_of("data.gz", b"<html>", 170, "c4a3")
    'data.gz: 6 bytes, want 170: a web page'
    """
    if size is not None and len(raw) != size:
        page, short = raw.lstrip()[:1] == b"<", len(raw) < size
        cause = "a web page" if page else "cut short" if short else "not what was published"
        return f"{source}: {len(raw):,} bytes, want {size:,}: {cause}"
    kind = "MD5" if len(want) == 32 else "SHA-256"
    digest = hashlib.new(kind.replace("-", ""), raw, usedforsecurity=False).hexdigest()
    if digest == want:
        return ""
    as_expected = "" if size is None else ", as expected"
    return (
        f"{source}: {kind} is {digest[:8]}..., want {want[:8]}...; {len(raw):,} bytes{as_expected}: the content differs"
    )


def fetch(urls: tuple[str, ...], target: Path, size: int, sha256: str) -> None:
    """Download `target` from the first address that has it, and create its folder if necessary.

    An address that sends less than `SLOWEST` bytes a second, or more than the file, is given up. http is allowed, since
    the checksum is verified, but https must not lead to http, and no option turns off the check of certificates.

    Raises
    ------
    ImportError
        If requests is not installed.
    ValueError
        If the last address sent something else.
    OSError
        If the last address did not answer (`ConnectionError`), or the file cannot be written into the folder.
    """
    with needs("requests", "a download", "download"):
        import requests  # noqa: F401 - before a folder is made
    with needs("tqdm", "a download"):
        import tqdm  # noqa: F401
    folder = target.parent
    failures: list[ConnectionError | ValueError] = []
    for url in urls:
        free = _free_space(folder)
        try:
            if free < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(target, functools.partial(_receive, url, size, sha256))
            return
        except (ConnectionError, ValueError) as error:
            failures.append(error)
        except OSError as error:
            raise OSError(
                f"{folder}: {size / 1e6:.0f} MB needed, {free / 1e6:.0f} MB free ({error.strerror}). "
                "AUTOGRAD_CNN_DATA or path= points elsewhere"
            ) from error
    raise type(failures[-1])(
        "\n".join(map(str, failures)) + "\nKept nothing. "
        f"In a browser: download {urls[0]}, put it in {folder}, SHA-256 {sha256}. Mirror: url=..."
    ) from failures[-1]


class _Metered(io.RawIOBase):
    """A socket, as a file, whose every read is counted. A timeout of the socket would start anew with every byte."""

    def __init__(self, raw: io.RawIOBase, meter: Callable[[int], None]) -> None:
        self.raw, self.meter = raw, meter

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self.raw.readinto(buffer) or 0
        self.meter(count)
        return count

    def close(self) -> None:
        self.raw.close()
        super().close()


def _session(size: int) -> requests.Session:
    """Open a session that fails if headers, redirects and content are too many bytes, or too slow."""
    import requests
    from requests.adapters import HTTPAdapter

    received, began = 0, time.monotonic()

    def meter(count: int) -> None:
        nonlocal received
        received += count
        seconds = time.monotonic() - began
        if received > size + OVERHEAD:
            raise ConnectionError(f"sent {received:,} bytes, and no end")
        if seconds > PATIENCE + received / SLOWEST:
            raise ConnectionError(f"too slow: {received:,} bytes in {seconds:.0f} s")

    class Response(http.client.HTTPResponse):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.fp = io.BufferedReader(_Metered(self.fp.detach(), meter))

    class Adapter(HTTPAdapter):
        def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
            pool = super().get_connection_with_tls_context(*args, **kwargs)
            pool.ConnectionCls = type("Metered", (pool.ConnectionCls,), {"response_class": Response})
            return pool

    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter())
    return session


def _receive(url: str, size: int, sha256: str, file: BinaryIO) -> None:
    """Download into the open file and check the bytes."""
    import requests
    from tqdm import tqdm

    with contextlib.ExitStack() as connections:

        def inspect(response: requests.Response, **_: object) -> None:
            connections.callback(response.close)  # otherwise the garbage collector would close it
            kind, length = (response.headers.get(name, "") for name in ("content-type", "content-length"))
            if url.startswith("https:") and not response.url.startswith("https:"):
                raise requests.ConnectionError(f"leads to {response.url}, which is not https")
            if response.ok and not response.is_redirect and kind.startswith("text/html"):
                raise ValueError(f"sent {kind}, {length or 'some'} bytes, not the archive")
            # Some servers declare a .tar.gz as a gzipped .tar, which requests would unzip.
            response.raw.headers.pop("content-encoding", None)

        session = connections.enter_context(_session(size))
        hidden = not (sys.stderr and sys.stderr.isatty())
        bar = connections.enter_context(tqdm(total=size, unit="B", unit_scale=True, disable=hidden))
        try:
            options: Any = {"headers": {"Accept-Encoding": "identity"}, "hooks": {"response": inspect}}
            response = session.get(url, stream=True, timeout=TIMEOUT, **options)
            response.raise_for_status()
            for chunk in response.iter_content(1 << 16):
                if file.tell() + len(chunk) > size:
                    raise ValueError("more bytes than wanted")
                file.write(chunk)
                bar.update(len(chunk))
        except requests.RequestException as error:
            raise ConnectionError(f"{url}: {error}") from error
        except ValueError as error:
            raise ValueError(f"{url}: {error}") from error
    file.seek(0)
    if complaint := complaint_of(url, file.read(), size, sha256):
        raise ValueError(complaint)


def _free_space(folder: Path) -> int:
    existing = next(place for place in (folder, *folder.absolute().parents) if os.path.exists(place))
    return shutil.disk_usage(existing).free
