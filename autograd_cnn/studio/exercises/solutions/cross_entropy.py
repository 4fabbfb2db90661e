"""Answers exercise 6."""

import numpy as np


def cross_entropy(z, y):
    """Return loss, one number."""
    s = z - np.max(z, axis=1, keepdims=True)
    # wrong: s = z - np.max(z, axis=0)
    # the largest of each column is subtracted, axis 0. Subtract the largest of each row: axis=1, keepdims=True
    log_p = s - np.log(np.sum(np.exp(s), axis=1, keepdims=True))
    # wrong: log_p = z - np.log(np.sum(np.exp(z), axis=0))
    # the softmax runs over the items, axis 0. Classes are axis 1
    # wrong: log_p = z - np.log(np.sum(np.exp(z)))
    # the softmax runs over all numbers. Each item has its own: axis=1, keepdims=True
    # wrong: log_p = np.exp(s) / np.sum(np.exp(s), axis=1, keepdims=True)
    # the log is missing: the loss is -log(p), not -p
    # wrong: log_p = z
    # the softmax is missing: subtract the log of the sum of exp from each score
    # wrong: log_p = s
    # the softmax is missing: after the maximum, subtract the log of the sum of exp
    return -np.mean(log_p[np.arange(len(y)), y])
    # wrong: return -np.mean(log_p[y])
    # log_p[y] takes rows. Want for each item its right class: [np.arange(N), y]
    # wrong: return -np.mean(log_p[:, y])
    # [:, y] takes all classes in y for every item. Want for each item its own: [np.arange(N), y]
    # wrong: return -np.mean(log_p)
    # all classes are in the mean. Take only the right class of each item
    # wrong: return -np.sum(log_p[np.arange(len(y)), y])
    # the loss is a sum over the items, want their mean: a division by N is missing


def cross_entropy_backward(z, y):
    """Return gz (N, C), the gradient of z in loss = cross_entropy(z, y)."""
    e = np.exp(z - np.max(z, axis=1, keepdims=True))
    # wrong: e = np.exp(z - np.max(z, axis=0))
    # the largest of each column is subtracted, axis 0. Subtract the largest of each row: axis=1, keepdims=True
    p = e / np.sum(e, axis=1, keepdims=True)
    # wrong: p = np.exp(z) / np.sum(np.exp(z), axis=0)
    # the softmax runs over the items, axis 0. Classes are axis 1
    p[np.arange(len(y)), y] -= 1
    # wrong: return p
    # gz is p. The 1 at the right class, and the division by N, are missing
    # wrong: p[:, y] -= 1
    # [:, y] takes all classes in y for every item. Want for each item its own: [np.arange(N), y]
    # wrong: p[y] -= 1
    # p[y] takes rows. Want for each item its right class: [np.arange(N), y]
    # wrong: p -= y[:, None]
    # gz has p - y, with the number of the class. Want p - 1 at that class
    # wrong: pass
    # gz is p / N. The 1 at the right class is missing
    # wrong: p[np.arange(len(y)), y] += 1
    # gz has p + 1 at the right class. Want p - 1
    return p / len(y)
    # wrong: return p
    # the division by N is missing in gz: the loss is a mean over N items
    # wrong: return p / p.size
    # gz is divided by N * C. The loss is a mean over N items
