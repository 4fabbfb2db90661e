"""The Python that runs this: its command line, the packages that it may lack, and text that any terminal can show."""

from __future__ import annotations

import os
import shlex
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager


def command(*arguments: str | os.PathLike[str]) -> str:
    """Return the line for a shell that runs this interpreter with the arguments.

    Examples
    --------
    >>> command("-m", "autograd_cnn", "predict", "runs/first one")  # doctest: +ELLIPSIS
    "...python... -m autograd_cnn predict 'runs/first one'"
    """
    words = [sys.executable or "python3", *(os.fspath(argument) for argument in arguments)]
    if os.name == "nt":
        from subprocess import list2cmdline

        return list2cmdline(words)
    return shlex.join(words)


def program() -> str:
    """Return the line that runs this program again, or "" in an interactive session, which no line repeats."""
    interactive, name = ("", "-c", "-m", "ipykernel_launcher.py"), os.path.basename(sys.argv[0] if sys.argv else "")
    package = getattr(sys.modules["__main__"].__spec__, "parent", "") if name == "__main__.py" else ""
    return "" if name in interactive else command(*(["-m", package] if package else sys.argv[:1]), *sys.argv[1:])


@contextmanager
def needs(package: str, task: str, extra: str = "") -> Iterator[None]:
    """Import a package inside this block; without it, the error has the line that installs it.

    Parameters
    ----------
    package : str
        The name under which pip knows it.
    task : str
        The purpose of the package, which begins the message.
    extra : str
        The extra of this package that brings it, unless it is required.

    Raises
    ------
    ImportError
        If the import fails.
    """
    try:
        yield
    except ImportError as error:
        cure = command("-m", "pip", "install", f"autograd_cnn[{extra}]" if extra else package)
        raise ImportError(f"{task} needs {package} ({error}): {cure}", name=error.name) from error


def plain(text: str) -> str:
    """Return `text` on one line, with control characters, surrogates and direction overrides as escapes.

    Examples
    --------
    >>> print(plain("cat\\n\\x1b[31m.png"))
    cat\\n\\x1b[31m.png
    """
    if text.isprintable():
        return text
    hidden = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in hidden else c for c in text)
