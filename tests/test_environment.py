"""The interpreter in printed commands, and text for a terminal."""

import os
import shlex
import subprocess
import sys
from types import SimpleNamespace

import pytest

from autograd_cnn.environment import command, needs, plain, program

# Commands


@pytest.mark.skipif(os.name == "nt", reason="paths and shells are others there")
@pytest.mark.parametrize(
    ("place", "shown"),
    [("/my env/bin/python3", "'/my env/bin/python3'"), ("/opt/bin/python", "/opt/bin/python"), ("", "python3")],
)
def test_a_command_has_the_interpreter_in_use(monkeypatch, place, shown):
    monkeypatch.setattr(sys, "executable", place)
    assert command("-m", "autograd_cnn", "my run") == f"{shown} -m autograd_cnn 'my run'"


@pytest.mark.parametrize("name", ["", "-c", "-m", "/usr/lib/python3/ipykernel_launcher.py"])
def test_an_interactive_session_has_no_command(monkeypatch, name):
    monkeypatch.setattr(sys, "argv", ["train.py", "--out", "my run"])
    assert program() == command("train.py", "--out", "my run")
    monkeypatch.setattr(sys, "argv", [name, "-f", "kernel.json"])
    assert program() == ""


def test_a_package_that_runs_has_its_name_in_the_command(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/lib/autograd_cnn/__main__.py", "train", "photos"])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", SimpleNamespace(parent="autograd_cnn"))
    assert program() == command("-m", "autograd_cnn", "train", "photos")


@pytest.mark.skipif(os.name == "nt", reason="another shell there")
def test_a_printed_command_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = command("-c", "import sys; print(sys.argv[1:], sys.executable)", "a b", "$HOME", "it's", tmp_path)
    done = subprocess.run(text, shell=True, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == f"{['a b', '$HOME', chr(105) + 't' + chr(39) + 's', str(tmp_path)]} {sys.executable}"
    assert shlex.split(text)[1] == "-c"


def test_an_import_that_fails_inside_a_package_is_shown():
    with pytest.raises(ImportError, match=r"^x needs y \(libfoo\.so is missing\): "), needs("y", "x"):
        raise ImportError("libfoo.so is missing")


@pytest.mark.parametrize(("text", "shown"), [
    ("cat", "cat"),
    ("Übung 1/猫", "Übung 1/猫"),
    ("a\nb\x1b[2J\x07", "a\\nb\\x1b[2J\\x07"),
    ("\u202eb\udcff", "\\u202eb\\udcff"),
])  # fmt: skip
def test_text_for_a_terminal_has_no_controls(text, shown):
    assert plain(text) == shown
