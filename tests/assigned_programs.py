"""Random programs of assignments, reads, slices, masks and views, which NumPy, PyTorch and this package can run.

The last line of a program is a sum over some of its variables, so that each number counts.
"""

import numpy as np

SHAPES = [(4,), (2, 3), (3, 2, 2)]
INDICES = {  # by number of axes; `I`, `J` and `M` stand for arrays
    1: ["1", "-1", "...", "1:3", "::2", "None", "I", "[0, 2]", "M", "(..., 1)", "slice(None, -1)", "()"],
    2: ["0", "-1", "0, 1", "1, 1:", ":, 1", "..., 0", ":, ::2", ":, None, 1", "J", "[1, 0]", ":, I", "J, I[:2]", "M",
        "M[:, 0]", "0, I", "np.ix_(J, J)", ":1", "1, None"],
    3: ["0", "1, 1", "2, 0, 1", ":, 1", "..., 1", "1:, :, 0", "I, 0", ":, J", "0, :, J", "M", "M[..., 0]", "None, 2",
        "::2, 1:", "0, ..., None"],
}  # fmt: skip
CONSTANTS = {"I": np.array([0, 2, 1]), "J": np.array([1, 0])}
VIEWS = {1: ["{}.reshape(2, 2)", "{}[:, None]", "np.flip({})"], 2: ["{}.T", "{}.reshape(-1)", "np.diagonal({})"],
         3: ["{}.T", "{}[0].T", "{}.reshape(3, 4)", "np.swapaxes({}, 0, 1)", "np.squeeze({}[:1])"]}  # fmt: skip


class Program:
    """A random program: its source, and the shape of its input `x`. Masks `M0`, `M1`, ... are its constants."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = np.random.default_rng(seed)
        self.shape = SHAPES[rng.integers(len(SHAPES))]
        self.constants = dict(CONSTANTS)
        self.scope = {"np": np, **CONSTANTS, "x": rng.normal(size=self.shape)}
        self.lines, self.count = [], 0
        self.do(f"a = {self.fresh('x')}")
        for _ in range(rng.integers(4, 14)):
            for _ in range(20):  # a line that NumPy refuses is drawn again
                if self.do(self.line()):
                    break
        names = [n for n in self.names() if n != "x"]
        picked = [n for n in names if n == "a" or rng.random() < 0.4]
        terms = [f"np.sum({n} * {n} * {0.3 + 0.1 * k:.1f} + {n})" for k, n in enumerate(picked)]
        self.do(f"result = {' + '.join(terms)}")
        self.source = "\n".join(self.lines)

    def names(self):
        return [n for n, v in self.scope.items() if isinstance(v, np.ndarray) and v.dtype == float]

    def one(self, of):
        return of[self.rng.integers(len(of))]

    def do(self, line):
        before = {n: v.copy() if isinstance(v, np.ndarray) else v for n, v in self.scope.items()}
        try:
            exec(line, self.scope)  # in place, on the program's own arrays
        except (IndexError, TypeError, ValueError):
            for n, v in before.items():
                if isinstance(v, np.ndarray) and not np.array_equal(self.scope[n], v):
                    self.scope[n][...] = v
            return False
        self.lines.append(line)
        return True

    def index(self, name):
        array = self.scope[name]
        index = self.one(INDICES.get(array.ndim, ["..."]))
        if "M" in index:
            mask = f"M{self.count}"
            self.count += 1
            self.constants[mask] = self.scope[mask] = self.rng.random(array.shape) < 0.5
            index = index.replace("M", mask)
        return index

    def fresh(self, name):
        return self.one(["{} * 1.5", "np.zeros_like({})", "np.sin({})", "{} + 0", "np.full_like({}, 0.5)"]).format(name)

    def line(self):
        likely = {n: 0.02 if n == "x" else 1 if self.scope[n].base is None else 0.15 for n in self.names()}
        name = self.one([n for n, p in likely.items() if self.rng.random() < p] or ["a"])
        index, kind = self.index(name), self.rng.random()
        like = [n for n in self.names() if self.scope[n].shape == self.scope[name].shape]
        new = f"v{len(self.names())}"
        if kind < 0.1:
            return f"{new} = {self.fresh(self.one(self.names()))}"
        if kind < 0.2:
            return f"{new} = {name}[{index}]"
        if kind < 0.3:
            return f"{new} = {self.one(VIEWS.get(self.scope[name].ndim, ['{} * 2'])).format(name)}"
        if kind < 0.35:
            return f"{new} = {name} * {self.one(like)}"
        sign = self.one(["=", "=", "+=", "*=", "-="])
        value = self.one(
            ["{o}[{i}]", "np.sin({o}[{i}])", "{o}[{i}] * {n}[{i}]", "0.25", "np.sum({o}) * 0.1", "{o}[{i}]"]
        )
        if kind < 0.45:  # a value of another shape
            other = self.one(self.names())
            return f"{name}[{index}] {sign} {other}[{self.index(other)}]"
        return f"{name}[{index}] {sign} {value.format(o=self.one(like), n=name, i=index)}"
