"""The demos, one of which draws its images with `ag.data`, are walked by keyboard, forward and back."""

import runpy
from pathlib import Path

import pytest

from autograd_cnn import studio

DEMOS = sorted((Path(studio.__file__).parent / "player" / "demos").glob("*.py"))


@pytest.mark.parametrize("path", DEMOS, ids=lambda path: path.stem)
def test_a_demo_is_walked(walk, path, tmp_path):
    script = tmp_path / path.name
    script.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    runpy.run_path(str(script), run_name="__main__")
    assert walk(script.with_suffix(".html").read_text(encoding="utf-8")) == []
