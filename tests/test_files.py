"""Atomic writes: the old file or the new one, nothing in between, and nothing left behind."""

import errno
import os
import random
import re
import select
import stat
import subprocess
import sys

import pytest

from autograd_cnn import files
from autograd_cnn.files import write_atomically
from processes import printed

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(b"old")
    return path


def only(path, content):
    """Assert that `path` has this content and is alone in its folder."""
    assert path.read_bytes() == content and [path] == list(path.parent.iterdir())


@pytest.fixture
def while_writing(monkeypatch):
    """Let a function of the file's descriptor run once, when the new content is written and the name is not."""

    def before_the_flush(act):
        fsync, acts = os.fsync, [act]
        monkeypatch.setattr(os, "fsync", lambda descriptor: (acts and acts.pop()(descriptor), fsync(descriptor)))

    return before_the_flush


@pytest.mark.parametrize("content", [b"new and longer", b""])
def test_bytes_are_written(path, content):
    write_atomically(str(path), content)
    only(path, content)


@posix
def test_data_are_on_disk_before_the_name_and_the_name_before_the_return(path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace

    def logged_fsync(descriptor):
        status = os.fstat(descriptor)
        steps.append("fsync folder" if stat.S_ISDIR(status.st_mode) else f"fsync {status.st_size} bytes")
        fsync(descriptor)

    def logged_replace(source, target):
        steps.append(f"replace {os.path.basename(target)} by {os.path.basename(source)}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(os, "replace", logged_replace)
    write_atomically(path, b"new")
    steps[1] = re.sub(r"[0-9a-f]{8}", "N", steps[1])
    assert steps == ["fsync 3 bytes", "replace model.bin by model.bin.N.part", "fsync folder"]


def test_an_interrupted_write_leaves_the_old_file(path, while_writing):
    def interrupt(descriptor):
        raise KeyboardInterrupt

    while_writing(interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    only(path, b"old")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failing_step_leaves_the_old_file_and_names_it_and_nothing_else(path, monkeypatch, step, number):
    def fail(first, *target):
        raise OSError(number, "failed", *([str(first), None, str(target[0])] if target else []))

    with monkeypatch.context() as patch, pytest.raises(OSError) as caught:
        patch.setattr(os, step, fail)
        write_atomically(path, b"new")
    assert str(caught.value) == f"[Errno {number}] failed: {str(path)!r}"
    assert caught.value.filename == str(path)
    only(path, b"old")
    write_atomically(path, b"new")
    only(path, b"new")


LIMITED = """
import os, resource, sys
from autograd_cnn.files import write_atomically
for limit in (0, 1, 1000, 4096, 99_999):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write_atomically(sys.argv[1], bytes(100_000))
    except OSError as error:
        print(limit, error.strerror, open(sys.argv[1], "rb").read(), os.listdir(os.path.dirname(sys.argv[1])))
"""


@posix
def test_a_file_size_limit_leaves_the_old_file(path):
    output = printed("-c", LIMITED, path, PYTHONPATH=os.path.dirname(os.path.dirname(files.__file__)))
    limits = 0, 1, 1000, 4096, 99_999
    assert output.splitlines() == [f"{limit} File too large b'old' ['model.bin']" for limit in limits]
    only(path, b"old")


def test_a_missing_folder_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder; mkdir -p creates it: ") as caught:
        write_atomically(tmp_path / "no" / "folder", b"x")
    assert caught.value.filename == str(tmp_path / "no")
    assert list(tmp_path.iterdir()) == []


@posix
def test_errors_name_the_file_that_the_user_named(path):
    with pytest.raises(NotADirectoryError) as caught:
        write_atomically(path / "inside", b"x")
    assert caught.value.filename == str(path / "inside")


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="needs a file whose reading fails")
def test_a_disk_that_fails_amid_a_file_is_an_error_that_names_the_file():
    with pytest.raises(OSError, match=os.strerror(errno.EIO)) as caught:
        files.read("/proc/self/mem", 4)
    assert caught.value.filename == "/proc/self/mem"


@posix
def test_pipes_and_folders_are_left_alone(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(OSError, match="not a regular file"):
            write_atomically(tmp_path / name, b"x")
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)
    assert sorted(os.listdir(tmp_path)) == ["folder", "pipe"]


@posix
def test_a_symbolic_link_is_followed(path, tmp_path):
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "latest.bin"
    link.symlink_to(path)
    write_atomically(link, b"new")
    assert link.is_symlink() and path.read_bytes() == b"new"
    assert os.listdir(tmp_path / "links") == ["latest.bin"]


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o444])
def test_the_mode_of_the_file_stays(path, mode, while_writing):
    path.chmod(mode)
    modes = []
    while_writing(lambda descriptor: modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode)))
    write_atomically(path, b"new")
    assert modes == [0o600]  # no secret is ever readable
    assert stat.S_IMODE(path.stat().st_mode) == mode


@posix
def test_a_new_file_gets_the_usual_mode(path):
    (path.parent / "usual").write_bytes(b"")
    write_atomically(path.with_name("new"), b"")
    assert path.with_name("new").stat().st_mode == path.with_name("usual").stat().st_mode


@pytest.mark.parametrize("name", ["n" * 255, "é" * 125, "😀" * 60])
def test_a_name_may_be_as_long_as_the_disk_allows(tmp_path, name):
    write_atomically(tmp_path / name, b"new")
    only(tmp_path / name, b"new")


def test_of_two_writers_the_last_to_end_has_written_the_file(path, while_writing):
    def write_another(descriptor):
        write_atomically(path, b"second")
        assert path.read_bytes() == b"second"

    while_writing(write_another)
    write_atomically(path, b"first and last")
    only(path, b"first and last")


SAVE_FOR_EVER = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("files", sys.argv[1])
files = importlib.util.module_from_spec(spec)
spec.loader.exec_module(files)
for number in range(int(sys.argv[3]), 1 << 32):
    files.write_atomically(sys.argv[2], number.to_bytes(4, "big") * 100_000)
    print(number, flush=True)
"""


@posix
@pytest.mark.parametrize("kills", [3, pytest.param(200, marks=pytest.mark.slow)])
def test_a_kill_loses_no_acknowledged_write(path, kills):
    """A process writes number after number, and is killed at random moments."""
    rng = random.Random(0)
    number = 0
    for _ in range(kills):
        command = [sys.executable, "-I", "-S", "-c", SAVE_FOR_EVER, files.__file__, str(path), str(number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            number = int(process.stdout.readline())
            select.select([], [], [], rng.uniform(0, 0.01))
            process.kill()
            acknowledged = [number, *map(int, process.stdout.read().split())]
        raw = path.read_bytes()
        number = int.from_bytes(raw[:4], "big")
        assert number >= acknowledged[-1] and raw == number.to_bytes(4, "big") * 100_000
        left = [entry for entry in path.parent.iterdir() if entry != path]
        assert len(left) <= 1 and all(re.fullmatch(r"model\.bin\.[0-9a-f]{8}\.part", entry.name) for entry in left)
        for entry in left:
            entry.unlink()
    write_atomically(path, b"the next save")
    only(path, b"the next save")
