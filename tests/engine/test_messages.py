"""The user's line."""

import pytest

from autograd_cnn.engine.messages import line_of


def four_lines(x):
    y = x * 2
    z = [y, x]

    return y, z


@pytest.mark.parametrize("code", [four_lines.__code__, line_of.__code__])
def test_the_line_of_every_instruction_is_pythons(code):
    lines = [line for line, *_ in code.co_positions()]  # one for each two bytes
    assert len({*lines}) > 3
    assert [line_of((code, 2 * i)) for i in range(len(lines))] == [line or code.co_firstlineno for line in lines]
