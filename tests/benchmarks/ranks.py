"""Times the training steps of a recipe on several ranks, and the messages alone.

    export AUTOGRAD_CNN_NUM_THREADS=1 OMP_NUM_THREADS=1
    python tests/benchmarks/ranks.py
    mpirun -n 2 python tests/benchmarks/ranks.py
    mpirun -n 2 python tests/benchmarks/ranks.py --recipe standard --batch-size 100

Prints medians of rank 0, in ms: `step`, from one step to the next; `message` and `latency`, a message of the same size
and one of 4 bytes, when all ranks are ready.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np

import autograd_cnn as ag

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
from recipes import standard

from autograd_cnn.training import quick

RECIPES = {"standard": standard, "quick": quick}
WARM_UP = 3  # steps that do not count


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
    loss, augment = partial(recipe.loss, settings), partial(recipe.augment, settings)
    update, began = optimiser.step, []
    optimiser.step = lambda: (began.append(perf_counter()), update())
    options = {"steps": args.steps, "batch_size": args.batch_size, "augment": augment, "progress": False}
    ag.training.fit(model, loss, optimiser, images, labels, rng=rng, ranks=ranks, **options)
    times = {"step": np.diff(began)[WARM_UP:]}
    size = 4 * sum(t.size for t in [*model.parameters(), *model.buffers()])
    if ranks.size > 1:
        for name, count in (("message", size // 4), ("latency", 1)):
            own, total = np.ones(count, np.float32), np.empty(count, np.float32)
            times[name] = np.zeros(100)
            for n in range(len(times[name])):
                ranks.communicator.Barrier()
                start = perf_counter()
                ranks.communicator.Allreduce(own, total)
                times[name][n] = perf_counter() - start
    if ranks.rank == 0:
        medians = {name: 1e3 * np.median(found) for name, found in times.items()}
        text = "  ".join(f"{name} {figure:.4g}" for name, figure in medians.items())
        print(f"{args.recipe}, batch {args.batch_size}, {ranks.size} ranks, {size / 1e6:.2f} MB: {text}")


if __name__ == "__main__":
    main()
