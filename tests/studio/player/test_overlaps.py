"""Nothing in a picture crosses a text, by the widths that the layout counts on."""

import pytest

from studio.overlaps import overlaps_of
from studio.player.random_programs import program
from studio.player.test_walk import traced


@pytest.mark.parametrize("seed", range(0, 50, 10))
def test_nothing_overlaps_in_random_functions(seed):
    for k in range(seed, seed + 10):
        f, arguments, text = program(k)
        assert not overlaps_of(traced(f, *arguments)), text
