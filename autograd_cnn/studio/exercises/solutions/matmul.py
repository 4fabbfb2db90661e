"""Answers exercise 4."""


def matmul_backward(g, x, w):
    """Return gx (N, D) and gw (D, M), the gradients of x and of w in y = x @ w."""
    gx = g @ w.T
    # wrong: gx = g @ w
    # w is not transposed in gx: g (N, M) needs w.T (M, D) to become (N, D)
    # wrong: gx = w @ g
    # gx is w @ g: the operands are in the wrong order, and w is not transposed
    # wrong: gx = w.T @ g
    # the operands of gx are in the wrong order: rows of gx are items, as those of g
    # wrong: gx = g * w
    # gx is g * w, number by number. Each y is a sum of products: want a product of matrices, @
    gw = x.T @ g
    # wrong: gw = x @ g
    # x is not transposed in gw: x.T (D, N) and g (N, M) become (D, M)
    # wrong: gw = g @ x.T
    # the operands of gw are in the wrong order: rows of gw are features, as those of x.T
    # wrong: gw = g @ x
    # gw is g @ x: the operands are in the wrong order, and x is not transposed
    # wrong: gw = g * x
    # gw is g * x, number by number. Each y is a sum of products: want a product of matrices, @
    return gx, gw
