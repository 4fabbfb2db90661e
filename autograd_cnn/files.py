"""Writes files atomically, so that no failure leaves half of one; the whole package saves through this file.

A file is replaced, never overwritten: the new bytes go to `NAME.part` beside it, reach the disk, and take the name in
one step that file systems perform whole or not at all; then the folder, which holds the name, is flushed too. Without
the first flush, a power cut can leave the new name on an empty file (Pillai et al., "All File Systems Are Not Created
Equal", OSDI 2014). The `.part` has a fixed name, so the next save reuses the one that a killed process left behind. A
lock on it, which ends with its process, keeps a second writer out. Only a plain file with no other name is reused,
because writing into a link would overwrite the file that it leads to.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

LONG = 100  # bytes of a name; no file system forbids so few


def write_atomically(
    path: str | os.PathLike[str], data: bytes | Callable[[BinaryIO], object], wait: bool = False
) -> None:
    """Write a file such that `path` holds the old content or the new one, at every moment.

    Parameters
    ----------
    path : path
        The file; a symbolic link is followed. Its folder must exist. A file that is replaced passes on its mode.
    data : bytes or callable
        The content, or a function that writes it into a binary file. An exception in that function is a failed
        write, and propagates.
    wait : bool
        Whether to wait while another process or thread writes the same path; otherwise OSError is raised.

    Raises
    ------
    OSError
        If the disk is full, the folder cannot be written, another process or thread writes the same path, or a link
        has the name of the `.part`. The error names the file. The old file is unchanged then, and no `.part` is left.

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
    part = _part_of(path)
    try:
        with _open_locked(path, part, wait) as file:
            try:
                mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
                _set_mode(file, mode, at_least=0o600)  # a `.part` that a kill leaves behind can be opened again
                file.truncate()
                data(file) if callable(data) else file.write(data)
                file.flush()
                os.fsync(file.fileno())
                _set_mode(file, mode)
                _close_on_windows(file)
                os.replace(part, path)
            except BaseException:
                _close_on_windows(file)
                part.unlink(missing_ok=True)
                raise
        _sync_folder(path.parent)
    except OSError as error:  # name the user's path: a full disk names no file, and they know of no `.part`
        if error.errno is not None and error.filename in (None, str(part)):
            error.filename = str(path)
            del error.filename2
        raise


def read(path: str | os.PathLike[str], most: int | None = None) -> bytes:
    """Read a file as it is now, or its first `most` bytes.

    Raises
    ------
    OSError
        If the file cannot be read. The error names the file.
    """
    try:
        with open(path, "rb", opener=_at_once) as file:
            return file.read(most or os.fstat(file.fileno()).st_size)  # not to the end: a device may have none
    except OSError as error:
        if error.errno is not None and error.filename is None:  # the disk fails amid the file
            error.filename = os.fspath(path)
        raise


def _at_once(path: str, flags: int) -> int:
    """Open a file without waiting for somebody to write to it, if it is a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _part_of(path: Path) -> Path:
    """The name of the temporary file; short if that of the file is long, because file systems limit the length."""
    name = os.fsencode(path.name)
    short = path.name if len(name) <= LONG else hashlib.sha256(name).hexdigest()[:32]
    return path.with_name(f"{short}.part")


def _open_locked(path: Path, part: Path, wait: bool) -> BinaryIO:
    """Open `part` for writing, and lock it. If it is new, nobody else may read it before it has the mode of `path`."""
    opener = functools.partial(_open_untruncated, 0o600 if path.exists() else 0o666)
    while True:
        try:
            file = open(part, "w+b", opener=opener)  # noqa: SIM115  (returned open)
        except FileNotFoundError:
            folder = path.parent
            cause = "takes no new files" if folder.exists() else "no such folder; create it with os.makedirs"
            raise FileNotFoundError(errno.ENOENT, cause, str(folder)) from None
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


def _open_untruncated(mode: int, name: str, flags: int) -> int:
    """Open without following a link, and keep the content: before we have the lock, it may be another writer's."""
    try:
        descriptor = os.open(name, flags & ~os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), mode)
    except OSError:
        if not os.path.islink(name) and not os.path.isdir(name):
            raise
        raise _in_the_way(name) from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(descriptor)
        raise _in_the_way(name)
    return descriptor


def _in_the_way(part: str) -> OSError:
    return FileExistsError(errno.EEXIST, f"{os.path.basename(part)} is in the way; delete it", part)


def _set_mode(file: BinaryIO, mode: int | None, at_least: int = 0) -> None:
    """Give the file a mode, unless it has it: some disks have one mode for all files, and refuse to change it."""
    if sys.platform != "win32" and mode is not None:
        mode |= at_least
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) != mode:
            os.fchmod(file.fileno(), mode)


def _lock(file: BinaryIO) -> bool:
    """Try to lock the file; return whether we may write. Some systems and disks have no locks: then we always may."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # WebAssembly
        return True
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES)
    return True


def _is_named(file: BinaryIO, part: Path) -> bool:
    """Whether the open file still has its name: another writer may have renamed it between our open and our lock."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.lstat(part))
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
