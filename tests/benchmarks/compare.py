"""Side by side with PyTorch, in one process, in turn: A, B, A, B, ...  Nothing here passes or fails on a clock.

    python tests/benchmarks/compare.py [--rounds 15] [--original] [--json FILE]

Prints the median and the least time of each work, and the median of the ratios round by round: machines drift, ratios
hardly. PyTorch runs in its best layout (channels_last) and in its default, with as many threads as ours.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

import autograd_cnn as ag
from autograd_cnn.kernels.threads import get_num_threads


def images(batch: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((batch, 32, 32, 3), np.float32), np.eye(10, dtype=np.float32)[rng.integers(0, 10, batch)]


def our_step(batch: int, pool: tuple[int, int], flat: int) -> Callable[[], None]:
    """One training step of the CNN as plain functions: zero gradients, forward, backward, update."""
    x, y = images(batch)
    rng = np.random.default_rng(0)
    shapes = {
        "w1": (3, 3, 3, 32), "b1": (32,), "w2": (3, 3, 32, 64), "b2": (64,), "w3": (3, 3, 64, 128), "b3": (128,),
        "w4": (flat, 256), "b4": (256,), "w5": (256, 10), "b5": (10,),
    }  # fmt: skip
    p = {k: ag.Tensor(0.01 * rng.standard_normal(s, np.float32), requires_grad=True, name=k) for k, s in shapes.items()}
    optimiser = ag.optim.SGD(p.values(), lr=0.01)

    def step() -> None:
        optimiser.zero_grad()
        h = ag.max_pool2d(ag.relu(ag.conv2d(x, p["w1"], p["b1"], padding=1)), *pool)
        h = ag.max_pool2d(ag.relu(ag.conv2d(h, p["w2"], p["b2"], padding=1)), *pool)
        h = ag.max_pool2d(ag.relu(ag.conv2d(h, p["w3"], p["b3"], padding=1)), *pool)
        h = ag.relu(ag.linear(ag.flatten(h, 1), p["w4"], p["b4"]))
        loss = ag.bce(ag.sigmoid(ag.linear(h, p["w5"], p["b5"])), y)
        loss.backward()
        optimiser.step()

    return step


def torch_step(batch: int, pool: tuple[int, int], flat: int, layout: torch.memory_format) -> Callable[[], None]:
    """The same in PyTorch."""
    x, y = images(batch)
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(*pool),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(*pool),
        nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.MaxPool2d(*pool),
        nn.Flatten(), nn.Linear(flat, 256), nn.ReLU(), nn.Linear(256, 10), nn.Sigmoid(),
    ).to(memory_format=layout)  # fmt: skip
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    images_, targets = torch.tensor(x.transpose(0, 3, 1, 2)).contiguous(memory_format=layout), torch.tensor(y)
    loss_of = nn.BCELoss()

    def step() -> None:
        optimiser.zero_grad()
        loss_of(model(images_), targets).backward()
        optimiser.step()

    return step


def our_chain() -> None:
    x = ag.Tensor(np.ones(10, np.float32), requires_grad=True)
    c = np.full(10, 0.999, np.float32)
    y = x
    for _ in range(1000):
        y = y * c + x
    y.sum().backward()


def torch_chain() -> None:
    x = torch.ones(10, requires_grad=True)
    c = torch.full((10,), 0.999)
    y = x
    for _ in range(1000):
        y = y * c + x
    y.sum().backward()


def race(works: dict[str, Callable[[], None]], rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds of each, run in turn; ratios of the first to each of the others, round by round."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for i in range(rounds + 2):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            if i >= 2:  # two rounds to warm up
                times[name].append(1e3 * (time.perf_counter() - start))
    first = np.array(next(iter(times.values())))
    return {
        name: {
            "median_ms": float(np.median(t)),
            "least_ms": float(np.min(t)),
            "ours_over_it": float(np.median(first / np.array(t))),
        }
        for name, t in times.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--original", action="store_true", help="the original CNN too (some GB of memory, a minute)")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(get_num_threads())
    layouts = {"PyTorch channels_last": torch.channels_last, "PyTorch default": torch.contiguous_format}
    cnns = {"standard CNN step, batch 100": ((2, 2), 2048)}
    if args.original:
        cnns["original CNN step, batch 100"] = ((3, 1), 86528)
    table = {}
    for title, (pool, flat) in cnns.items():
        works = {"autograd_cnn": our_step(100, pool, flat)}
        works |= {name: torch_step(100, pool, flat, layout) for name, layout in layouts.items()}
        table[title] = race(works, args.rounds)
    table["chain of 2 000 operations"] = race({"autograd_cnn": our_chain, "PyTorch": torch_chain}, args.rounds)
    print(f"{platform.machine()}, {get_num_threads()} threads, Python {platform.python_version()}, ", end="")
    print(f"NumPy {np.__version__}, PyTorch {torch.__version__}, {args.rounds} rounds in turn")
    for title, rows in table.items():
        print(title)
        for name, row in rows.items():
            print(f"  {name:24}", *(f"{key.replace('_', ' ')} {value:9.2f}" for key, value in row.items()))
    if args.json:
        args.json.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
