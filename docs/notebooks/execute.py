"""Executes the notebooks of this folder and stores their outputs: ``python docs/notebooks/execute.py [NAME.ipynb]``.

It needs the extra ``[docs]``. Each notebook runs from its first cell to its last in a new process and an empty folder,
with the NumPy kernels, so that its numbers do not depend on Numba.
"""

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name != "MPLBACKEND"},  # the kernel's own shows figures
    "AUTOGRAD_CNN_KERNELS": "numpy",
    "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE.parent.parent), os.environ.get("PYTHONPATH")])),
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),  # for the cells that begin with !
}


def executed(path, extra=()):
    """Return the notebook with new outputs; `extra` are lines of code that run after its last cell."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells += [nbformat.v4.new_code_cell(code) for code in extra]
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        options = {"timeout": 300, "record_timing": False, "coalesce_streams": True}
        client = NotebookClient(notebook, resources=resources, **options)
        client.execute(env=ENVIRONMENT)
    for number, cell in enumerate(notebook.cells, 1):
        cell.id, cell.metadata = f"cell-{number}", {}
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python", "pygments_lexer": "ipython3"},
    }
    return notebook


if __name__ == "__main__":
    for path in [HERE / name for name in sys.argv[1:]] or sorted(HERE.glob("*.ipynb")):
        nbformat.write(executed(path), path)
