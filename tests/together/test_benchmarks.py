"""The benchmarks compare equal computations, count the work of a step, and print their table. Nothing is timed here."""

import html
import importlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def _paths(monkeypatch):
    """The benchmarks are scripts, which import each other by name."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setenv("AUTOGRAD_CNN_NUM_THREADS", "1")
    before = set(sys.modules)
    yield
    for name in {path.stem for path in FOLDER.glob("*.py")} - before:
        sys.modules.pop(name, None)


def module(name):
    return importlib.import_module(name)


@pytest.mark.parametrize("name", ["standard CNN", "ResNet-20", "modern CNN"])
def test_a_network_computes_the_same_in_both_libraries(name):
    pytest.importorskip("torch")
    networks = module("networks")
    ours, theirs = (networks.inference(name, 2, layout).results() for layout in (None, "channels_last"))
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-3, atol=1e-3 * np.abs(ours[0]).max())


def test_gradients_come_back_in_our_order():
    """Those of the matrix behind the last convolution, whose rows PyTorch sorts by channel."""
    pytest.importorskip("torch")
    prepared = module("networks").Prepared
    ours, theirs = (prepared("standard CNN", 2, layout).gradients() for layout in (None, "contiguous_format"))
    assert [a.shape for a in ours] == [a.shape for a in theirs]
    for a, b in zip(ours, theirs, strict=True):
        assert np.linalg.norm(a - b) < 1e-3 * np.linalg.norm(b)


def test_onnxruntime_computes_the_same():
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    networks = module("networks")
    ours, theirs = networks.inference("standard CNN", 2), networks.onnx_inference("standard CNN", 2)
    np.testing.assert_allclose(ours.results()[0], theirs.results()[0], atol=1e-5)


def test_jax_computes_the_same():
    pytest.importorskip("jax")
    networks = module("networks")
    for ours, theirs in ((networks.inference("standard CNN", 2), networks.jax_inference(2)),
                         (networks.step("standard CNN", 2), networks.jax_step(2))):  # fmt: skip
        for a, b in zip(ours.results(), theirs.results(), strict=True):
            assert np.linalg.norm(a - b) < 1e-3 * np.linalg.norm(b)


def test_the_direct_products_of_a_step_follow_from_its_shapes():
    convolutions = [(32**2, 27, 32), (16**2, 288, 64), (8**2, 576, 128)]
    layers = [m * k * n for m, k, n in [*convolutions, (1, 2048, 256), (1, 256, 10)]]
    count = module("limits").count("standard CNN", 2)
    assert count.direct == 2 * (3 * sum(layers) - layers[0])  # images need no gradient


def test_winograd_multiplies_less_where_it_is_used():
    from autograd_cnn.fast.twins import kernel_set

    count = module("limits").count("standard CNN", 16)
    assert count.direct / 4 < count.multiplications <= count.direct
    assert (count.multiplications < count.direct) == (kernel_set() == "numba")


def test_bytes_of_a_linear_step():
    """Each array once forward, once backward, and thrice for the update of parameters."""
    import autograd_cnn as ag

    limits = module("limits")
    x, w = ag.Tensor(np.ones((5, 7), np.float32)), ag.Tensor(np.ones((7, 3), np.float32), requires_grad=True)
    graph = ag.matmul(x, w).graph()
    assert limits.moved(graph, momentum=False) == 4 * ((35 + 21 + 15) + (15 + 35 + 21) + 3 * 21)


def test_bytes_of_a_sum_of_two_paths():
    """The addition passes its gradient on; the two gradients of `w` are added."""
    import autograd_cnn as ag

    w = ag.Tensor(np.ones((5, 7), np.float32), requires_grad=True)
    graph = (ag.relu(w) + w).graph()
    relu, add, both, update = 2 + 3, 3, 3, 5
    assert module("limits").moved(graph, momentum=True) == 4 * 35 * (relu + add + both + update)


def test_the_table_marks_what_misses_its_aim():
    row = {
        "group": "Training step", "title": "a network", "unit": "s", "ratio": 0.75, "ratios": [0.7, 0.75, 0.8],
        "target": 0.7, "met": False, "ours": "autograd_cnn", "over": "PyTorch",
        "figures": {"autograd_cnn": {"median": 0.03, "least": 0.02}, "PyTorch": {"median": 0.04, "least": 0.03},
                    "tuned PyTorch, compiled": {"median": 0.05, "least": 0.05}},
    }  # fmt: skip
    met = {**row, "ratio": 0.65, "ratios": [0.65], "met": True}
    text = module("table").table_of({"rows": [{**row, "kernels": "numba"}, {**met, "kernels": "numpy"}]})
    *_, group, line = text.splitlines()
    assert group == "| **Training step** | | | | | | | |"
    assert line == "| a network | 30.0 ms | 40.0 ms | **0.75** (0.70 to 0.80) | 0.7 | compiled 50.0 ms | 0.65 | 0.7 |"


ROOT, ALONE = Path(__file__).parents[2], "Convolution alone"


def rows_of(page):
    """The figures of a page, in rows whose first cell has the group, the title and perhaps a remark in brackets."""
    found = re.findall(
        r"^\| ([A-Z][\w, +]+: [^|(]+?)(?: \([^|]*\))? \| (.+) \|$", (ROOT / page).read_text(encoding="utf-8"), re.M
    )
    return {name: cells.split(" | ") for name, cells in found}


@pytest.fixture
def measured():
    """The rows of the JSON file beside the docs, as the table prints them."""
    document = json.loads((ROOT / "docs" / "benchmark.json").read_text(encoding="utf-8"))
    group, rows = "", {}
    for line in module("table").table_of(document).splitlines()[2:]:
        title, ours, theirs, ratio, *_, numpy, _ = line.replace("*", "").removesuffix("|").split("|")[1:]
        group = group if ours.strip() else title.strip()
        rows[f"{group}: {title.strip()}"] = [cell.strip() for cell in (ours, theirs, ratio, numpy)]
    return document, rows


def test_the_chart_says_which_side_is_the_better_one_and_has_the_rows_of_the_file(measured):
    document, _ = measured
    words = html.unescape(re.sub("<.*?>", " ", (ROOT / "docs" / "benchmark.svg").read_text(encoding="utf-8")))
    assert "A bar to the left of 1 is faster or smaller, a bar to the right of 1 slower or larger" in words
    drawn = [row for row in document["rows"] if "ratio" in row and (row["group"] != "Own limits" or row["target"])]
    assert drawn and all(row["title"] in words and f"{row['ratio']:.2g}"[:3] in words for row in drawn)


@pytest.mark.parametrize("page", ["README.md", "docs/performance.md"])
def test_the_figures_of_a_page_are_those_of_the_file(measured, page):
    _, rows = measured
    stated = rows_of(page)
    assert len(stated) >= 7
    for name, cells in stated.items():
        assert cells == rows[name][: len(cells)], name


def test_the_page_lists_every_row_in_which_another_library_is_faster(measured):
    document, _ = measured
    rows = [row for row in document["rows"] if row["kernels"] == "numba" and row["ratio"] > 1 / 0.9]
    slower = {f"{row['group']}: {row['title']}" for row in rows if row["group"] not in ("Own limits", ALONE)}
    assert slower == set(rows_of("docs/performance.md"))


def test_every_row_measures_a_contest_that_exists():
    rows, contests, networks = module("rows").rows(2), module("works").CONTESTS, module("networks").NETWORKS
    assert len({(row.group, row.title) for row in rows}) == len(rows)
    for row in rows:
        assert row.contest in (networks if row.kind == "limit" else ["", *contests]), row
