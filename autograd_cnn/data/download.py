"""Downloads a file of known length and SHA-256, and keeps it only if both are right.

Imports the standard library, `autograd_cnn.files` and, for a download, pooch, which talks to the server. This file adds
what must hold whatever the server does: the bytes go to a locked `.part` file, which gets the final name only if the
checksum is right; their number is bounded; and an error states what arrived instead, and what to do.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import shutil
import sys
from pathlib import Path
from typing import BinaryIO

from autograd_cnn.files import write_atomically

TIMEOUT = 30  # seconds that a host may be silent


def complaint_of(source: Path | str, raw: bytes, size: int | None, want: str, algorithm: str = "sha256") -> str:
    """Describe a wrong number of bytes, if `size` is given, or a wrong checksum; return "" if both are right.

    Examples
    --------
    >>> complaint_of("data.gz", b"<html>", 170, "c4a3")
    'data.gz: 6 bytes, want 170: a web page'
    """
    if size is not None and len(raw) != size:
        page, short = raw.lstrip()[:1] == b"<", len(raw) < size
        cause = "a web page" if page else "cut short" if short else "not what was published"
        return f"{source}: {len(raw):,} bytes, want {size:,}: {cause}"
    digest = hashlib.new(algorithm, raw, usedforsecurity=False).hexdigest()
    if digest == want:
        return ""
    kind = {"sha256": "SHA-256", "md5": "MD5"}[algorithm]
    as_expected = "" if size is None else ", as expected"
    return (
        f"{source}: {kind} is {digest[:8]}..., want {want[:8]}...; {len(raw):,} bytes{as_expected}: the content differs"
    )


def fetch(urls: tuple[str, ...], target: Path, size: int, sha256: str) -> None:
    """Download `target` from the first address that has it, and create its folder if necessary.

    If another process is downloading it, wait, and use its file. http is allowed, since the checksum is verified,
    but https must not lead to http, and no option turns off the check of certificates.

    Raises
    ------
    ValueError
        If the last address sent something else.
    OSError
        If the last address did not answer (`ConnectionError`), or the file cannot be written into the folder.
    """
    folder = target.parent
    failures: list[ConnectionError | ValueError] = []
    for url in urls:
        free = _free_space(folder)
        try:
            if free < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(target, functools.partial(_receive, url, target, size, sha256), wait=True)
            return
        except _Present:
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


class _Present(Exception):
    """Another process finished this download while we waited for it."""


class _Capped:
    """A file for pooch that refuses more than `size` bytes, so that no server fills the disk."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.left = file, size

    def write(self, chunk: bytes) -> None:
        self.left -= len(chunk)
        if self.left < 0:
            raise ValueError("more bytes than wanted")
        self.file.write(chunk)

    def flush(self) -> None:
        """Do nothing: pooch calls this after every chunk, but one flush at the end is enough."""


def _receive(url: str, target: Path, size: int, sha256: str, file: BinaryIO) -> None:
    """Download into the open file and check the bytes."""
    import pooch
    import requests

    if os.path.isfile(target) and not complaint_of(target, target.read_bytes(), size, sha256):
        raise _Present

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

        try:
            pooch.HTTPDownloader(
                progressbar=bool(sys.stderr and sys.stderr.isatty()),
                chunk_size=1 << 16,
                timeout=TIMEOUT,
                headers={"Accept-Encoding": "identity"},
                hooks={"response": inspect},
            )(url, _Capped(file, size), None)
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
