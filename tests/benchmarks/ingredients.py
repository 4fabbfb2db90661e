"""Measures what each ingredient of the recipe `quick` is worth: trains without it, and compares validation accuracies.

    python tests/benchmarks/ingredients.py --data-dir PATH [--images 20000] [--epochs 8] [--widths 32 64 128]
    python tests/benchmarks/ingredients.py --data-dir PATH --library torch --only all --seeds 0

A line is added to the file for each training, so a run that was stopped goes on with the trainings that are missing.
5,000 training images are held apart, and the test images are not used. With `--library torch` the same networks, from
the same weights and with the same batches, are trained by PyTorch (channels_last), to compare accuracy and minutes.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import autograd_cnn as ag
from autograd_cnn.training import quick

VALIDATION = 5000
Change = Callable[[Any], None]


def he(weights: list[ag.Tensor]) -> None:
    """Replace weights by normal numbers whose variance is 2 / inputs."""
    rng = np.random.default_rng(1)
    for w in weights:
        w.data = ag.nn.he_normal(w.shape, rng, w.dtype)


def not_dirac(model: Any) -> None:
    he([conv.w for block in model.blocks for conv in block.convs])


def not_whitened(model: Any) -> None:
    model.patches.requires_grad = True
    he([model.patches])


INGREDIENTS: dict[str, tuple[dict[str, Any], Change | None]] = {  # other settings, and a change of the new model
    "all": ({}, None),
    "whitening": ({}, not_whitened),
    "dirac": ({}, not_dirac),
    "lookahead": ({}, None),
    "faster biases": ({"faster_biases": 1}, None),
    "label smoothing": ({"label_smoothing": 0}, None),
    "weight decay": ({"weight_decay": 0}, None),
    "shifts": ({"shift": 0}, None),
    "flips": ({}, None),
}


def augment(settings: Any, flip: bool, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return ag.data.augment(images, rng, settings.shift, flip, settings.cutout, "reflect", quick.GREY)


def ours(settings: Any, model: Any, without: str, seed: int, images: np.ndarray, labels: np.ndarray) -> Callable:
    """Train; return the function that gives logits."""
    steps = settings.epochs * -(-len(images) // settings.batch_size)
    optimiser = quick.optimiser(settings, model, steps)
    ag.training.fit(
        model,
        partial(quick.loss, settings),
        optimiser.optimiser if without == "lookahead" else optimiser,
        images,
        labels,
        rng=np.random.default_rng(seed),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        schedule=quick.schedule(settings, steps),
        augment=partial(augment, settings, without != "flips"),
    )
    model.eval()
    return model


def theirs(settings: Any, model: Any, without: str, seed: int, images: np.ndarray, labels: np.ndarray) -> Callable:
    """The same in PyTorch, from the weights of `model`."""
    import torch
    from torch.nn import functional as F

    if without not in ("all", "label smoothing", "weight decay", "shifts", "flips", "dirac"):
        raise ValueError(f"without {without}: for our library only")

    def tensor(t: ag.Tensor, learns: bool = True) -> torch.Tensor:
        array = t.data.transpose(3, 2, 0, 1) if t.ndim == 4 else t.data
        x = torch.tensor(np.ascontiguousarray(array))
        return (x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x).requires_grad_(learns)

    patches, mean, std = (tensor(t, False) for t in (model.patches, model.mean, model.std))
    bias, head = tensor(model.bias), tensor(model.head.w)
    blocks = [[tensor(conv.w) for conv in block.convs] for block in model.blocks]
    norms = [
        [(tensor(n.b), tensor(n.running_mean, False), tensor(n.running_var, False)) for n in b.norms]
        for b in model.blocks
    ]
    training = True

    def norm(x: torch.Tensor, parts: Any) -> torch.Tensor:
        b, m, v = parts
        return F.batch_norm(x, m, v, None, b, training, 0.4, 1e-5)

    def forward(x: torch.Tensor) -> torch.Tensor:
        x = F.gelu(F.conv2d((x - mean[:, None, None]) / std[:, None, None], patches, bias))
        for convs, parts in zip(blocks, norms, strict=True):
            first = x = F.gelu(norm(F.max_pool2d(F.conv2d(x, convs[0], padding=1), 2), parts[0]))
            x = F.gelu(norm(F.conv2d(x, convs[1], padding=1), parts[1]))
            for w, p in zip(convs[2:], parts[2:], strict=True):
                x = F.gelu(norm(F.conv2d(x, w, padding=1), p) + first)
        return x.amax((2, 3)) @ head / 9

    steps = settings.epochs * -(-len(images) // settings.batch_size)
    rate, faster, decay = quick.schedule(settings, steps), settings.faster_biases, settings.weight_decay
    biases, slow_ones = [p[0] for parts in norms for p in parts], [bias, head, *(w for b in blocks for w in b)]
    groups = [{"params": slow_ones}, {"params": biases, "weight_decay": decay / faster}]
    sgd = torch.optim.SGD(groups, 1.0, momentum=settings.momentum, nesterov=True, weight_decay=decay)
    fast = [*slow_ones, *biases, *(t for parts in norms for p in parts for t in p[1:])]
    slow = [t.detach().clone() for t in fast]
    rng, taken = np.random.default_rng(seed), 0
    for epoch in range(settings.epochs):
        order = rng.permutation(len(images))
        for start in range(0, len(order), settings.batch_size):
            chosen = order[start : start + settings.batch_size]
            batch = ag.data.as_float32(augment(settings, without != "flips", images[chosen], rng))
            x = torch.from_numpy(batch).permute(0, 3, 1, 2)  # a view: the same memory is channels_last
            for group, factor in zip(sgd.param_groups, (1, faster), strict=True):
                group["lr"] = rate(taken) * factor
            smooth = settings.label_smoothing
            loss = F.cross_entropy(forward(x), torch.from_numpy(labels[chosen]).long(), label_smoothing=smooth)
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            taken += 1
            if taken % 5 == 0:
                share = 1 - 0.774 * (taken / steps) ** 3
                with torch.no_grad():
                    for a, b in zip(fast, slow, strict=True):
                        a.copy_(b.lerp_(a, share))
        print(f"pass {epoch + 1} of {settings.epochs}: loss {loss.item():.4f}", flush=True)
    training = False

    def logits(x: ag.Tensor) -> ag.Tensor:
        with torch.no_grad():
            return ag.Tensor(forward(torch.from_numpy(np.ascontiguousarray(x.data)).permute(0, 3, 1, 2)).numpy())

    return logits


def accuracies(logits: Callable, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """With one look at each image, and with the recipe's views."""
    looks = {"plain": logits, "views": partial(quick.views, logits)}
    right: dict[str, int] = dict.fromkeys(looks, 0)
    with ag.no_grad():
        for start in range(0, len(images), 500):
            x = ag.Tensor(ag.data.as_float32(images[start : start + 500]))
            for name, look in looks.items():
                right[name] += int((look(x).data.argmax(axis=1) == labels[start : start + 500]).sum())
    return {name: round(count / len(images), 4) for name, count in right.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data-dir", type=Path)
    add("--no-verify", action="store_true", help="accept a copy with unknown checksums")
    add("--out", type=Path, default=Path("ingredients.jsonl"))
    add("--library", choices=("ours", "torch"), default="ours")
    add("--recipe", choices=("quick", "best"), default="quick")
    add("--only", nargs="+", choices=INGREDIENTS, default=list(INGREDIENTS))
    add("--seeds", nargs="+", type=int, default=[0, 1])
    add("--images", type=int, default=45_000)
    add("--epochs", type=int)
    add("--widths", type=int, nargs=3, help="channels of the blocks (default: those of the recipe)")
    args = parser.parse_args()
    data = ag.data.load_cifar10(args.data_dir, verify=not args.no_verify)
    images, labels = data.train_images[:-VALIDATION][: args.images], data.train_labels[:-VALIDATION][: args.images]
    settings = quick.SETTINGS.get(args.recipe, quick.Settings())
    widths = tuple(args.widths or settings.widths)
    settings = dataclasses.replace(settings, epochs=args.epochs or settings.epochs, widths=widths)
    done = [json.loads(line) for line in args.out.read_text().splitlines()] if args.out.exists() else []
    for seed in args.seeds:
        for without in args.only:
            changes, change = INGREDIENTS[without]
            own = dataclasses.replace(settings, **changes)
            facts = {"library": args.library, "recipe": args.recipe, "without": without, "seed": seed}
            facts |= {"images": len(images), "passes": own.epochs, "widths": list(own.widths)}
            if any(facts.items() <= line.items() for line in done):
                continue
            model = quick.build(own, np.random.default_rng(seed), images)
            if change:
                change(model)
            begun = time.perf_counter()
            train = ours if args.library == "ours" else theirs
            logits = train(own, model, without, seed, images, labels)
            facts["minutes"] = round((time.perf_counter() - begun) / 60, 2)
            facts |= accuracies(logits, data.train_images[-VALIDATION:], data.train_labels[-VALIDATION:])
            with args.out.open("a") as file:
                file.write(json.dumps(facts) + "\n")
            print(facts, flush=True)


if __name__ == "__main__":
    main()
