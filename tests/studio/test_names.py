"""Names of every kind that carry markup or escape sequences stay text in every format.

Each name stands for a Tensor, a scope, a module's class, a function, a primitive, a file, an option and an error.
"""

import ast
import json
import re
from xml.etree import ElementTree

import pytest

import autograd_cnn as ag
from autograd_cnn.studio.live.run import run
from autograd_cnn.studio.picture.ladder import ladder
from studio.hostile import NAMES, called, network
from studio.pages import Page, facts_of

CONTROLS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


SVG = "{http://www.w3.org/2000/svg}"
QUICK = ("script", "end of script", "attribute", "entities", "terminal", "surrogate", "nul", "formula")


@pytest.fixture(params=[name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NAMES])
def name(request):
    return NAMES[request.param]


@pytest.fixture
def graph(name):
    f, arguments = network(name)
    return ag.trace(f, *arguments)


@pytest.fixture
def failed(name):
    """The graph of a call whose error has the name as its text."""
    f, arguments = network(name)

    def fails(p, x):
        f(p, x)
        raise called(name, ValueError)(name)

    with pytest.raises(ValueError) as caught:
        ag.trace(fails, *arguments)
    return caught.value.graph


@pytest.fixture
def both(graph, failed):
    return graph, failed


def spelled(name):
    """How a name is shown, with escapes in the place of what no page can hold."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def test_svg(both, name):
    root = ElementTree.fromstring(both[0].svg().encode())
    texts = ["".join(e.itertext()) for e in root.iter(f"{SVG}text")]
    assert any(text.startswith(spelled(name)[:30]) for text in texts)
    assert any(spelled(name) in (e.text or "") for e in root.iter(f"{SVG}title"))
    assert [e.get("class") for e in root.iter(f"{SVG}text")].count("frame-name") == 1
    for graph in both:
        text = graph.svg()
        assert not CONTROLS.search(text)
        tags = {e.tag.rpartition("}")[2] for e in ElementTree.fromstring(text.encode()).iter()}
        assert tags <= {"svg", "title", "style", "g", "rect", "path", "text", "tspan", "circle"}
        assert not Page(text).active


def test_dot(both, name, graphviz):
    for graph in both:
        assert not CONTROLS.search(graph.dot())
        root = ElementTree.fromstring(graphviz(graph.dot(), "svg"))
        assert graphviz(graph.dot(), "canon").decode().count(" -> ") == len(ladder(graph).wires)
        assert any((e.text or "").startswith(spelled(name)[:30]) for e in root.iter(f"{SVG}text"))


@pytest.mark.parametrize("suffix", [".png", pytest.param(".pdf", marks=pytest.mark.slow)])
@pytest.mark.usefixtures("graphviz")
def test_images(both, suffix, tmp_path):
    for graph in both:
        graph.save(tmp_path / f"g{suffix}")
        assert (tmp_path / f"g{suffix}").read_bytes()[:4] in (b"\x89PNG", b"%PDF")


def test_program(graph, tmp_path):
    program = graph.program()
    for text in (program.source, repr(program)):
        assert not CONTROLS.search(text)
        text.encode()
    ast.parse(program.source)
    loss, _ = program.run()
    assert loss == graph.loss
    graph.save(tmp_path / "net.py")


def test_page(both, name):
    for graph in both:
        text = graph.page()
        tags = Page(text)
        assert tags.tags.count("script") == 2 and not tags.active and not {"img", "b", "base"} & set(tags.tags)
        assert not CONTROLS.search(text)
        words = json.dumps(facts_of(text), ensure_ascii=False)
        assert not CONTROLS.search(words)
    values = facts_of(both[0].page())["frames"][0]["values"].values()
    assert spelled(name) in {v.get("full", v["name"]) for v in values if v["role"] == "parameter"}


def test_texts(both, name):
    for graph in both:
        for text in (repr(graph), str(graph), *graph.summary()):
            assert not CONTROLS.search(text), text


def test_notebook(both, name):
    for graph in both:
        bundle = graph._repr_mimebundle_()
        assert not CONTROLS.search("".join(bundle.values()))
        assert "script" not in Page("".join(bundle.values())).tags


def test_profile(name):
    f, arguments = network(name)
    with ag.profile() as p:
        f(arguments[0], ag.Tensor(arguments[1])).backward()
    assert not CONTROLS.search(str(p)) and not CONTROLS.search(repr(p))


def test_live(name):
    lines = "import autograd_cnn as ag", f"w = ag.Tensor([1.0, 2.0], True, {name!r})", "(w * w).sum().graph()"
    source = "\n".join(lines)
    result = next(run(source, lambda _: None))
    assert (
        not result["error"] and Page(result["page"]).tags.count("script") == 2 and not CONTROLS.search(result["page"])
    )
    result = next(run(f"raise ValueError({name!r})", lambda _: None))
    assert result["line"] == 1 and result["error"]
