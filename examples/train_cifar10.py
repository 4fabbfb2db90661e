"""Train a network on images, and write a report.

    python examples/train_cifar10.py                              drawn shapes: no download, ends within two minutes
    python examples/train_cifar10.py --data cifar10 --download    the real images, 24 passes
    python examples/train_cifar10.py --data cifar10 --recipe quick
    python examples/train_cifar10.py --resume runs/cifar10-quick  continues a run that stopped, bit for bit

The same run as the hand-written code that this project replaces, two steps on one batch of 100 images:

    python examples/train_cifar10.py --recipe original --images 100

On several processes, here or on many machines that share the folder of the run (see docs/distributed.md):

    mpirun -n 4 python examples/train_cifar10.py

A recipe is a file: a network, its settings and its training (--model FILE.py is one of your own). The folder --out gets
report.html (and report.txt), net.html, which steps through the network, the settings and a copy of the recipe,
history.json, loss.png, the best weights and the last checkpoint.
Ctrl-C ends the training early; its best weights are evaluated.

A part of the training images is held apart to compare passes and settings. The test images are used once, at the end.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

try:
    import autograd_cnn as ag
    from autograd_cnn.__main__ import Program, script
except KeyboardInterrupt:
    print("\ninterrupted. Nothing was trained yet", file=sys.stderr)
    sys.exit(130)

STANDARD = Path(__file__).parent / "recipes" / "standard.py"
RECIPES = {"standard": STANDARD, "original": STANDARD, **Program.recipes}
OPTIONS = "Here these are --data shapes, --data-dir PATH, --download, --url ADDRESS and --no-verify"


class Training(Program):
    start = (sys.argv[0],)
    recipes = RECIPES
    places = ("data_dir", "download", "url")

    def __init__(self) -> None:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        add = parser.add_argument
        add("--data", choices=("shapes", "cifar10"), help="drawn shapes, or the real images (default: shapes)")
        add("--data-dir", metavar="PATH", help="folder or archive that has CIFAR-10 (default: the cache of downloads)")
        add("--no-verify", action="store_true", help="accept a copy of CIFAR-10 with unknown checksums")
        add("--download", action="store_true", help="fetch CIFAR-10 (170 MB) if it is not there")
        add("--url", metavar="ADDRESS", help="a mirror to download cifar-10-binary.tar.gz from; it is checked")
        add("--images", type=int, metavar="N", help="only the first N training images (default: all)")
        self.add_options(parser)
        super().__init__(args := parser.parse_args(), parser.error)
        args.download = args.download or args.url is not None
        if not args.resume:
            real = args.data_dir or args.no_verify or args.download
            if args.data == "shapes" and real:
                parser.error("--data-dir, --no-verify and --download need --data cifar10")
            args.data = args.data or ("cifar10" if real else "shapes")

    @property
    def augmented(self) -> bool:
        return self.args.data == "cifar10"

    def load(self, settings: Any) -> tuple[ag.data.Dataset, dict[str, Any]]:
        args, few = self.args, {}
        if args.data == "shapes":
            data = ag.data.load_shapes(seed=args.seed)
            few = {} if args.recipe == "original" else {"epochs": 5}
        else:
            try:
                data = ag.data.load_cifar10(args.data_dir, args.download, not args.no_verify, args.url)
            except (OSError, ValueError) as error:
                raise type(error)(f"{error}\n{OPTIONS}") from error
        if args.images is not None:
            images, labels = data.train_images[: args.images], data.train_labels[: args.images]
            name = f"{data.name}, first {len(images):,} + {len(data.test_images):,}"
            data = replace(data, name=name, train_images=images, train_labels=labels)
        return data, few


if __name__ == "__main__":
    sys.exit(script(lambda: Training().run()))
