"""Train the CNN of this project, and save the results with pictures.

    python examples/train_cifar10.py                              drawn shapes: no download, ends within two minutes
    python examples/train_cifar10.py --data cifar10 --download    the real images, ten passes

The same run as the hand-written code that this project replaces, two steps on one batch of 100 images:

    python examples/train_cifar10.py --model original --images 100 --steps 2 --optimizer sgd --lr 0.001

Afterwards the folder --out has loss.png, predictions.png, confusion.png, graph.svg, weights.safetensors and
history.json. Ctrl-C ends the training early; the model is evaluated and saved as it is then.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import numpy as np
from cifar10_models import CNN

import autograd_cnn as ag

EPOCHS = {"shapes": 5, "cifar10": 10}
OPTIMISERS = {"sgd": ag.optim.SGD, "adam": ag.optim.Adam, "adamw": ag.optim.AdamW}
RATES = {"sgd": 0.1, "adam": 2e-3, "adamw": 2e-3}
CHANCE = -(0.1 * math.log(0.1) + 0.9 * math.log(0.9))  # the loss of a probability of 10 % for every class


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", choices=EPOCHS, help="drawn shapes, or the real images (default: shapes)")
    add("--data-dir", metavar="PATH", help="folder or archive that has CIFAR-10 (default: the usual places)")
    add("--no-verify", action="store_true", help="accept a copy of CIFAR-10 with unknown checksums")
    add("--download", action="store_true", help="fetch CIFAR-10 (170 MB) if it is not there")
    add("--images", type=int, metavar="N", help="only the first N training images (default: all)")
    add("--model", choices=("standard", "original"), default="standard", help="see cifar10_models.py")
    add("--optimizer", choices=OPTIMISERS, default="adamw", help="(default: adamw)")
    add("--lr", type=float, metavar="RATE", help="rate of sgd (default: 0.1), or peak of one cycle (default: 0.002)")
    add("--epochs", type=int, metavar="N", help="passes over the images (default: 5; CIFAR-10: 10)")
    add("--steps", type=int, metavar="N", help="train on N batches instead of --epochs")
    add("--batch-size", type=int, default=100, metavar="N", help="(default: 100)")
    add("--seed", type=int, default=0, metavar="N", help="for weights, order and augmentation (default: 0)")
    add("--checkpoint", metavar="FILE", help="saved regularly; the same arguments resume from it")
    add("--out", type=Path, metavar="FOLDER", help="where the results go (default: runs/DATA-MODEL)")
    args = parser.parse_args()
    real = args.data_dir or args.no_verify or args.download
    if args.data == "shapes" and real:
        parser.error("--data-dir, --no-verify and --download need --data cifar10")
    args.data = args.data or ("cifar10" if real else "shapes")
    if args.steps and args.epochs:
        parser.error("give --steps or --epochs, not both")
    for name in ("images", "lr", "epochs", "steps", "batch_size"):
        if getattr(args, name) is not None and not getattr(args, name) > 0:
            parser.error(f"--{name.replace('_', '-')} is {getattr(args, name)}, must be more than 0")
    return args


def loss_of(probabilities: ag.Tensor, labels: np.ndarray) -> ag.Tensor:
    """Is it class 0? Is it class 1? ... Ten questions, the binary cross-entropy of the answers."""
    return ag.bce(probabilities, ag.data.one_hot(labels))


def overfit(images: np.ndarray, labels: np.ndarray, seed: int) -> None:
    """Train a new model on a few images, which every correct model learns by heart: try this first if one is stuck."""
    model = CNN("standard", np.random.default_rng(seed))
    optimiser = ag.optim.AdamW(model.parameters(), lr=1e-3)
    losses = ag.training.fit(model, loss_of, optimiser, images, labels, rng=None, steps=40, progress=False).losses
    print(
        f"Can a fresh model learn {len(images)} images by heart? Loss {losses[0]:.3f} to {losses[-1]:.3f} in 40 steps "
        f"({CHANCE:.3f} is guessing)"
    )


def main() -> int:
    args = arguments()
    try:
        if args.data == "shapes":
            data = ag.data.load_shapes(seed=args.seed)
        else:
            data = ag.data.load_cifar10(args.data_dir, download=args.download, verify=not args.no_verify)
        if args.images is not None:
            data = data.take(args.images)
    except (OSError, ValueError) as error:
        message = str(error).replace("download=True", "--download").replace("ag.data.load_shapes()", "--data shapes")
        print(message, file=sys.stderr)
        return 2
    out = args.out or Path("runs", f"{args.data}-{args.model}")
    out.mkdir(parents=True, exist_ok=True)

    rng = np.random.default_rng(args.seed)
    model = CNN(args.model, rng)
    print(data, model.summary((args.batch_size, 32, 32, 3)), sep="\n\n", end="\n\n")
    standard = args.model == "standard"
    if standard:
        overfit(data.train_images[:32], data.train_labels[:32], args.seed)

    per_epoch = math.ceil(len(data.train_images) / args.batch_size)
    steps = args.steps or (args.epochs or EPOCHS[args.data]) * per_epoch
    lr = args.lr or RATES[args.optimizer]
    optimiser = OPTIMISERS[args.optimizer](model.parameters(), lr)
    history = ag.training.fit(
        model,
        loss_of,
        optimiser,
        data.train_images,
        data.train_labels,
        rng=rng,
        steps=steps,
        batch_size=args.batch_size,
        schedule=None if args.optimizer == "sgd" else ag.optim.one_cycle(lr, steps),
        augment=ag.data.augment if args.data == "cifar10" and standard else None,
        validation=(data.test_images, data.test_labels) if per_epoch > 1 else None,
        checkpoint=args.checkpoint,
        name=data.name,
    )

    result = ag.training.evaluate(model, loss_of, data.test_images, data.test_labels, args.batch_size)
    print(f"{data.name}: test loss {result.loss:.4f}, accuracy {result.accuracy:.1%} (guessing: {CHANCE:.4f}, 10.0%)")
    ag.plots.loss_curve(history, out / "loss.png")
    ag.plots.predictions(
        data.test_images,
        data.test_labels,
        result.outputs,
        data.classes,
        out / "predictions.png",
        data.name,
    )
    ag.plots.confusion_matrix(result.confusion, data.classes, out / "confusion.png", data.name)
    images = ag.Tensor(ag.data.as_float32(data.train_images[: args.batch_size]), name="images")
    loss = loss_of(model(images), data.train_labels[: args.batch_size])
    loss.graph().save(out / "graph.svg")
    ag.interop.save_weights(out / "weights.safetensors", model)
    history.save(out / "history.json")
    print(f"{out}: {', '.join(sorted(file.name for file in out.iterdir()))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
