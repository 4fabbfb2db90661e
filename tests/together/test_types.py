"""Type checkers know the package: mypy, and pyright where it is installed, read the program below.

A line that ends in ``#: type`` is an expression of that type, one that ends in ``#: error`` is a mistake, and no other
line is wrong. A network of one's own has no wrong line under the strict rules of both. Every public name is public to
them, too.
"""

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import autograd_cnn as ag
from autograd_cnn.engine.primitive import Primitive

PROGRAM = """
from typing import Any

import numpy as np

import autograd_cnn as ag
from autograd_cnn import nn

t = ag.Tensor(np.ones((2, 3)), requires_grad=True)
a = np.ones((2, 3))

# Operators, methods
t * 2  #: Tensor
2 * t  #: Tensor
a * t  #: Tensor
a @ t  #: Tensor
np.float32(2) * t  #: Tensor
np.exp(t)  #: Any
t + t  #: Tensor
1 - t  #: Tensor
t / 2  #: Tensor
t**2  #: Tensor
t @ t  #: Tensor
-t  #: Tensor
abs(t)  #: Tensor
t[0]  #: Tensor
t[:, None]  #: Tensor
t > 0  #: ndarray
t.T  #: Tensor
t.mT  #: Tensor
t.at[0].set(1)  #: Any
t.sum()  #: Tensor
t.mean(axis=0)  #: Tensor
t.reshape(3, 2)  #: Tensor
t.relu()  #: Tensor
t.softmax(axis=0)  #: Tensor
t.detach()  #: Tensor
t.data  #: ndarray
t.shape  #: tuple[int, ...]
t.backward()  #: None
t.argmax(axes=0)  #: error

# Operations
ag.add(1, t)  #: Tensor
ag.add(a, t)  #: Tensor
ag.bce_with_logits(t, a, reduction="sum")  #: Tensor
ag.concat([t, t])  #: Tensor
ag.conv2d(a, t)  #: Tensor
ag.cross_entropy(t, a, label_smoothing=0.1)  #: Tensor
ag.divide(1, t)  #: Tensor
ag.dropout(t, 0.5, np.random.default_rng(0))  #: Tensor
ag.contract("ij,ij->", a, t)  #: Tensor
ag.linear(a, t, t)  #: Tensor
ag.pad(t, ((1, 0), (2, 1)))  #: Tensor
ag.pad(t, 1, mode="edge")  #: Tensor
ag.permute_dims(t, (1, 0))  #: Tensor
ag.rot90(t)  #: Tensor
ag.set_at(a, 0, t)  #: Tensor
ag.special.gammaln(t)  #: Tensor
ag.special.xlogy(2, t)  #: Tensor
ag.stats.norm.logpdf(t)  #: Any
ag.where(a > 0, 0, t)  #: Tensor
ag.relu(a)  #: Any
ag.linear(a, a, b=a)  #: Any
ag.rleu(t)  #: error
ag.relu()  #: error
ag.relu(t, 1)  #: error
ag.conv2d(t)  #: error
ag.conv2d(t, t, nonsense=4)  #: error
ag.conv2d(t, t, stride="a")  #: error
ag.conv2d(t, t, padding="smae")  #: error
ag.sum(t, dim=0)  #: error
ag.mse(t, a, reduction="avg")  #: error
ag.max_pool2d(a)  #: error


# Your own
@ag.primitive
def swish(x, beta=1.0):
    return x / (1 + np.exp(-beta * x))


@ag.primitive(examples=lambda rng: [(rng.normal(size=3),)], symbol="~")
def swoosh(x: np.ndarray, beta: float = 1.0) -> np.ndarray:
    return x * beta


swish.vjp(x=lambda g, x, out, beta: g * (beta * out + ag.sigmoid(beta * x) * (1 - beta * out)))
swoosh.into(x=lambda buffer, g: None)
swoosh.accelerate(x=lambda formula: formula, may_write=True)
swish(t)  #: Tensor
swish(t, beta=2.0)  #: Tensor
swish(t, 2.0)  #: Tensor
swoosh(t)  #: Tensor
swoosh(t, beta=2.0)  #: Tensor
swoosh(a)  #: Any
swish()  #: error
swish(t, gamma=1.0)  #: error
swoosh(t, beta="x")  #: error
swoosh.vjp(x=4)  #: error


# Functions of functions
def f(x: ag.Tensor, y: Any = 1.0) -> ag.Tensor:
    return ag.sum(x * y)


ag.grad(f)(a)  #: Any
ag.value_and_grad(f, (0, 1))(a, a)  #: Any
ag.jacobian(f)(a)  #: Any
ag.vjp(f, a)[0]  #: Any
ag.hvp(f, (a,), (a,))  #: tuple[Any, ...]
ag.checkpoint(f, t)  #: Tensor
ag.check_gradients(f, a)  #: float
ag.grad(4)  #: error
ag.grad(f, argnum=1)  #: error


@ag.no_grad()
def predict(x: ag.Tensor) -> ag.Tensor:
    return x * 2


predict(t)  #: Tensor
predict()  #: error
with ag.no_grad(), ag.enable_grad(), ag.scope("encoder"):
    t * 2  #: Tensor
nn.Linear(2, 3, rng=np.random.default_rng(0)).w  #: Tensor
nn.ReLU()  #: ReLU
nn.MaxPool2d(2).kernel_size  #: Any
nn.GroupNorm(2, 4).num_groups  #: int
nn.Sequential(nn.Conv1d(2, 3, 3), ag.relu, head=nn.Softmax(axis=-1))  #: Sequential
nn.Linear(2, 3)(t)  #: Tensor
nn.Sequential(nn.Linear(2, 3), ag.relu)(a)  #: Tensor
nn.Relu()  #: error
nn.GroupNorm(2, 4).groups  #: error
"""

STRICT = """
# pyright: strict
# mypy: disallow-untyped-defs, disallow-untyped-calls, disallow-incomplete-defs, disallow-any-generics
# mypy: disallow-subclassing-any, disallow-untyped-decorators, warn-return-any, warn-unused-ignores, strict-equality
import numpy as np

import autograd_cnn as ag
from autograd_cnn import nn


class Net(nn.Module):
    def __init__(self, rng: np.random.Generator) -> None:
        self.conv = nn.Conv2d(3, 8, 3, rng=rng)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(7200, 10, rng=rng))
        self.scale = ag.Tensor(1.0, requires_grad=True)

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        h = ag.relu(self.conv(x))
        return self.head(h * self.scale)


def outputs(model: nn.Module, images: ag.Tensor) -> ag.Tensor:
    return model(images)


rng = np.random.default_rng(0)
data = ag.data.load_shapes(train=20, test=10)
net = Net(rng)
history = ag.training.fit(
    net,
    ag.cross_entropy,
    ag.optim.Adam(net.parameters(), lr=1e-3),
    data.train_images,
    data.train_labels,
    rng=rng,
    epochs=1,
    augment=ag.data.augment,
    validation=(data.test_images, data.test_labels),
)
loss: float = ag.cross_entropy(outputs(net, ag.Tensor(ag.data.as_float32(data.test_images))), data.test_labels).item()
accuracy: float = ag.training.evaluate(net, ag.cross_entropy, data.test_images, data.test_labels).accuracy
"""

OPERATIONS = {
    name: inspect.signature(value.textbook).parameters.values()
    for name, value in vars(ag).items()
    if isinstance(value, Primitive)
    and value.name == name
    and not value.__module__.startswith("autograd_cnn.vocabulary")
}
VALUES = {  # of a parameter with this annotation
    "Any": ["t"], "Sequence[Any]": ["[t, t]"], "Shape": ["(2, 3)"], "Axis": ["1", "(0, 1)", "None"], "bool": ["True"],
    "Extent": ["2", "(2, 1)"], "Steps": ["2", "(2, 1)", "None"], "Margins": ["1", '"same"', "((0, 1), (1, 0))"],
    "int": ["1"], "int | None": ["1", "None"], "float": ["0.5", "1"], "float | None": ["0.5", "None"],
    "str": ['"ij->"'], "int | tuple[int, ...]": ["0", "(0, 1)"], "tuple[int, ...]": ["(4,)"],
    "tuple[int, int]": ["(2, 3)"], "Sequence[int] | None": ["[1, 0]", "None"], "Reduction": ['"none"'],
    "Order": ['"F"'], "Mode": ['"wrap"'], "Ends": ['"full"'], "Literal['none', 'tanh']": ['"tanh"'],
    "Literal['K', 'A', 'C', 'F']": ['"C"'],
}  # fmt: skip


def calls(name, parameters):
    """An operation called with what it requires, and then with each value of each option."""
    # A function that `of_numpy` makes has no annotations.
    required = [
        VALUES["Any" if p.annotation is p.empty else p.annotation][0] for p in parameters if p.default is p.empty
    ]
    options = [f"{p.name}={v}" for p in parameters if p.default is not p.empty for v in VALUES[p.annotation]]
    return [f"ag.{name}({', '.join([*required, *option])})" for option in ([], *([o] for o in options))]


PROGRAM += "".join(f"{call}  #: Tensor\n" for item in OPERATIONS.items() for call in calls(*item))
LINES = PROGRAM.split("\n")
WANTED = {i: line.rpartition("#: ")[2] for i, line in enumerate(LINES, 1) if "#: " in line}
SOURCES = str(Path(ag.__file__).parents[1])


@pytest.fixture
def programs(tmp_path):
    """A folder with the program, each expression of known type in ``reveal_type``, and a network under strict rules."""
    revealed = re.sub(r"^( *)(.*?)  #: (?!error).*", r"\1reveal_type(\2)", PROGRAM, flags=re.MULTILINE)
    (tmp_path / "program.py").write_text(revealed)
    (tmp_path / "strict.py").write_text(STRICT)
    rooms = {"ag": ag, **{f"ag.{name}": room for name in ag.__all__ if inspect.ismodule(room := getattr(ag, name))}}
    lines = ["import autograd_cnn as ag", *(f"print({path}.{n})" for path, room in rooms.items() for n in room.__all__)]
    (tmp_path / "names.py").write_text("\n".join([*lines, "from autograd_cnn import Tensor, grad, nn, relu"]))
    return tmp_path


def run(*command):
    offline = {"HTTPS_PROXY": "http://127.0.0.1:9", "MYPYPATH": SOURCES, "PYTHONPATH": SOURCES}
    return subprocess.run(
        command, env={**os.environ, **offline}, capture_output=True, text=True, timeout=600, check=False
    )


def short(revealed):
    """A type without modules, and without the parameters of arrays."""
    name = re.sub(r"\b[a-z_]\w*\.", "", revealed)
    parameters = r"\[(?:[^\[\]]|\[(?:[^\[\]]|\[[^\[\]]*\])*\])*\]"
    return re.sub("ndarray" + parameters, "ndarray", name)


def compare(reports):
    """Compare what a checker reports, (file, line, severity, message), with the program's comments."""
    found = {}
    for file, line, severity, message in reports:
        if file.endswith(("strict.py", "names.py")):
            pytest.fail(f"{file}:{line}: {message}")
        elif not file.endswith("program.py"):
            continue
        elif severity == "error":
            found[line] = "error"
        elif revealed := re.search(r'[Tt]ype .*is "([^"]*)"$', message):
            found.setdefault(line, short(revealed[1]))
    for i, line in enumerate(LINES, 1):
        assert (i, found.get(i)) == (i, WANTED.get(i)), line


def test_mypy(programs):
    pytest.importorskip("mypy", reason="mypy is not installed")
    options = "--config-file=", f"--cache-dir={programs}", "--output=json"
    done = run(sys.executable, "-m", "mypy", *options, *map(str, programs.glob("*.py")))
    assert not done.stderr
    reports = map(json.loads, done.stdout.splitlines())
    compare([(r["file"], r["line"], r["severity"], r["message"]) for r in reports])


@pytest.mark.slow
def test_pyright(programs):
    command = shutil.which("pyright", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))
    if command is None:
        pytest.skip("pyright is not installed")
    settings = {"reportUnusedExpression": False}  # what lies on the path of Python is checked as if it were installed
    (programs / "pyrightconfig.json").write_text(json.dumps(settings))
    done = run(command, "--outputjson", f"--pythonpath={sys.executable}", "-p", str(programs))
    if not done.stdout.startswith("{"):
        pytest.skip(f"pyright does not start without a network: {done.stderr[-200:]}")
    reports = json.loads(done.stdout)["generalDiagnostics"]
    compare([(r["file"], r["range"]["start"]["line"] + 1, r["severity"], r["message"]) for r in reports])
