"""Products of matrices in blocks, against NumPy's."""

from __future__ import annotations

import pytest

from autograd_cnn.fast import matrices

SHAPES = {
    "tall": ((900, 300), (300, 40)),
    "wide": ((20, 300), (300, 1500)),
    "one row": ((1, 3000), (3000, 300)),
    "stack": ((3, 20, 300), (300, 400)),
    "two stacks": ((40, 3, 50, 60), (40, 3, 60, 50)),
    "stacks that broadcast": ((5, 1, 60, 70), (30, 70, 80)),
}


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES.keys())
def test_products(shapes, normal, same_on_any_number_of_threads):
    x, y = (normal(*shape) for shape in shapes)
    same_on_any_number_of_threads(matrices.matmul, lambda x, y: x @ y, x, y)


def test_products_of_transposes(normal, same_on_any_number_of_threads):
    x, y = normal(300, 900).T, normal(70, 300).T
    same_on_any_number_of_threads(matrices.matmul, lambda x, y: x @ y, x, y)
