"""Answers exercise 1."""


def multiply_backward(g, x, u):
    """Return gx and gu, the gradients of x and of u in y = x * u."""
    gx = g * u
    # wrong: gx = g * x
    # gx is g * x. If x moves, y = x * u moves u times as much: the slope is the other factor
    # wrong: gx = g + u
    # gx is g + u. The chain rule multiplies g by the slope
    # wrong: gx = g * x * u
    # gx is g * x * u, which has y in place of the slope of y
    # wrong: gx = g / u
    # gx is g / u. The chain rule multiplies g by the slope
    # wrong: gx = g
    # gx is g: the slope is missing
    gu = g * x
    # wrong: gu = g * u
    # gu is g * u. If u moves, y = x * u moves x times as much: the slope is the other factor
    # wrong: gu = g + x
    # gu is g + x. The chain rule multiplies g by the slope
    return gx, gu
