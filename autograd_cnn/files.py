"""Writes files atomically, so that no failure leaves half of one; the whole package saves through this file.

Imports the standard library only. A file is replaced, never overwritten: the new bytes go to `NAME.part` beside it,
reach the disk, and take the name in one step that file systems perform whole or not at all; then the folder, which
holds the name, is flushed too. Without the first flush, a power cut can leave the new name on an empty file (Pillai et
al., "All File Systems Are Not Created Equal", OSDI 2014). The `.part` has a fixed name, so the next save reuses the one
that a killed process left behind. A lock on it, which ends with its process, keeps a second writer out.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def write_atomically(
    path: str | os.PathLike[str], data: bytes | Callable[[BinaryIO], object], wait: bool = False
) -> None:
    """Write a file such that `path` holds the old content or the new one, at every moment.

    Parameters
    ----------
    path : path
        The file; a symbolic link is followed. Its folder must exist.
    data : bytes or callable
        The content, or a function that writes it into a binary file. An exception in that function is a failed
        write, and propagates.
    wait : bool
        Whether to wait while another process or thread writes the same path; otherwise OSError is raised.

    Raises
    ------
    OSError
        If the disk is full, the folder cannot be written, or another process or thread writes the same path. The old
        file is unchanged then, and no `.part` is left.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     notes = Path(folder) / "notes.txt"
    ...     write_atomically(notes, b"first")
    ...     write_atomically(notes, lambda file: file.write(b"second"))
    ...     print(notes.read_text(), [path.name for path in Path(folder).iterdir()])
    second ['notes.txt']
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():  # os.replace would turn /dev/null into a file
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    part = path.with_name(path.name + ".part")
    with _open_locked(path, part, wait) as file:
        try:
            file.truncate()
            data(file) if callable(data) else file.write(data)
            file.flush()
            os.fsync(file.fileno())
            _close_on_windows(file)
            os.replace(part, path)
        except BaseException:
            _close_on_windows(file)
            part.unlink(missing_ok=True)
            raise
    _sync_folder(path.parent)


def _open_locked(path: Path, part: Path, wait: bool) -> BinaryIO:
    """Open `part` for writing, and lock it."""
    while True:
        try:
            file = open(part, "w+b", opener=_open_untruncated)  # noqa: SIM115  (returned open)
        except OSError as error:  # name the user's path: they know of no `.part`
            error.filename = str(path)
            if error.errno == errno.ENOENT:
                error.strerror, error.filename = "no such folder; os.makedirs makes it", str(path.parent)
            raise
        try:
            if _lock(file) and _is_named(file, part):
                return file
        except BaseException:
            file.close()
            raise
        file.close()
        if not wait:
            raise OSError(errno.EBUSY, "another process or thread is writing this file", str(path))
        time.sleep(0.1)


def _open_untruncated(name: str, flags: int) -> int:
    """Opener for `open` that keeps the content: before we have the lock, it may be another writer's."""
    return os.open(name, flags & ~os.O_TRUNC, 0o666)


def _lock(file: BinaryIO) -> bool:
    """Try to lock the file; return whether we may write. Some network disks have no locks: then we always may."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES)
    return True


def _is_named(file: BinaryIO, part: Path) -> bool:
    """Whether the open file still has its name: another writer may have renamed it between our open and our lock."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(part))
    except FileNotFoundError:
        return False


def _close_on_windows(file: BinaryIO) -> None:
    """Close the file on Windows, which cannot rename open ones; elsewhere it stays open, and locked, until renamed."""
    if sys.platform == "win32":
        file.close()


def _sync_folder(folder: Path) -> None:
    """Flush the folder, so that the new name survives a power cut; Windows cannot open a folder."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
