"""A browser that opens pages of the player, and networks to step through."""

from pathlib import Path

import numpy as np
import pytest

import autograd_cnn as ag
from studio.pages import CUT, load

WALK = (Path(__file__).parent / "walk.js").read_text(encoding="utf-8").replace("CUT", CUT)


@pytest.fixture
def opened(browser, tmp_path):
    """Open a page's text from a file; afterwards, check that it requested nothing else and logged no error."""
    contexts, requests, logged = [], [], []

    def open_(text, fragment="", width=1280, **options):
        contexts.append(browser.new_context(viewport={"width": width, "height": 800}, offline=True, **options))
        contexts[-1].on("request", lambda request: requests.append(request.url))
        contexts[-1].on("console", lambda message: logged.append(message.text))
        contexts[-1].on("weberror", lambda error: logged.append(str(error.error)))
        return load(contexts[-1], tmp_path / f"page{len(contexts)}.html", text, fragment)

    yield open_
    for context in contexts:
        context.close()
    requests = [url for url in requests if not url.startswith("data:image/png")]
    assert len(requests) == len(contexts) and all(url.startswith("file:") for url in requests) and not logged


def net(x, w, v, y):
    h = ag.tanh(x @ w)
    r = h + ag.relu(h @ v)
    s = r * h
    return ag.mse(s, y)


@pytest.fixture(scope="session")
def small():
    """A page of a network in which h is used three times, and the network's parameters with their gradients."""
    rng = np.random.default_rng(0)
    w, v = (ag.Tensor(rng.normal(size=s).astype(np.float32), True, n) for n, s in (("w", (3, 5)), ("v", (5, 5))))
    x, y = (rng.normal(size=s).astype(np.float32) for s in ((4, 3), (4, 5)))
    net(x, w, v, y).backward()
    return ag.trace(net, x, w, v, y).page(), w, v


class Block(ag.nn.Module):
    def __init__(self, rng):
        self.a, self.b = ag.nn.Linear(4, 4, rng=rng), ag.nn.Linear(4, 4, rng=rng)

    def forward(self, x):
        return ag.tanh(self.b(ag.relu(self.a(x)))) + x


class Blocks(ag.nn.Module):
    def __init__(self, rng):
        self.blocks = [Block(rng) for _ in range(3)]

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return ag.sum(x * x)


@pytest.fixture(scope="session")
def blocks():
    """Three equal modules of five operations, traced, with times."""
    rng = np.random.default_rng(0)
    model = Blocks(rng)
    return ag.trace(lambda x: model(x), rng.normal(size=(2, 4)).astype(np.float32), repeat=1)


@pytest.fixture(scope="session")
def lstm():
    """The page of an LSTM that reads four numbers, one after the other."""
    rng = np.random.default_rng(0)
    layer, head, y = ag.nn.LSTM(3, 5, rng=rng), ag.nn.Linear(5, 2, rng=rng), np.array([0, 1])
    x = rng.normal(size=(2, 4, 3)).astype(np.float32)
    return ag.trace(lambda x: ag.cross_entropy(head(layer(x)[0][:, -1]), y), x).page()


@pytest.fixture(scope="session")
def cnn_page():
    """The standard CNN with its arguments, and its page."""
    rng = np.random.default_rng(0)
    w = {
        "w1": (3, 3, 3, 32), "b1": (32,), "w2": (3, 3, 32, 64), "b2": (64,), "w3": (1024 * 4, 10),
    }  # fmt: skip
    p = {n: ag.Tensor((0.1 * rng.normal(size=s)).astype(np.float32), True, n) for n, s in w.items()}
    x, y = rng.uniform(size=(4, 32, 32, 3)).astype(np.float32), np.arange(4)

    def loss_of(p, x, y):
        r1 = ag.relu(ag.conv2d(x, p["w1"], p["b1"], padding=1))
        r2 = ag.relu(ag.conv2d(ag.max_pool2d(r1, 2), p["w2"], p["b2"], padding=1))
        return ag.cross_entropy(ag.flatten(ag.max_pool2d(r2, 2), 1) @ p["w3"], y)

    return p, (lambda: loss_of(p, x, y)), ag.trace(loss_of, p, x, y).page()


@pytest.fixture(scope="session")
def chain():
    """A function of two numbers, which uses the first one three times."""

    def chain(x, y):
        h = x * y
        s = ag.sin(h)
        t = s + x * x
        return ag.exp(-t)

    return chain


@pytest.fixture(scope="session")
def scalars(chain):
    """Its page."""
    return ag.trace(chain, 0.5, 1.2).page()


@pytest.fixture
def walk(opened):
    """Walk a page forward in a wide window, and back in narrower ones with all panels open; return the complaints."""

    def walk(text, *more):
        complaints, page = [], opened(text)
        for width in 1280, 320, *more:
            back = width != 1280
            page.set_viewport_size({"width": width, "height": 800})
            if back:
                page.evaluate("document.querySelectorAll('main details').forEach((panel) => (panel.open = true))")
            shown = page.evaluate(WALK, back)
            steps, positions, *_ = zip(*shown, strict=True)
            last = page.evaluate("facts.steps.length - 1")
            want = range(last, last - len(steps), -1) if back else range(len(steps))
            if list(steps) != [*want] or len(set(positions)) != len(steps):
                complaints.append(f"{width}: the steps were {positions}")
            complaints += [f"{width}: step {step} says something else" for step, _, told, *_ in shown if not told]
            complaints += [f"{width}: step {step} is {more} px too wide" for step, *_, more, _ in shown if more > 0]
            complaints += [f"{width}: step {step}: {doubt}" for step, *_, doubts in shown for doubt in doubts]
        complaints += [name for name in ("#taken", "img[src=x]") if page.query_selector(name)]
        complaints += [page.title()] * (not page.title().startswith("Backprop player"))
        page.close()
        return complaints

    return walk
