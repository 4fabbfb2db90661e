"""Networks to draw, written as plain forward code."""

import linecache
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.studio.names import Source
from studio.programs import leaf

SHAPES = {
    "w1": (3, 3, 3, 32), "b1": (32,), "w2": (3, 3, 32, 64), "b2": (64,), "w3": (3, 3, 64, 128), "b3": (128,),
    "w4": (2048, 256), "b4": (256,), "w5": (256, 10), "b5": (10,),
}  # fmt: skip


def standard_cnn(p, x, y):
    h = ag.conv2d(x, p["w1"], p["b1"], padding=1)
    r = ag.relu(h)
    m = ag.max_pool2d(r, 2)
    h = ag.conv2d(m, p["w2"], p["b2"], padding=1)
    r = ag.relu(h)
    m = ag.max_pool2d(r, 2)
    h = ag.conv2d(m, p["w3"], p["b3"], padding=1)
    r = ag.relu(h)
    m = ag.max_pool2d(r, 2)
    f = ag.flatten(m, 1)
    u = ag.linear(f, p["w4"], p["b4"])
    v = ag.relu(u)
    z = ag.linear(v, p["w5"], p["b5"])
    q = ag.sigmoid(z)
    return ag.bce(q, y)


def cnn_arguments(rng):
    parameters = {
        name: ag.Tensor((0.02 * rng.normal(size=shape)).astype(np.float32), requires_grad=True)
        for name, shape in SHAPES.items()
    }
    images = rng.uniform(size=(4, 32, 32, 3)).astype(np.float32)
    return parameters, images, np.eye(10, dtype=np.float32)[[0, 1, 2, 3]]


def cnn_loss(rng):
    return standard_cnn(*cnn_arguments(rng))


@pytest.fixture(scope="session", autouse=True)
def files_are_parsed_once():
    """A trace parses the file that it is in. Hundreds of tests trace, in few files."""
    parse, parsed = Source._parse, {}

    def once(source, file):
        try:
            lines = tuple(linecache.getlines(file))
        except UnicodeEncodeError:  # of a name that no file can have
            lines = ()
        if lines not in parsed:
            parse(source, file)
            parsed[lines] = source.files[file], source.modules[file]
        source.files[file], source.modules[file] = parsed[lines]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Source, "_parse", once)
        yield


@pytest.fixture(name="standard_cnn")
def standard_cnn_fixture():
    """The standard CNN as a function, with `arguments` to call it on."""
    standard_cnn.arguments = cnn_arguments
    return standard_cnn


@pytest.fixture
def cnn(rng):
    """The loss of the standard CNN on four images."""
    return cnn_loss(rng)


@pytest.fixture
def weights(rng):
    """A leaf of that shape."""
    return lambda *shape, name=None: ag.Tensor(rng.normal(size=shape), requires_grad=True, name=name)


@pytest.fixture
def w(rng):
    """A named leaf of that shape."""
    return lambda name, *shape: leaf(rng.normal(size=shape), name)


@pytest.fixture(scope="session")
def models():
    """Graphs of different kinds, by name; tests must not change them."""
    rng = np.random.default_rng(0)

    def weights(*shape, name=None):
        return ag.Tensor(rng.normal(size=shape), requires_grad=True, name=name)

    def residual(x, w, y):
        r = ag.relu(ag.conv2d(x, w, padding=1))
        s = r + ag.conv2d(r, w, padding=1)
        return ag.mse(ag.relu(s), y)

    def hub(x, w):
        h = x
        for _ in range(5):
            h = ag.tanh(h @ w) + x
        return ag.sum(h)

    def branches(x):
        parts = [x * k for k in range(2, 8)]
        return ag.concatenate(parts).sum()

    def dense(x):
        a = x + 1.0
        b = ag.exp(a)
        c = ag.sin(b)
        d = ag.tanh(a + c)
        return ag.sum(ag.exp(b * d) * c + d)

    def scaled(w, x):
        return ag.sum(ag.tanh(x * 2.0 - 1.0) * w + x)

    def detached(x, w):
        h = ag.tanh(w * x)
        one = h * ag.exp(h.detach())
        two = ag.sin(one)
        three = two * ag.cos(one) + one
        return ag.sum(three * ag.exp(one.detach()))

    class Block(ag.nn.Module):
        def __init__(self):
            self.conv1 = ag.nn.Conv2d(4, 4, 3, padding=1, rng=rng)
            self.conv2 = ag.nn.Conv2d(4, 4, 3, padding=1, rng=rng)

        def forward(self, x):
            return ag.relu(self.conv2(ag.relu(self.conv1(x))) + x)

    class Residual(ag.nn.Module):
        def __init__(self):
            self.stem = ag.nn.Conv2d(4, 4, 3, padding=1, rng=rng)
            self.blocks = [Block() for _ in range(3)]
            self.fc = ag.nn.Linear(4, 3, rng=rng)

        def forward(self, x):
            x = self.stem(x)
            for block in self.blocks:
                x = block(x)
            return self.fc(x.mean(axis=(1, 2)))

    class Cell(ag.nn.Module):
        def __init__(self):
            self.inner = ag.nn.Linear(3, 3, rng=rng)

        def forward(self, x, h):
            return ag.tanh(self.inner(h) + x)

    class Recurrent(ag.nn.Module):
        def __init__(self):
            self.cell = Cell()
            self.start = ag.Tensor(rng.normal(size=(2, 3)).astype("f"), requires_grad=True)

        def forward(self, x):
            h, states = self.start, []
            for t in range(12):
                h = self.cell(x[t], h)
                states.append(h)
            return ag.stack(states).mean()

    def nested(w, v):
        for _ in range(3):
            for _ in range(5):
                w = ag.tanh(w @ v)
            w = ag.relu(w)
        return w.mean()

    def two_ways_out(w, x):
        with ag.scope("encoder"):
            h = ag.tanh(w * x)
            k = ag.sin(h)
        with ag.scope("decoder"), ag.scope("inner"):
            u = ag.exp(h) + k
        return ag.sum(u * h * k)

    blocks = Residual()
    recurrent = Recurrent()
    image = rng.normal(size=(2, 6, 6, 4))
    return {
        "cnn": cnn_loss(rng).graph(),
        "residual": ag.trace(residual, image, weights(3, 3, 4, 4), rng.normal(size=(2, 6, 6, 4))),
        "hub": ag.trace(hub, rng.normal(size=(5, 8)), weights(8, 8)),
        "branches": ag.trace(branches, rng.normal(size=3)),
        "dense": ag.trace(dense, rng.normal(size=3)),
        "square": ag.trace(lambda x: x * x + x, 3.0),
        "matrix": ag.trace(lambda x, w: x @ w, rng.normal(size=(2, 3)), weights(3, 4)),
        "data first": ag.trace(scaled, weights(3), rng.normal(size=3)),
        "detached": ag.trace(detached, rng.normal(size=3), weights(3, name="w")),
        "second derivative": ag.trace(ag.grad(ag.grad(lambda x: ag.sin(x) * x)), 1.3),
        "leaf": weights(3, name="w").graph(),
        "blocks": ag.trace(lambda x, y: ag.mse(blocks(x), y), image.astype("f"), np.ones((2, 3), "f")),
        "recurrent": ag.trace(lambda x: recurrent(x), rng.normal(size=(12, 2, 3)).astype("f")),
        "nested": ag.trace(nested, weights(2, 3), weights(3, 3)),
        "two ways out": ag.trace(two_ways_out, weights(3), rng.normal(size=3)),
        "many inputs": ag.trace(lambda *x: ag.stack(x).sum(), *rng.normal(size=(6, 2))),
    }


@pytest.fixture
def drawn():
    """An SVG text, parsed."""
    return lambda text: ElementTree.fromstring(text.encode())


@pytest.fixture
def graphviz():
    """Run Graphviz's `dot` on a text."""
    program = shutil.which("dot")
    if program is None:
        pytest.skip("the program dot (Graphviz) is not on PATH")

    def run(text, form):
        done = subprocess.run([program, f"-T{form}"], input=text.encode(), capture_output=True, check=False)
        assert done.returncode == 0 and not done.stderr, done.stderr.decode()
        return done.stdout

    return run


@pytest.fixture
def edges_of():
    """(tail, head) of every edge in a DOT text of ours."""
    return lambda text: re.findall(r'^"(\w+)" -> "(\w+)" \[style=(\w+)', text, re.M)


@pytest.fixture
def textbook():
    """Without the faster functions, if they are there."""
    fast = sys.modules.get("autograd_cnn.fast.attach")
    if fast:
        fast.detach()
    yield
    if fast:
        fast.attach()


@pytest.fixture(scope="module")
def taught(browser):
    """The facts of a page's first moment, with the formulas, checks and plots that its script makes of them.

    All rules are judged here, so the page tells whether they are right.
    """
    page = browser.new_page()

    def found(html):
        page.goto("about:blank")  # scripts of the page before are forgotten
        page.set_content(html)
        page.wait_for_selector("body.ready", state="attached")
        return page.evaluate("""() => {
            facts.ops.forEach((_, k) => judged.set(k, true));
            const steps = facts.steps.map((step) => ({ ...step, formulas: formulasOf(step) }));
            return { ...facts, steps, update: facts.update && { ...facts.update, ...updateOf(facts.update) } }; }""")

    return found
