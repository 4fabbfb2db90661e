"""Exercise 9: a tape, which is the heart of every autograd engine.

While the program runs, each operation writes a record: what came out, and for each
input the slope of the output with respect to it. Going back, the records are read
from the last to the first, and each gives to every input of it

    gradient of the output * slope          ADDED to what the input has already

    tape = Tape(); x = Number(2.0); y = Number(5.0)
    z = tape.add(tape.multiply(x, y), x)          # z.value is 12
    tape.backward(z)                              # x.grad is 6, y.grad is 2

Hint: where does the walk start? The gradient of z with respect to z itself is 1.

Check:  python -m autograd_cnn exercises . --check       (in this folder)
"""


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
        raise NotImplementedError  # your lines in its place

    def backward(self, out):
        """Fill in grad of every Number from which `out` was made."""
        raise NotImplementedError  # your lines in its place
