"""Mermaid text: the edges of the ladder, nested frames, and no name that Mermaid could take for syntax."""

import re

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.studio.picture.ladder import ladder

LINE = re.compile(
    r"""---|flowchart\ TD|end|title:\ "[^"\\]*"|[a-z]\w*
    |classDef\ \w+\ [\w:#,\ -]+
    |subgraph\ f\d+\ \["[^"`\[\]{}<>\\]*"\]
    |\w+(\[\[|\(\[|\[|\()"[^"`\[\]{}\\|]*"(\]\]|\]\)|\]|\)):::\w+
    |\w+\ (-->|-\.->|-\.-)(\|"[^"`\[\]{}<>\\|]*"\|)?\ \w+""",
    re.VERBOSE,
)


@pytest.mark.parametrize("name", ["cnn", "residual", "blocks", "matrix", "leaf", "recurrent", "two ways out"])
def test_it_has_the_boxes_edges_and_frames_of_the_ladder(models, name):
    text, picture = models[name].mermaid(depth=1), ladder(models[name], 1)
    lines = text.splitlines()
    assert all(LINE.fullmatch(line) for line in lines), [line for line in lines if not LINE.fullmatch(line)]
    edges = re.findall(r"^(\w+) (-->|-\.->|-\.-)(?:\|.*\|)? (\w+)$", text, re.M)
    arrows = {"forward": "-->", "backward": "-.->", "kept": "-.-"}
    assert edges == [(w.tail, arrows[w.kind], w.head) for w in picture.wires]
    assert re.findall(r"^(\w+)[\[(]+\"", text, re.M) == [box.id for box in picture.boxes]
    depth = 0
    for line in lines:
        depth += line.startswith("subgraph") - (line == "end")
        assert depth >= 0
    assert depth == 0 and text.count("subgraph") == len(picture.frames)


@pytest.mark.parametrize(
    "name",
    [
        'a"b',
        "a`b",
        "</script>",
        "<b>x</b>",
        "end",
        "a\nb",
        "#quot;",
        "a|b",
        "%%{init: {}}%%",
        "a]-->b",
        "\\N",
        "🙂",
        "x" * 10_000,
    ],
)
def test_hostile_names_stay_text(weights, name):
    with ag.scope(name):
        h = ag.sum(weights(2, name=name) * ag.Tensor(np.ones(2), name=name))
        h.name = name
    text = (h * 1).graph().mermaid()
    assert all(LINE.fullmatch(line) for line in text.splitlines()), text
    shown = re.sub(r"#(\d+);", lambda m: chr(int(m[1])), text)
    assert name.replace("\n", "\\n")[:30] in shown


def test_too_many_edges_are_refused_with_a_cure(weights):
    y = weights(1)
    for _ in range(300):
        y = y + 1.0
    with pytest.raises(ValueError) as caught:
        y.graph().mermaid(depth=2)
    assert str(caught.value) == (
        "graph: 603 edges are too many for Mermaid (at most 400). A smaller depth draws fewer; .svg and .dot take more"
    )


def test_save_writes_it(models, tmp_path):
    models["square"].save(tmp_path / "g.mmd")
    assert (tmp_path / "g.mmd").read_text(encoding="utf-8") == models["square"].mermaid()
