"""Answers exercise 9."""


class Number:
    def __init__(self, value):
        self.value = value
        self.grad = 0.0


class Tape:
    def __init__(self):
        self.records = []  # (output, [(input, slope), ...]), in the order of the calls

    def add(self, x, y):
        out = Number(x.value + y.value)
        self.records.append((out, [(x, 1.0), (y, 1.0)]))
        return out

    def multiply(self, x, y):
        """Return a Number, x times y, and record it."""
        out = Number(x.value * y.value)
        self.records.append((out, [(x, y.value), (y, x.value)]))
        # wrong: self.records.append((out, [(x, x.value), (y, y.value)]))
        # the slopes of multiply are swapped: that of x is the other factor, y.value
        return out

    def backward(self, out):
        """Fill in grad of every Number from which `out` was made."""
        out.grad = 1.0
        # wrong: out.grad = out.value
        # out.grad begins at the value. The gradient of out with respect to itself is 1
        # wrong: pass
        # x.grad stays 0. Does multiply write a record, is out.grad 1 at first, does the walk begin at the last record?
        for output, paths in reversed(self.records):
            for part, slope in paths:
                part.grad += output.grad * slope
                # wrong: part.grad = output.grad * slope
                # the walk assigns. A value that is used twice gets two contributions: part.grad += ..., not =
                # wrong: part.grad += slope
                # the walk adds slopes only. Multiply each by the gradient of the output
                # wrong: part.grad += output.value * slope
                # the walk multiplies slopes by the value of the output. Want its gradient
