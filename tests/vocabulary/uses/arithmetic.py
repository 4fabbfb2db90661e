import numpy as np

from uses import use

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(2, 3)), rng.uniform(0.5, 2, (2, 3))

USES = [
    use("divmod", divmod, X, Y),
    use("divmod", lambda y: divmod(5, y), Y),
]
