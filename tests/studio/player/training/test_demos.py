"""The demos, one of which draws its images with `ag.data`, are walked by keyboard, forward and back."""

import runpy
from pathlib import Path

import pytest

from autograd_cnn import studio
from studio.overlaps import overlaps_of
from studio.pages import facts_of

OVERLAPS = (Path(__file__).parents[1] / "overlaps.js").read_text(encoding="utf-8")
DEMOS = sorted((Path(studio.__file__).parent / "player" / "demos").glob("*.py"))


RIGHT = {
    "i, j  #": "2 * i, 2 * j  #", "g @ w": "g @ w.T", "g[0]": "np.sum(g, axis=0)", "g * (y >= x)": "g * (y > x)",
    "g * np.ones_like(x)": "g * np.ones_like(x) / x.size",
}  # fmt: skip


def test_the_remarks_of_the_broken_rules_say_what_is_right(tmp_path, monkeypatch):
    shown, source = [], (DEMOS[0].parent / "broken.py").read_text(encoding="utf-8")
    monkeypatch.setattr("autograd_cnn.studio.graph.show_page", shown.append)
    for name in "wrong", "right":
        script = tmp_path / f"{name}.py"
        script.write_text(source, encoding="utf-8")
        runpy.run_path(str(script), run_name="__main__")
        for wrong, right in RIGHT.items():
            assert f": {right.removesuffix('  #')}\n" in source
            source = source.replace(wrong, right, 1)
    good = [[op["test"]["good"] for op in facts_of(text)["frames"][0]["ops"] if op["own"]] for text in shown]
    assert good == [[False] * 4 + [True, False], [True] * 6]  # one was right from the start


@pytest.mark.parametrize("path", DEMOS, ids=lambda path: path.stem)
def test_a_demo_is_walked_and_fits(walk, opened, path, tmp_path, monkeypatch):
    shown, script = [], tmp_path / path.name  # a user's file is outside of the package
    script.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr("autograd_cnn.studio.graph.show_page", shown.append)
    runpy.run_path(str(script), run_name="__main__")
    (text,) = shown
    assert walk(text, 390, 900, 1920) == []
    assert overlaps_of(text) == []
    for width in 1280, 900, 390:
        page = opened(text, width=width)
        for step in "Home", "l", "End":
            page.keyboard.press(step)
            assert page.evaluate(OVERLAPS) == [], (width, step)
        svg = page.locator("#picture svg:not([hidden])")
        fits = svg.evaluate("(svg) => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width")
        more = page.evaluate("$('picture').scrollWidth - $('picture').clientWidth")
        assert fits > (0.88 if width == 390 else 0.999) and more <= 0, width  # on a phone it may shrink a little
