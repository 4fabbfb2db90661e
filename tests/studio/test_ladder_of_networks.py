"""The ladders of networks that people build: their names are whole, and say how much they stand for."""

import re

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.studio.picture.fold import Folding
from autograd_cnn.studio.picture.layout import Overlay, drawn
from studio.networks import NETWORKS
from studio.overlaps import overlaps_of


@pytest.fixture(scope="module")
def graphs():
    ag.nn.seed(0)
    return {name: ag.trace(build()) for name, build in NETWORKS.items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_players_ladder_fits_a_phone_and_no_two_parameters_have_the_same_name(graphs, name):
    page, graph = graphs[name].page(), graphs[name]
    assert not overlaps_of(page)
    assert all(float(width) <= 377 / 0.78 for width in re.findall(r'<svg [^>]*?width="([\d.]+)"', page))
    folding = Folding(graph)
    for depth in range(len(folding.rows)):
        view = folding.view(depth)
        narrow = drawn(view, Overlay(brief=13))
        texts = [text for box in narrow.boxes for text in (box.text, box.below)]
        assert not [text for text in texts if re.search(r"^line \d|^rule$|^(×\d*|\d+ [a-z]*)…", text)]
        leaves = {(box.frame, box.text, box.id.split("_")[0]) for box in narrow.boxes if re.match(r"t\d+_", box.id)}
        assert len({(frame, text) for frame, text, _ in leaves}) == len(leaves)


def test_folded_rows_begin_with_their_number(graphs):
    boxes = drawn(Folding(graphs["resnet"]).view(0), Overlay(brief=13)).boxes
    texts = {(box.text, box.below) for box in boxes}
    assert {("×3 Block", "layers.0-2"), ("×3 Block", "")} <= texts  # forward, backward
    assert {"18 parameters", "18 gradients", "cross_entropy"} <= {box.text for box in boxes}
    boxes = drawn(Folding(graphs["resnet"]).view(0), Overlay(brief=20)).boxes
    assert ("×3 Block layers.0-2", "18 operations") in {(box.text, box.below) for box in boxes}


def test_the_parameters_of_a_round_say_for_how_many_they_stand(graphs):
    picture = drawn(Folding(graphs["deep"]).view(1), Overlay(brief=20))
    texts = {(box.text, box.beside) for box in picture.boxes}
    assert {(f"{g}layers.{k}.{p}", "×49" * k) for g in ("", "g_") for k in (0, 1) for p in "wb"} <= texts
    assert 'layers.1.w <tspan class="quiet">×49 (4,4)</tspan>' in graphs["deep"].svg()
    whole = graphs["deep"].svg(depth=2)
    assert "layers.49.w" in whole and "×" not in whole


def test_gates_have_their_names_and_the_input_that_of_its_variable(graphs):
    for name, x in {"resnet": "x", "transformer": "X"}.items():
        assert f">{x} <tspan" in graphs[name].svg()
    names = {value.name for value in graphs["lstm"].values.values()}
    assert {"i", "f", "g", "o", "c", "h", "i_2", "o_6", "h_6"} <= names and ">g_f</text>" in graphs["lstm"].svg(depth=1)


def test_numbers_show_their_values():
    graph = ag.trace(lambda x, w, b: (ag.tanh(w * x + b) - 1.0) ** 2, 0.5, 1.2, -0.3)
    svg = re.sub(r' <tspan class="quiet">(.*?)</tspan>', r" \1", graph.svg())
    x, w, b = (ag.Tensor(v, requires_grad=True) for v in (0.5, 1.2, -0.3))
    h = w * x + b
    ((ag.tanh(h) - 1.0) ** 2).backward()
    for name, value, gradient in (("x", x, x), ("w", w, w), ("b", b, b), ("add", h, b)):
        assert f">{name} = {value.item():.4g}<" in svg and f">g_{name} = {gradient.grad.item():.4g}<" in svg
    assert "()<" not in svg and " B<" not in svg and "keeps" not in svg


def test_names_that_are_cut_stay_different():
    ends, middles = ("encoder_weights_1", "encoder_weights_2"), ("decoder_one_of_all", "decoder_two_of_all")
    w = [ag.Tensor(np.ones(2), requires_grad=True, name=name) for name in (*ends, *middles)]
    graph = (w[0] * w[1] * w[2] * w[3]).sum().graph()
    texts = {box.text for box in drawn(Folding(graph).view(), Overlay(brief=13)).boxes}
    assert {"encode…ghts_2", "g_encode…ghts_2", *middles, *(f"g_{name}" for name in middles)} <= texts
