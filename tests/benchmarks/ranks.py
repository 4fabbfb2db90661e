"""Times the training steps of a recipe on several ranks, and the messages alone.

    export AUTOGRAD_CNN_NUM_THREADS=1 OMP_NUM_THREADS=1
    python tests/benchmarks/ranks.py
    mpirun -n 2 python tests/benchmarks/ranks.py
    mpirun -n 2 python tests/benchmarks/ranks.py --recipe standard --batch-size 100

Prints medians of rank 0, in ms:

- `step`: from one step to the next
- `compute`: forward and backward; `cpu`: the time for which this thread had a core. If other programs run, only `cpu`
  can be compared
- `sum`: the message of a step, and waiting for slower ranks; `update`: the optimiser; `augment`: on its own thread
- `message`, `latency`: a message of the same size, and one of 4 bytes, when all ranks are ready
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

import numpy as np

import autograd_cnn as ag

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
from recipes import standard

from autograd_cnn.training import quick

RECIPES = {"standard": standard, "quick": quick}
WARM_UP = 3  # steps that do not count

times: dict[str, list[float]] = defaultdict(list)


def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that does the same and notes its milliseconds."""

    def call(*arguments: Any, **options: Any) -> Any:
        began = perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            times[name].append(1e3 * (perf_counter() - began))

    return call


def timed_draws(own_draws: Callable[..., Any]) -> Callable[..., Any]:
    """Time the block in which `fit` runs forward and backward."""

    @contextmanager
    def block(*arguments: Any) -> Iterator[None]:
        began, cpu = perf_counter(), thread_time()
        times["start"].append(1e3 * began)
        with own_draws(*arguments):
            yield
        times["compute"].append(1e3 * (perf_counter() - began))
        times["cpu"].append(1e3 * (thread_time() - cpu))

    return block


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
    loss, augment = partial(recipe.loss, settings), timed("augment", partial(recipe.augment, settings))
    for owner, name, wrapped in (
        (ranks, "sum", timed("sum", ranks.sum)),
        (ranks, "own_draws", timed_draws(ranks.own_draws)),
        (optimiser, "step", timed("update", optimiser.step)),
    ):
        setattr(owner, name, wrapped)
    options = {"steps": args.steps, "batch_size": args.batch_size, "augment": augment, "progress": False}
    ag.training.fit(model, loss, optimiser, images, labels, rng=rng, ranks=ranks, **options)
    times["step"] = list(np.diff(times.pop("start")))
    size = 4 * sum(t.size for t in [*model.parameters(), *model.buffers()])
    if ranks.size > 1:
        for name, count in (("message", size // 4), ("latency", 1)):
            own, total = np.ones(count, np.float32), np.empty(count, np.float32)
            for _ in range(100):
                ranks.communicator.Barrier()
                timed(name, ranks.communicator.Allreduce)(own, total)
    if ranks.rank == 0:
        medians = {name: np.median(found[WARM_UP:]) for name, found in times.items()}
        text = "  ".join(f"{name} {figure:.4g}" for name, figure in medians.items())
        print(f"{args.recipe}, batch {args.batch_size}, {ranks.size} ranks, {size / 1e6:.2f} MB: {text}")


if __name__ == "__main__":
    main()
