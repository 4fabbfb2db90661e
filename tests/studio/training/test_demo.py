"""``python -m autograd_cnn demo`` writes its pages; the network of one of them is trained on drawn shapes."""

import os
import sys

from autograd_cnn.__main__ import main
from processes import printed
from studio.pages import facts_of


def test_the_demo_writes_four_pages(tmp_path):
    environment = {"PATH": "", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = "-W", "error", "-m", "autograd_cnn", "demo", tmp_path / "out", "--no-open"
    paths = printed(*command, cwd=tmp_path, **environment).split()
    pages = [tmp_path / "out" / f"{name}.html" for name in ("chain_rule", "spiral", "cnn", "broken")]
    assert paths == [str(path) for path in pages]
    counts = [len(facts_of(path.read_text(encoding="utf-8"))["frames"]) for path in pages]
    assert counts == [7, 4, 2, 1]


def test_demo_needs_a_folder(tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    assert main(["demo", str(tmp_path / "taken"), "--no-open"]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'taken'}: File exists\n"
