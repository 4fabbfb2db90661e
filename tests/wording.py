"""Programs of users who stumble, and the exact text of the error or warning that each must end in: its docstring.

A comment such as ``# here`` marks the line that a message must name, as ``{here}``.
"""

import functools
import inspect
import os
import re
import warnings

import pytest


def lines_of(case):
    """{mark: line number} of the comments in a function."""
    source, first = inspect.getsourcelines(case)
    marks = ((re.search(r"# (\w+)$", line.rstrip()), first + i) for i, line in enumerate(source))
    return {found[1]: number for found, number in marks if found}


def spelled(text, case):
    """Return the text of a message, by default the docstring of its program, with the places of marked lines.

    A line of a docstring that ends with a backslash goes on in the next one.
    """
    file = os.path.basename(case.__code__.co_filename)
    places = {mark: f"{file}:{number}" for mark, number in lines_of(case).items()}
    text = re.sub(r" \\\n *", " ", text or case.__doc__)
    return inspect.cleandoc(text).format(**places)


def says(kind, text="", cure=None):
    """The decorated program raises an error of exactly this type and text; the cure raises none."""

    def decorate(case):
        @functools.wraps(case)
        def test():
            with pytest.raises(kind) as caught:
                case()
            assert str(caught.value) == spelled(text, case)
            assert type(caught.value) is kind
            if cure is not None:
                cure()

        return test

    return decorate


def wrong_calls(messages, names):
    """Return a test of programs, ``{error: {program: text}}``: each raises its error with exactly this text."""
    cases = [(program, kind, text) for kind, table in messages.items() for program, text in table.items()]

    @pytest.mark.parametrize(("program", "kind", "text"), cases, ids=[program for program, *_ in cases])
    def test(program, kind, text):
        with pytest.raises(kind) as caught:
            eval(program, names)
        assert str(caught.value) == text

    return test


def warns(category, text="", cure=None):
    """The decorated program, run three times, warns once, at the line marked ``# here``; the cure does not warn."""

    def decorate(case):
        @functools.wraps(case)
        def test():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("default")
                for _ in range(3):
                    case()
            assert [str(w.message) for w in caught] == [spelled(text, case)]
            assert [(w.category, w.filename, w.lineno) for w in caught] == [
                (category, case.__code__.co_filename, lines_of(case)["here"])
            ]
            if cure is not None:
                cure()  # under warnings as errors

        return test

    return decorate
