"""Times the training steps of a recipe on several ranks, and the messages alone.

    export AUTOGRAD_CNN_NUM_THREADS=1 OMP_NUM_THREADS=1
    python tests/benchmarks/ranks.py
    mpirun -n 2 python tests/benchmarks/ranks.py
    mpirun -n 2 python tests/benchmarks/ranks.py --recipe standard --batch-size 100

Prints medians in ms. The sum of a step is the message, and the time in which the faster ranks wait for the slowest.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import autograd_cnn as ag

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
from recipes import standard, whitened

RECIPES = {"standard": standard, "quick": whitened}
WARM_UP = 3  # steps that do not count


def timed(function: Callable[..., Any], times: list[float]) -> Callable[..., Any]:
    """Return a function that does the same, and appends its milliseconds to `times`."""

    def call(*arguments: Any, **options: Any) -> Any:
        began = perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            times.append(1e3 * (perf_counter() - began))

    return call


def median(times: list[float]) -> float:
    return float(np.median(times[WARM_UP:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=RECIPES, default="quick")
    parser.add_argument("--batch-size", type=int, default=500)
    parser.add_argument("--steps", type=int, default=13)
    args = parser.parse_args()
    ranks, recipe, rng = ag.distributed.ranks(), RECIPES[args.recipe], np.random.default_rng(0)
    settings = recipe.Settings(batch_size=args.batch_size)
    images = rng.integers(0, 256, (args.batch_size * args.steps, 32, 32, 3), dtype=np.uint8)
    labels = rng.integers(0, 10, len(images))
    model = ranks.broadcast(recipe.build(settings, rng, images))
    optimiser = recipe.optimiser(settings, model, args.steps)
    starts: list[float] = []
    times: dict[str, list[float]] = {"sum": [], "update": [], "augment": []}
    ranks.sum = timed(ranks.sum, times["sum"])  # type: ignore[method-assign]
    optimiser.step = timed(optimiser.step, times["update"])  # type: ignore[method-assign]
    ag.training.fit(
        model,
        partial(recipe.loss, settings),
        optimiser,
        images,
        labels,
        rng=rng,
        steps=args.steps,
        batch_size=args.batch_size,
        schedule=lambda step: starts.append(1e3 * perf_counter()) or 1e-3,
        augment=timed(partial(recipe.augment, settings), times["augment"]),
        progress=False,
        ranks=ranks,
    )
    times["step"] = list(np.diff(starts))
    times["compute"] = [
        step - s - u for step, s, u in zip(*(times[n] for n in ("step", "sum", "update")), strict=False)
    ]
    tensors = [*model.parameters(), *model.buffers()]
    numbers = sum(t.size for t in tensors) + len(tensors)
    figures = {name: median(times[name]) for name in ("step", "compute", "sum", "update", "augment")}
    if ranks.size > 1:
        for name, count in (("message", numbers), ("latency", 1)):
            alone: list[float] = []
            own, total = np.ones(count, np.float32), np.empty(count, np.float32)
            reduce = timed(ranks.communicator.Allreduce, alone)
            for _ in range(100):
                ranks.communicator.Barrier()
                reduce(own, total)
            figures[name] = median(alone)
    if ranks.rank == 0:
        text = "  ".join(f"{name} {figure:.3g}" for name, figure in figures.items())
        print(f"{args.recipe}, batch {args.batch_size}, {ranks.size} ranks, {4e-6 * numbers:.1f} MB: {text}")


if __name__ == "__main__":
    main()
