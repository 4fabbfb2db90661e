"""``python -m autograd_cnn demo`` writes its pages; the network of one of them is trained on drawn shapes."""

import os
import subprocess
import sys

from autograd_cnn.__main__ import main
from studio.pages import facts_of


def test_the_demo_writes_four_pages(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "autograd_cnn", "demo", str(tmp_path / "out"), "--no-open"],
        cwd=tmp_path,
        env={**os.environ, "PATH": "", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pages = [tmp_path / "out" / f"{name}.html" for name in ("chain_rule", "spiral", "cnn", "broken")]
    assert done.stdout.split() == [str(path) for path in pages]
    counts = [len(facts_of(path.read_text(encoding="utf-8"))["frames"]) for path in pages]
    assert counts == [7, 4, 2, 1]


def test_demo_needs_a_folder(tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    assert main(["demo", str(tmp_path / "taken"), "--no-open"]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'taken'}: File exists\n"
