"""Pages of a graph have the same bytes in every process, change nothing, and have colours with contrast."""

import re
from pathlib import Path

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tape import history
from autograd_cnn.studio import assets
from autograd_cnn.studio.picture.overlays import OVERLAYS
from autograd_cnn.studio.picture.styles import DARK, LIGHT

WRITTEN = """
import sys
sys.path.insert(0, ".")
import numpy as np
import autograd_cnn as ag
rng = np.random.default_rng(0)
w = ag.Tensor(rng.normal(size=(3, 3, 2, 4)), requires_grad=True, name="w")
v = ag.Tensor(rng.normal(size=(4, 2)), requires_grad=True, name="v")
def f(p, x, y):
    h = ag.relu(ag.conv2d(x, w, padding=1)).mean(axis=(1, 2))
    return ag.cross_entropy(ag.linear(h, v) + ag.tanh(h @ p["u"]), y)
graph = ag.trace(f, {"u": np.ones((4, 2))}, rng.normal(size=(3, 5, 5, 2)), np.array([0, 1, 1]))
graph.save("backward.py")
program = graph.program()
import backward
loss, gradients = backward.step(*program.leaves.values())
assert loss == graph.loss and all((gradients[n] == g).all() for n, g in program.run()[1].items())
print(graph.svg(), graph.dot(), graph.page([("later", graph)]), program, program.source)
"""


def test_every_process_writes_the_same_bytes(python, tmp_path, monkeypatch):
    outputs = set()
    for seed in ("1", "2"):
        (tmp_path / seed).mkdir()
        monkeypatch.chdir(tmp_path / seed)
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        outputs.add(python(WRITTEN))
    (text,) = outputs
    assert str(tmp_path) not in text and " 0x" not in text
    assert "def step(p_u, x, y, w, v):" in text


LOOKS = {
    "graph": lambda graph: repr(graph), "program": lambda graph: str(graph.program()),
    "standalone": lambda graph: graph.program(standalone=True).source, "run": lambda graph: repr(graph.program().run()),
    "page": lambda graph: graph.page(), "dot": lambda graph: graph.dot(),
    **{str(overlay): lambda graph, overlay=overlay: graph.svg(overlay=overlay) for overlay in (None, *OVERLAYS)},
}  # fmt: skip


@pytest.mark.parametrize("name", LOOKS)
def test_a_look_changes_nothing(name, rng, weights):
    w = weights(3, name="w")
    w.sum().backward()
    w.grad[0] = 5
    loss = ag.sum(ag.tanh(w) * rng.normal(size=3))
    graph = ag.trace(lambda x: ag.sum(ag.tanh(w) * x), rng.normal(size=3), repeat=1)
    before, values, state = w.grad.copy(), w.data.copy(), np.random.get_state()[1].copy()
    saved, text = [n.saved for n in history(loss._node) if hasattr(n, "plan")], graph.svg()
    assert LOOKS[name](graph) == LOOKS[name](graph)
    if name not in ("run", "standalone", "time", "gradient", "zeros"):  # which need a trace
        LOOKS[name](loss.graph())
    assert [n.saved for n in history(loss._node) if hasattr(n, "plan")] == saved and graph.svg() == text
    assert np.array_equal(w.grad, before) and np.array_equal(w.data, values)
    assert np.array_equal(np.random.get_state()[1], state)
    assert loss.name is None and loss._node.walked is None
    loss.backward()
    w.data[0] = 5  # no lock is left


def test_overlays_differ(rng, weights):
    graph = ag.trace(lambda x, w: ag.sum(ag.tanh(w) * x), rng.normal(size=3), weights(3), repeat=1)
    assert len({LOOKS[str(overlay)](graph) for overlay in (None, *OVERLAYS)}) == 1 + len(OVERLAYS)


def contrast(one, other):
    def light(colour):
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_colours_have_contrast(dark):
    picture = DARK if dark else LIGHT
    for kind in ("input", "parameter", "op", "rule", "loss", "result"):
        assert contrast(picture[f"{kind}_line"], picture["page"]) >= 5
        assert contrast(picture["text"], picture[kind]) >= 9 and contrast(picture["quiet"], picture[kind]) >= 7
    assert all(contrast(picture[line], picture["page"]) >= 5 for line in ("forward", "backward", "kept", "frame"))
    steps = [picture[f"heat{step}"] for step in range(5)]
    assert all(contrast(picture[text], step) >= 4.5 for text in ("text", "quiet") for step in steps)
    blocks = re.findall(r":root \{(.*?)\}", (Path(assets.__file__).with_name("page.css")).read_text(), re.DOTALL)
    page = dict(re.findall(r"--(\w+): (#\w+);", blocks[dark]))
    assert [page[f"heat{step}"].upper() for step in range(5)] == steps
    for paper in ("page", "panel"):
        inks = "text", "quiet", "forward", "backward", "good", "bad"
        assert all(contrast(page[ink], page[paper]) >= 4.5 for ink in inks)
    assert contrast(page["text"], page["mark"]) >= 7 and all(contrast(page["text"], step) >= 4.5 for step in steps)
    assert all(contrast(page["on"], page[way]) >= 4.5 for way in ("forward", "backward"))
