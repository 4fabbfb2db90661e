"""The packages of a release: what is in them, that they run where nothing else is, and that the version is one."""

import os
import re
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.__main__ import main
from processes import printed

ROOT = Path(__file__).parents[2]
FOLDERS = ["autograd_cnn", "docs", "examples", "tests", ".ci", ".github"]
FILES = [
    "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml",
    "setup.cfg",
]  # fmt: skip


def files_in(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the project, without what programs have left in it."""
    tree = tmp_path_factory.mktemp("tree")
    left = shutil.ignore_patterns(
        "__pycache__", "*.egg-info", "_build", "_extra", "gallery", "api", "jupyter_execute", "runs", ".*_cache"
    )
    for name in FOLDERS:
        shutil.copytree(ROOT / name, tree / name, ignore=left)
    for name in FILES:
        shutil.copy(ROOT / name, tree / name)
    return tree


@pytest.fixture(scope="module")
def builder():
    setuptools = pytest.importorskip("setuptools", reason="setuptools, which makes packages, is not installed")
    if int(setuptools.__version__.partition(".")[0]) < 77:
        pytest.skip(f"packages need setuptools 77, this is {setuptools.__version__}")


@pytest.fixture(scope="module")
def built(tree, builder, tmp_path_factory):
    """The folder of an sdist, and of the wheel that was built from it."""
    pytest.importorskip("build", reason="build, which makes packages, is not installed")
    before, out = files_in(tree), tmp_path_factory.mktemp("dist")
    printed("-m", "build", "--no-isolation", "--outdir", out, tree, cwd=tree)
    tree_again = {name for name in files_in(tree) if ".egg-info/" not in name}
    assert tree_again == before
    return out


@pytest.mark.slow
def test_the_wheel_has_every_file_of_the_package(tree, built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (about,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        fields = archive.read(about).decode().partition("\n\n")[0].splitlines()
        (entries,) = [name for name in archive.namelist() if name.endswith("/entry_points.txt")]
        assert "autograd-cnn = autograd_cnn.__main__:main" in archive.read(entries).decode()
    assert names == {f"autograd_cnn/{name}" for name in files_in(tree / "autograd_cnn")}
    assert f"Version: {ag.__version__}" in fields
    assert "License-Expression: MIT" in fields and "License-File: LICENSE" in fields


@pytest.mark.slow
def test_the_wheel_runs_without_the_tree(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = (
        "import autograd_cnn as ag; from autograd_cnn.__main__ import main; print(ag.__file__); "
        "main(['demo', 'pages', '--no-open'])"
    )
    lines = printed("-c", program, cwd=tmp_path, PYTHONPATH=str(tmp_path / "site")).splitlines()
    assert Path(lines[0]) == tmp_path / "site" / "autograd_cnn" / "__init__.py"
    names = "chain_rule", "spiral", "cnn", "broken"
    assert [Path(line).name for line in lines[1:]] == [f"{name}.html" for name in names]


@pytest.mark.slow
@pytest.mark.parametrize("place", ["parent", "clone", "elsewhere"])
def test_an_editable_installation_is_found_from_every_folder(tree, builder, tmp_path, place):
    """Python that starts in the parent sees the clone, which has no `__init__.py`, before any hook of an installer."""
    clone = tmp_path / "autograd_cnn"
    shutil.copytree(tree, clone)
    printed("-c", f"from setuptools import build_meta; build_meta.build_editable({str(tmp_path)!r})", cwd=clone)
    printed("-m", "venv", "--without-pip", tmp_path / "env")
    (own,) = (tmp_path / "env").glob("bin/python" if os.name == "posix" else "Scripts/python.exe")
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(
        subprocess.run([own, "-c", where], capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    )
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as archive:
        archive.extractall(site)
    (site / "numpy.pth").write_text(str(Path(np.__file__).parents[1]))
    (tmp_path / "elsewhere").mkdir()
    folder = {"parent": tmp_path, "clone": clone, "elsewhere": tmp_path / "elsewhere"}[place]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    program = "import autograd_cnn as ag; print(ag.Tensor([1.0]).shape, ag.__file__)"
    done = subprocess.run(
        [own, "-c", program], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == f"(1,) {clone / 'autograd_cnn' / '__init__.py'}\n", done.stderr


@pytest.mark.slow
def test_the_source_distribution_has_the_tree_and_its_tests_start(tree, built, tmp_path):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (unpacked,) = tmp_path.iterdir()
    made = {name for name in files_in(unpacked) if ".egg-info/" in name} | {"PKG-INFO"}
    assert files_in(unpacked) - made == {name for name in files_in(tree) if ".egg-info/" not in name}
    tests = "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/engine/test_tape.py", "tests/together/test_docs.py"
    assert re.search(r"^\d+ passed", printed(*tests, cwd=unpacked, PYTHONPATH=str(unpacked)), re.M)


def test_every_place_has_the_same_version(capsys):
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", ag.__version__)
    assert f"\nversion: {ag.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert ag.__version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"autograd_cnn {ag.__version__}\n"


def test_the_description_for_an_index_has_no_relative_link_or_picture():
    text = (ROOT / "docs" / "package.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\((?!https:)", text) == []


@pytest.mark.slow
def test_the_first_command_of_the_readme_needs_the_required_packages_only(tmp_path):
    """Requirements are read from the tree, since an installation may be of another version."""
    text = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    block = re.search(r"^install_requires =\n((?:    .*\n)+)", text, re.M)[1]
    required = set(re.findall(r"^    ([a-z0-9]+)", block, re.M))
    program = f"""
import runpy, sys
sys.argv = ["train", "--images", "200", "--epochs", "1", "--out", "run"]
sys.path.insert(0, {str(ROOT / "examples")!r})
try:
    runpy.run_path({str(ROOT / "examples" / "train_cifar10.py")!r}, run_name="__main__")
except SystemExit as end:
    assert not end.code
packages = "numpy matplotlib tqdm safetensors threadpoolctl jinja2"
print(*sorted(sys.modules.keys() & set(packages.split())))
"""
    text = printed("-c", program, cwd=tmp_path, PYTHONPATH=str(ROOT), MPLBACKEND="Agg")
    used = set(text.splitlines()[-1].split())
    assert used == required - {"graphviz"}  # `dot` renders .png and .pdf of a graph, the report has .svg
    assert {"numpy", "matplotlib", "graphviz"} <= required
