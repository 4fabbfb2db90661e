"""The notebooks of the site run, and their stored outputs are those of today."""

import importlib.util
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))
CLOSE = {"cnn.ipynb": 0.25}  # the first passes of a training differ by so much between kernels and machines
NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*\.?\d*(?:e[-+]\d+)?")


def of_folder():
    for package in ("nbclient", "ipykernel"):
        pytest.importorskip(package, reason=f"{package} executes the notebooks: pip install -e '.[docs]'")
    spec = importlib.util.spec_from_file_location("execute", FOLDER / "execute.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def texts(notebook):
    """The text of each cell's outputs, without times, and with pictures as their kind."""
    found = []
    for cell in notebook.cells:
        lines = []
        for output in cell.get("outputs", []):
            assert output.output_type != "error" and output.get("name") != "stderr", output
            lines += [output.text] if "text" in output else [output.data["text/plain"], *sorted(output.data)]
        found.append(re.sub(r" *(?:\d+\.\d s|time)\b", "", "\n".join(lines)))  # a column is as wide as its times
    return found


def split(text):
    """Return the words of a text, and its numbers."""
    return NUMBER.sub("#", text), [float(n.replace(",", "")) for n in NUMBER.findall(text)]


def answers(notebook):
    """The code of the folded answers."""
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    return [code for text in cells for code in re.findall(r"^```python\n(.*?)^```", text, re.S | re.M)]


def test_there_are_three():
    assert len(NOTEBOOKS) == 3


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_what_is_stored_is_small_and_names_no_folder_of_a_machine(name):
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert len(text.encode()) < 400_000
    assert not re.findall(r"(?<![\w<.:/])/(?:home|root|tmp|usr|work|Users)/\S*", text)


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
@pytest.mark.filterwarnings("default")  # of the kernel's own packages
def test_a_notebook_gives_its_stored_outputs_again(name):
    execute = of_folder()
    import nbformat

    stored = nbformat.read(FOLDER / name, as_version=4)
    extra = answers(stored)
    assert extra
    close = CLOSE.get(name, 1e-3)
    again = texts(execute.executed(FOLDER / name, extra))
    for number, (old, new) in enumerate(zip(texts(stored), again, strict=False), 1):
        (words, numbers), (new_words, new_numbers) = split(old), split(new)
        assert new_words == words, f"cell {number}"
        assert new_numbers == pytest.approx(numbers, rel=close, abs=close), f"cell {number}"
