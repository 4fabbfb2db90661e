"""The rows of the table: which ratio each of them shows, and its aim."""

from __future__ import annotations

from dataclasses import dataclass

from convolutions import CONTESTS as CONVOLUTIONS
from layers import ELEMENTWISE, LAYERS
from networks import NETWORKS
from work import OURS

LEAST = {"standard CNN": 1.5, "ResNet-20": 1.5}  # times products and memory
Aims = tuple[float | None, float | None]
NO_AIM: Aims = (None, None)


@dataclass(frozen=True)
class Row:
    """One ratio of the table: the slowest name that begins with `ours` over the fastest that begins with `over`.

    Parameters
    ----------
    group, title : str
    kind : {"alone", "race", "scaling", "memory", "limit", "start"}
        A method of `compare.Bench`.
    contest : str
        Of `works.CONTESTS`.
    targets : pair of float or None
        With compiled kernels, and with NumPy only; None reports the ratio without a target.
    unit : {"s", "MB"}
    at_least : bool
        Whether more is better.
    """

    group: str
    title: str
    kind: str
    contest: str
    targets: Aims = NO_AIM
    ours: str = OURS
    over: str = "PyTorch"
    unit: str = "s"
    at_least: bool = False


def _step(title: str, targets: Aims, batch: int = 100, over: str = "PyTorch") -> Row:
    return Row("Training step", _label(title, batch, over), "alone", f"{title}, step {batch}", targets, over=over)


def _inference(title: str, target: float | None, batch: int = 100, over: str = "PyTorch") -> Row:
    label = _label(title, batch, over)
    return Row("Inference", label, "alone", f"{title}, inference {batch}", (target, None), over=over)


def _label(title: str, batch: int, over: str) -> str:
    return f"{title}, batch {batch}" + (f" / {over}" if over != "PyTorch" else "")


def _in_turn(title: str, targets: Aims) -> Row:
    return Row("Training step", f"{title}, batch 100, in turn in one process", "race", f"{title}, step 100", targets)


def _layer(title: str, targets: Aims = (1.0, 1.5), contest: str = "") -> Row:
    return Row("Layer, forward + backward", title, "alone", contest or title, targets)


def _operation(title: str, target: float, over: str) -> Row:
    return Row("Engine, one operation", title, "alone", "chain", (target, target), over=over)


def _memory(title: str, batch: int) -> Row:
    label = f"{title}, batch {batch}"
    return Row("Growth of memory", label, "memory", f"{title}, step {batch}", (0.75, 1.0), unit="MB")


def _own(title: str, kind: str, contest: str, over: str, targets: Aims = NO_AIM, **options: object) -> Row:
    return Row("Own limits", title, kind, contest, targets, over=over, **options)  # type: ignore[arg-type]


def rows(threads: int) -> list[Row]:
    """All rows, for as many threads."""
    found = [
        _step("standard CNN", (0.6, 1.0)), _step("standard CNN", NO_AIM, over="JAX"),
        _in_turn("standard CNN", (0.75, 1.1)), _step("standard CNN", (0.75, None), batch=32),
        _step("original CNN", (0.45, 0.95)), _in_turn("original CNN", (0.7, 0.95)), _step("ResNet-20", (0.85, 1.5)),
        _step("modern CNN", (0.6, None)), _inference("ResNet-20", 0.8), _inference("modern CNN", 0.7),
    ]  # fmt: skip
    for batch, target, beside_onnx in ((1, 1.0, 2.0), (100, 0.5, 0.8), (1000, 0.35, 0.8)):
        found.append(_inference("standard CNN", target, batch))
        found.append(_inference("standard CNN", beside_onnx, batch, "onnxruntime"))
        found.append(_inference("standard CNN", None, batch, "JAX"))
    found += [Row("Convolution alone", title, "alone", title, (1.0, None)) for title in CONVOLUTIONS]
    found += [_layer(title) for title in LAYERS]
    found += [_layer(title, (1.0, None)) for title in ELEMENTWISE]
    found += [
        _layer("Adam, update of 1 M parameters", contest="Adam, 1 M parameters"),
        _operation("PyTorch", 0.85, "PyTorch"),
        _operation("MyGrad", 0.33, "MyGrad"),
        _operation("HIPS autograd", 0.35, "HIPS"),
        *(_memory("standard CNN", batch) for batch in (100, 500)),
        *(_memory(title, 100) for title in NETWORKS if title != "standard CNN"),
        _own("standard CNN / its direct products at the speed of sgemm", "limit", "standard CNN", "direct", (1.7, 2.6)),
        *(
            _own(f"{title} / products and memory", "limit", title, "least", (LEAST.get(title), None))
            for title in NETWORKS
        ),
        _own("operation of a chain / NumPy, forward only", "alone", "chain", "NumPy"),
        _own("time an image, slowest / fastest batch size", "race", "batches", "batch", (1.15, 1.15), ours="batch"),
    ]
    if threads > 1:
        for name, targets in ((OURS, (1.7, 1.7)), ("PyTorch channels_last", NO_AIM)):
            found.append(
                _own(f"{name}, 1 thread / {threads}", "scaling", "standard CNN, step 100", f"{name}, {threads} ",
                     targets, ours=f"{name}, 1 ", at_least=True)
            )  # fmt: skip
    return [
        *found,
        _own("import beyond NumPy's / 60 ms", "start", "", "60 ms", (1.0, 1.0)),
        _own("import beyond NumPy's / PyTorch's", "start", "", "PyTorch"),
    ]
