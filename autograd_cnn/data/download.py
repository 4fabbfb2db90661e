"""Downloads a file of known length and SHA-256, and keeps it only if both are right.

The bytes go to a `.part` file, which gets the final name only if the checksum is right; their number and the time are
bounded; and an error states what arrived instead, and what to do.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from autograd_cnn.environment import needs
from autograd_cnn.files import write_atomically

TIMEOUT = 30  # seconds that a host may be silent
SLOWEST = 10_000  # bytes a second, on average
PATIENCE = 60  # seconds before the average counts


def complaint_of(source: Path | str, raw: bytes, size: int, want: str) -> str:
    """Describe a wrong number of bytes, or a wrong SHA-256 or MD5; return "" if both are right.

    Examples
    --------
    >>> complaint_of("data.gz", b"<html>", 170, "c4a3")
    'data.gz: 6 bytes, want 170: a web page'
    """
    if len(raw) != size:
        page = raw.lstrip()[:1] == b"<"
        cause = "a web page" if page else "cut short" if len(raw) < size else "not what was published"
        return f"{source}: {len(raw):,} bytes, want {size:,}: {cause}"
    kind = "MD5" if len(want) == 32 else "SHA-256"
    digest = hashlib.new(kind.replace("-", ""), raw, usedforsecurity=False).hexdigest()
    differ = f"{kind} is {digest[:8]}..., want {want[:8]}...; {size:,} bytes: the content differs"
    return "" if digest == want else f"{source}: {differ}"


def fetch(urls: Sequence[str], target: Path, size: int, sha256: str) -> None:
    """Download `target` from the first address that has it, and create its folder if necessary.

    An address that sends less than `SLOWEST` bytes a second, or more than the file, is given up. http is allowed, since
    the checksum is verified.

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
    failures: list[ConnectionError | ValueError] = []
    target.parent.mkdir(parents=True, exist_ok=True)
    for url in urls:
        try:
            return write_atomically(target, partial(_receive, url, size, sha256))
        except (ConnectionError, ValueError) as error:
            failures.append(error)
        except OSError as error:
            error.filename = f"{target}: {size / 1e6:.0f} MB. AUTOGRAD_CNN_DATA or path= points elsewhere"
            raise
    raise type(failures[-1])(
        "\n".join(map(str, failures)) + "\nKept nothing. "
        f"In a browser: download {urls[0]}, put it in {target.parent}, SHA-256 {sha256}. Mirror: url=..."
    ) from failures[-1]


def _receive(url: str, size: int, sha256: str, file: BinaryIO) -> None:
    """Download into the open file and check the bytes."""
    import requests
    from tqdm import tqdm
    from urllib3.exceptions import HTTPError

    began = time.monotonic()
    try:
        options = {"Accept-Encoding": "identity"}  # some servers declare a .tar.gz as a gzipped .tar
        with (
            requests.get(url, stream=True, timeout=TIMEOUT, headers=options) as response,
            tqdm(total=size, unit="B", unit_scale=True, disable=not (sys.stderr and sys.stderr.isatty())) as bar,
        ):
            response.raise_for_status()
            while chunk := response.raw.read(1 << 16):
                file.write(chunk)
                bar.update(len(chunk))
                seconds = time.monotonic() - began
                if file.tell() > size:
                    raise ValueError(f"{url}: more bytes than wanted")
                if seconds > PATIENCE + file.tell() / SLOWEST:
                    raise ConnectionError(f"{url}: too slow: {file.tell():,} bytes in {seconds:.0f} s")
    except (requests.RequestException, HTTPError) as error:
        raise ConnectionError(f"{url}: {error}") from error
    file.seek(0)
    raw = file.read()
    if complaint := complaint_of(url, raw, size, sha256):
        raise ValueError(complaint)
