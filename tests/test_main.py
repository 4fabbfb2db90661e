"""`python -m autograd_cnn`: info prints versions, check finds wrong primitives."""

import re
import signal
import sys

import numpy as np
import pytest

from autograd_cnn import __main__
from autograd_cnn.__main__ import main

RIGHT = """
import numpy as np
import autograd_cnn as ag

@ag.primitive
def swish(x):
    return x / (1 + np.exp(-x))

swish.vjp(x=lambda g, x, out: g * (out + ag.sigmoid(x) * (1 - out)))
"""
WRONG = RIGHT.replace("g * (out", "g * 1.001 * (out").replace("swish", "slip")
ROOT = """
import numpy as np
import autograd_cnn as ag

np.seterr(all="ignore")

@ag.primitive
def half_power(x):
    return np.sqrt(x)

half_power.vjp(x=lambda g, out: g / (2 * out))
"""
SCALED = """
import autograd_cnn as ag

@ag.primitive
def scaled(x, factor):
    return x * factor

scaled.vjp(x=lambda g, factor: g * factor)
"""


def test_info_prints_versions_for_a_bug_report(autograd_cnn):
    done = autograd_cnn("info", HOME="/nowhere", PATH="", LC_ALL="C")
    assert done.returncode == 0 and done.stderr == ""
    assert f"Python {'.'.join(map(str, sys.version_info[:3]))}, " in done.stdout
    assert f"\nnumpy {np.__version__}\n" in done.stdout


@pytest.mark.parametrize("arguments", [["--help"], []])
def test_help_says_what_the_commands_are_for_and_which_to_try(capsys, arguments):
    with pytest.raises(SystemExit, match="0"):
        main(arguments)
    text = " ".join(capsys.readouterr().out.split())
    assert "Train networks on images, ask and export them; watch backprop step by step;" in text
    first = "python -m autograd_cnn demo. With a folder of images for each class, in the folder photos: "
    assert text.endswith(f"To begin: {first}python -m autograd_cnn train photos")


def test_a_command_stops_quietly_if_its_output_is_closed(unread):
    """As other programs do, which SIGPIPE ends."""
    assert unread("info") == (141, b"")


def test_info_imports_no_heavy_package(python):
    assert (
        python("""
import contextlib, io, sys
from autograd_cnn.__main__ import main
from autograd_cnn.environment import command
with contextlib.redirect_stdout(io.StringIO()):
    main(["info"])
print(sorted({"matplotlib", "torch", "tqdm", "safetensors", "jinja2"} & sys.modules.keys()))
""")
        == "[]\n"
    )


CHECKS = {  # a file of primitives, the exit code, and what is printed
    "two that are right": (
        RIGHT + RIGHT.replace("swish", "twin"), 0, "ok    swish: 1 example\nok    twin: 1 example\n"),
    "an error of a thousandth": (
        RIGHT + WRONG, 1,
        r"ok    swish: 1 example\nFAIL  slip, input 0\[0, 0\]: rule .*everywhere by a factor of 1\.001\n"),
    "another shape": (
        RIGHT.replace("x / (1 + np.exp(-x))", "np.linalg.inv(x)"), 1,
        r"FAIL  swish: Last 2 dimensions of the array must be square\n"
        r"      on arrays of shape \(2, 3\); for others: @ag\.primitive\(examples=lambda rng: \[\(x, \.\.\.\)\]\)\n"),
    "nan": (ROOT, 1, r"FAIL  half_power, input 0\[.*nan.*\n.*examples=lambda rng.*\n"),
    "an input without a rule": (SCALED, 0, "ok    scaled: 1 example; no rule, so no gradient: factor\n"),
    "an unknown parameter": (
        RIGHT.replace("x, out: g", "x, ouput: g"), 2,
        r"my_ops\.py:9: TypeError: swish.vjp\(x\): the rule has an unknown parameter 'ouput'.*\n"),
    "a name that is taken": (RIGHT.replace("swish", "relu"), 2, r"my_ops\.py:5: ValueError: .*\n"),
    "no Python": (RIGHT.replace("return", "retrun"), 2, r"my_ops\.py: SyntaxError: .*\n"),
}  # fmt: skip


@pytest.mark.parametrize(("source", "code", "told"), CHECKS.values(), ids=CHECKS)
def test_check_says_which_primitives_are_right_and_what_is_wrong(autograd_cnn, tmp_path, source, code, told):
    (tmp_path / "my_ops.py").write_text(source)
    done = autograd_cnn("check", "my_ops.py")
    assert done.returncode == code and re.fullmatch(told, done.stderr if code == 2 else done.stdout), done


def test_check_finds_the_neighbours_of_the_file(autograd_cnn, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "formulas.py").write_text(RIGHT)
    (tmp_path / "deep" / "my_ops.py").write_text("import formulas")
    assert autograd_cnn("check", "deep/my_ops.py").stdout == "ok    swish: 1 example\n"


def test_check_needs_primitives(tmp_path, capsys):
    (tmp_path / "empty.py").write_text("")
    assert main(["check", str(tmp_path / "empty.py")]) == 2
    assert main(["check", str(tmp_path / "absent.py")]) == 2
    assert main(["check", str(tmp_path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("empty.py: registers no primitive. @ag.primitive above a function does")
    assert "absent.py: FileNotFoundError: " in lines[1] and lines[2].startswith(f"{tmp_path}: ImportError: ")


def test_ctrl_c_is_one_line_and_the_exit_code_of_a_shell(capsys, monkeypatch):
    monkeypatch.setattr(__main__.platform, "python_version", lambda: signal.raise_signal(signal.SIGINT))
    assert main(["info"]) == 130
    assert capsys.readouterr() == ("", "\ninterrupted\n")
