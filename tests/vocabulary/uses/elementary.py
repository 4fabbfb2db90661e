import numpy as np

import autograd_cnn as ag
from uses import use

rng = np.random.default_rng(0)
X, Y, POSITIVE, INSIDE = (rng.uniform(a, b, (2, 3)) for a, b in ((-3, 3), (-3, 3), (0.5, 2), (-0.9, 0.9)))
TIMES, KNOTS, LEVELS = np.array([0.3, 2.5, -1.2, 1.75, 9.3]), np.array([0.0, 1.0, 1.5, 4.0]), rng.normal(size=4)

RANGES = [
    (X, "positive real_if_close fabs exp2 cbrt deg2rad rad2deg degrees radians sinh cosh arctan"),
    (X, "arcsinh sinc atan asinh frexp modf nan_to_num"),
    (INSIDE, "arcsin arccos arctanh asin acos atanh tan"),
    (POSITIVE, "reciprocal log2 log10"),
    (POSITIVE + 1, "arccosh acosh"),
]
PAIRS = "arctan2 atan2 hypot logaddexp logaddexp2 fmax fmin copysign remainder mod fmod divmod"

USES = [
    *[use(name, getattr(np, name), x) for x, names in RANGES for name in names.split()],
    *[use(name, getattr(np, name), X, Y) for name in PAIRS.split()],
    *[use(name, lambda x, name=name: getattr(np, name)(x, 0.75), X) for name in PAIRS.split()],
    *[use(name, lambda y, name=name: getattr(np, name)(0.75, y), X) for name in PAIRS.split()],
    use("sinc", np.sinc, np.array([0.0, 1e-9, -0.019, 0.021, 1.0])),
    use("ldexp", lambda x: np.ldexp(x, [1, -2, 0]), X),
    use("angle", lambda x, y: np.angle(x + 1j * y), X, Y),
    use("angle", lambda x: np.angle((1 + 2j) * x + 1, deg=True), X),
    use("real_if_close", lambda x: np.real_if_close(x + 0j), X),
    use("float_power", np.float_power, POSITIVE, Y),
    use("float_power", lambda y: np.float_power(2, y), Y),
    use("nan_to_num", lambda x: np.nan_to_num(np.where([True, False, True], x, np.inf), posinf=7.0), X),
    use("select", lambda x, y: np.select([x < -1, x < 1], [x * x, y], 3.0), X, Y),
    use("select", lambda x, y: np.select([x > 0], [x], default=y), X, Y),
    use("interp", np.interp, TIMES, KNOTS, LEVELS),
    use("interp", lambda x, xp, fp: np.interp(x, xp, fp, -1.0, right=2.0), TIMES, KNOTS, LEVELS),
    use("interp", lambda xp, fp: np.interp(1.2, xp, fp), KNOTS, LEVELS),
    use("interp", lambda x, xp, fp: np.interp(x, xp, fp, left=0.0), TIMES, KNOTS[1:2], LEVELS[:1]),
    use("linspace", lambda a, b: np.linspace(a, b, 5), X, Y[0]),
    use("linspace", lambda b: np.linspace(1, b, num=4, endpoint=False), np.array(3.0)),
    use("logspace", lambda a, b: np.logspace(a, b, 4), X[0], Y[0]),
    use("logspace", lambda a: np.logspace(a, 2, 4, base=3), np.array(1.0)),
    use("geomspace", lambda a, b: np.geomspace(a, b, 4), POSITIVE, POSITIVE[::-1] * 3),
    use("geomspace", lambda b: np.geomspace(-1, b, 4, endpoint=False), np.array(-8.0)),
    use("unwrap", np.unwrap, np.array([0.0, 2.0, 5.5, -1.0, 9.0])),
    use("unwrap", lambda p: np.unwrap(p, axis=0, period=1.0), X),
    use("bincount", lambda w: np.bincount([0, 3, 0], w, 6), np.array([1.0, 2.0, 4.0])),
    use("absolute", lambda x: ag.absolute(x), X, want=np.abs),
]
