"""Writes files atomically, so that no failure leaves half of one; the whole package saves through this file.

A file is replaced, never overwritten: the new bytes go to a `.part` beside it, reach the disk, and take the name in one
step that file systems perform whole or not at all; then the folder, which holds the name, is flushed too. Without the
first flush, a power cut can leave the new name on an empty file (Pillai et al., "All File Systems Are Not Created
Equal", OSDI 2014). Each writer has a `.part` of its own: of two, the last one to end has written the file.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

AnyPath = str | os.PathLike[str]


def write_atomically(path: AnyPath, data: bytes) -> None:
    """Write a file such that `path` holds the old content or the new one, at every moment.

    Parameters
    ----------
    path : path
        The file; a symbolic link is followed. Its folder must exist. A file that is replaced passes on its mode.
    data : bytes

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written. The error names the file. The old file is unchanged then,
        and no `.part` is left. A process that is killed may leave one.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     notes = Path(folder) / "notes.txt"
    ...     write_atomically(notes, b"first")
    ...     write_atomically(notes, b"second")
    ...     print(notes.read_text(), [path.name for path in Path(folder).iterdir()])
    second ['notes.txt']
    """
    path = Path(os.path.realpath(path))
    mode = path.stat().st_mode if path.exists() else None
    if mode is not None and not stat.S_ISREG(mode):  # os.replace would turn /dev/null into a file
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    part = path.with_name(f"{path.name[:40]}.{secrets.token_hex(4)}.part")  # short enough for any file system
    try:
        # Until it has the mode of the old file, nobody else may read the new one.
        with open(part, "x+b", opener=partial(os.open, mode=0o666 if mode is None else 0o600)) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None and part.stat().st_mode != mode:  # some disks have one mode, and refuse to change it
            part.chmod(stat.S_IMODE(mode))
        os.replace(part, path)
        _sync_folder(path.parent)
    except OSError as error:  # name the user's path: a full disk names no file, and they know of no `.part`
        if isinstance(error, FileNotFoundError) and not path.parent.exists():
            error = FileNotFoundError(errno.ENOENT, "no such folder; mkdir -p creates it", str(path.parent))
        elif error.errno is not None and error.filename in (None, str(part)):
            error.filename = str(path)
            del error.filename2
        raise error from None
    finally:
        with suppress(OSError):
            part.unlink()


def read(path: AnyPath, most: int | None = None) -> bytes:
    """Read a file as it is now, or its first `most` bytes.

    Raises
    ------
    OSError
        If the file cannot be read. The error names the file.
    """
    try:
        # A pipe is not waited for, and nothing is read to its end: a device may have none.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
            return file.read(most or os.fstat(file.fileno()).st_size)
    except OSError as error:
        error.filename = error.filename or os.fspath(path)  # the disk fails amid the file
        raise


def _sync_folder(folder: Path) -> None:
    """Flush the folder, so that the new name survives a power cut; Windows cannot open a folder."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
