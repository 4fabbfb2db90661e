import numpy as np
import pytest

from nn.networks import Net


@pytest.fixture
def net(rng):
    return Net(rng)


@pytest.fixture
def images(rng):
    return rng.random((5, 8, 8, 3), np.float32)
