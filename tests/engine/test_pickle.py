"""Operations in pickle: by reference, as functions are."""

import copy
import pickle
from functools import partial
from inspect import ismodule

import autograd_cnn as ag
from autograd_cnn import nn

PUBLIC = {
    f"{room.__name__}.{name}": getattr(room, name)
    for room in (ag, *filter(ismodule, map(partial(getattr, ag), ag.__all__)))
    for name in room.__all__
    if callable(getattr(room, name))
}


@ag.primitive
def doubled(x):
    return 2 * x


def test_public_functions_are_pickled_by_reference():
    for name, function in PUBLIC.items():
        assert pickle.loads(pickle.dumps(function)) is function, name


def test_a_model_with_functions_is_pickled():
    model = pickle.loads(pickle.dumps(nn.Sequential(nn.Linear(3, 2), ag.relu, doubled)))
    assert ag.relu in vars(model[1]).values()
    assert doubled in vars(model[2]).values()
    assert copy.deepcopy(doubled) is doubled
