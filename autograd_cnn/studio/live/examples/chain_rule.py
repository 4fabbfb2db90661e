# The chain rule on scalars
import autograd_cnn as ag


def f(x, y):
    h = x * y
    s = ag.sin(h)
    t = s + x * x
    return ag.exp(-t)


ag.trace(f, 0.5, 1.2)
