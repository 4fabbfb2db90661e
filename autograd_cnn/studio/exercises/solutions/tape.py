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
        # wrong: pass
        # multiply writes no record: self.records.append((out, [(x, slope), (y, slope)]))
        return out

    def backward(self, out):
        """Fill in grad of every Number from which `out` was made."""
        out.grad = 1.0
        # wrong: out.grad = out.value
        # out.grad begins at the value. The gradient of out with respect to itself is 1
        # wrong: self.records[-1][0].grad = 1.0
        # the walk begins with the gradient of the last record. out may come earlier: out.grad = 1
        for output, paths in reversed(self.records):
            # wrong: for output, paths in self.records:
            # the records are read from the first to the last. Walk back: reversed(self.records)
            # wrong: for output, paths in self.records[-1:]:
            # only the last record is read. Walk through all of them: reversed(self.records)
            for part, slope in paths:
                part.grad += output.grad * slope
                # wrong: part.grad = output.grad * slope
                # the walk assigns. A value that is used twice gets two contributions: part.grad += ..., not =
                # wrong: part.grad += slope
                # multiply each slope by the gradient of the record's own output, not of the final one
                # wrong: part.grad += out.grad * slope
                # multiply each slope by the gradient of the record's own output, not of the final one
                # wrong: part.grad += output.value * slope
                # the walk multiplies slopes by the value of the output. Want its gradient
                # wrong: pass
                # nothing begins the walk: the gradient of out, with respect to itself, is 1
