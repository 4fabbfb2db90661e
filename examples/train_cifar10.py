"""Train a network on images, and write a report: ``python -m autograd_cnn train`` with two recipes more.

    python examples/train_cifar10.py                              drawn shapes: no download, ends within two minutes
    python examples/train_cifar10.py cifar10 --download           the real images, 24 passes
    python examples/train_cifar10.py cifar10 --recipe quick
    python examples/train_cifar10.py --resume runs/cifar10-quick  continues a run that stopped, bit for bit

The same run as the hand-written code that this project replaces, two steps on one batch of 100 images:

    python examples/train_cifar10.py --recipe original --images 100

On several processes, here or on many machines that share the folder of the run (see docs/distributed.md):

    mpirun -n 4 python examples/train_cifar10.py

A recipe is a file: a network, its settings and its training (--model FILE.py is one of your own). The folder --out gets
report.html (and report.txt), net.html, which steps through the network, the settings and a copy of the recipe,
history.json, the best weights and the last checkpoint.
Ctrl-C ends the training early; its best weights are evaluated.

A part of the training images is held apart to compare passes and settings. The test images are used once, at the end.
"""

from __future__ import annotations

import sys
from pathlib import Path

try:
    from autograd_cnn.__main__ import RECIPES, main
except KeyboardInterrupt:
    print("\ninterrupted. Nothing was trained yet", file=sys.stderr)
    sys.exit(130)

STANDARD = Path(__file__).parent / "recipes" / "standard.py"

if __name__ == "__main__":
    recipes = {"standard": STANDARD, "original": STANDARD, **RECIPES}
    sys.exit(main(["train", *sys.argv[1:]], recipes))
