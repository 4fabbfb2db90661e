"""Answers exercise 10."""

import numpy as np


def train(x, y, w, lr, steps):
    """Return w (D,) and losses (steps,)."""
    losses = []
    for _ in range(steps):
        e = x @ w - y
        # wrong: e = e if losses else x @ w - y
        # gw is that of the first weights in every step: compute it inside of the loop
        losses.append(np.mean(e**2))
        # wrong: losses.append(np.mean((x @ (w - lr * x.T @ (2 * e / len(y))) - y) ** 2))
        # each loss is computed after the update of its step. Want it before
        # wrong: losses = np.mean(e**2)
        # losses is one number. Keep each of them: losses.append(...)
        # wrong: losses.append(np.sum(e**2))
        # the losses are sums over the items. Want means
        gw = x.T @ (2 * e / len(y))
        # wrong: gw = (gw if losses[1:] else 0) + x.T @ (2 * e / len(y))
        # gradients of earlier steps are still in gw: begin each step with a new one
        # wrong: gw = np.mean(2 * e[:, None] * x)
        # gw is one number, a mean over the features, too. Want one for each feature
        # wrong: gw = x.T @ (2 * e)
        # the division by N is missing in gw: the loss is a mean over N items
        # wrong: gw = x.T @ (e / len(y))
        # the factor 2 is missing in gw: the slope of e ** 2 is 2 * e
        w = w - lr * gw
        # wrong: w = w + lr * gw
        # w climbs: the sign of the step is wrong. Downhill is minus
        # wrong: w = w - gw
        # lr is missing: w - lr * gw
        # wrong: pass
        # w stays where it was. Is it updated in every step, the first one, too?
        # wrong: return w - lr * gw, losses
        # only one step is taken. Is the return inside of the loop?
    return w, losses
