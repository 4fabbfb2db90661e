"""Writing files so that no fault leaves half of one: everything the package saves goes through here.

Standard library only. A file is replaced, never overwritten: the new bytes go to `NAME.part` beside it, reach
the disk, and take the name in one step that file systems perform whole or not at all; then the folder, which
holds the name, is flushed too. Without the first flush a power cut can leave the new name on an empty file
(Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014). The `.part` has a fixed name, so what a
killed process leaves behind is reclaimed by the next save, and a lock on it, which dies with its process,
keeps a second writer out.
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
        The content, or a function that writes it into the binary file it is given. Whatever that function
        raises is passed on, and counts as a failed write.
    wait : bool
        What to do while somebody else writes the same path: raise, or wait until they have finished.

    Raises
    ------
    OSError
        The disk is full, the folder cannot be written, somebody else writes this path. The old file is then
        as it was, and no `.part` is left.

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
    if path.exists() and not path.is_file():  # replacing /dev/null would be a success of the worst kind
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
    """`part`, open for writing and ours alone."""
    while True:
        try:
            file = open(part, "w+b", opener=_open_untruncated)  # noqa: SIM115  (is handed over open)
        except OSError as error:  # told in the user's names: they know of no `.part`
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
    """For `open`: until the lock is ours, what is in the file may be somebody else's."""
    return os.open(name, flags & ~os.O_TRUNC, 0o666)


def _lock(file: BinaryIO) -> bool:
    """Whether the file is ours now. A disk that knows no locks (some network disks) says yes to everybody."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES)
    return True


def _is_named(file: BinaryIO, part: Path) -> bool:
    """Whether the file still bears its name: its owner may have renamed it between our open and our lock."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(part))
    except FileNotFoundError:
        return False


def _close_on_windows(file: BinaryIO) -> None:
    """Elsewhere the file stays open, so locked, until it has its final name; Windows renames no such file."""
    if sys.platform == "win32":
        file.close()


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut; Windows cannot open a folder."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
