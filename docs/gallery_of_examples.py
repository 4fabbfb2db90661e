"""How sphinx-gallery shows the examples: their order, and the picture that each of them writes."""

import shutil
from pathlib import Path
from typing import Any

from sphinx_gallery.scrapers import figure_rst

ORDER = [
    "hundred_lines", "by_hand", "spiral", "cnn", "resnet", "autoencoder", "language_model", "gpt", "saliency",
    "own_primitive", "newton_cg", "spectrum", "ode", "pinn",
]  # fmt: skip


class Order:
    """Sort key of a script, for sphinx-gallery."""

    def __init__(self, folder: str) -> None:
        pass

    def __call__(self, file: str) -> int:
        return ORDER.index(Path(file).stem)


def pictures(block: Any, variables: dict[str, Any], settings: dict[str, Any]) -> str:
    """Move the pictures that a script has written into its folder to the site, and return the text that shows them."""
    script = Path(variables["src_file"])
    found = []
    for picture in [*script.parent.glob("*.png"), *script.parent.glob("*.svg")]:
        target = Path(next(variables["image_path_iterator"])).with_suffix(picture.suffix)
        shutil.move(picture, target)
        found.append(str(target))
    title = script.stem.replace("_", " ")
    return figure_rst(found, settings["src_dir"], fig_titles=f"The picture of {title}") if found else ""
