"""Tests of one thing in many cases, for which a sample is enough in the default run."""

import pytest


def sampled(cases, step):
    """The cases of ``parametrize``, of which only one in `step` is in the default run."""
    return [case if i % step == 0 else pytest.param(case, marks=pytest.mark.slow) for i, case in enumerate(cases)]
