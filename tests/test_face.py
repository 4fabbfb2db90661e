"""The face of the package: the names that ``import autograd_cnn as ag`` offers."""

import inspect
from operator import attrgetter

import pytest

import autograd_cnn as ag
from autograd_cnn.engine.registry import registry

PUBLIC = """
    Tensor add subtract multiply divide negative power exp log log1p expm1 sqrt square abs sin cos tanh maximum minimum
    where clip sum mean max min var std logsumexp reshape transpose flatten squeeze expand_dims broadcast_to
    concatenate stack pad flip take matmul linear einsum relu leaky_relu gelu silu sigmoid softplus softmax log_softmax
    conv2d conv_transpose2d max_pool2d avg_pool2d batch_norm dropout conv1d conv_transpose1d max_pool2d_with_indices
    max_pool1d avg_pool1d lp_pool2d adaptive_avg_pool2d adaptive_max_pool2d interpolate pixel_shuffle pixel_unshuffle
    unfold fold layer_norm rms_norm group_norm instance_norm local_response_norm normalize embedding one_hot
    bce bce_with_logits cross_entropy mse
    grad value_and_grad vjp jvp hvp jacobian hessian checkpoint check_gradients no_grad enable_grad scope primitive
    trace
    nn optim data training plots interop report
"""


@pytest.mark.parametrize("name", PUBLIC.split())
def test_a_public_name_exists(name):
    assert getattr(ag, name).__doc__


FROZEN = """
    conv2d(x, w, b=None, stride=1, padding=0, dilation=1, groups=1)
    max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False)
    linear(x, w, b=None)
    bce(p, y, reduction='mean', weight=None)
    pad(x, pad_width, constant_values=0, mode='constant')
    concatenate(tensors, axis=0, dtype=None)
"""


@pytest.mark.parametrize("line", FROZEN.split("\n")[1:-1])
def test_a_frozen_signature(line):
    name, _, parameters = line.strip().partition("(")
    signature = inspect.signature(getattr(ag, name))
    plain = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    assert str(inspect.Signature(plain)) == "(" + parameters


OPERATIONS = [name for name, f in registry.items() if getattr(f, "__module__", "").startswith("autograd_cnn.ops.")]


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_on_the_face(name):
    """Also those that only derivatives use: the programs that a graph prints call them as ``ag.name``."""
    home = registry[name].__module__
    assert attrgetter(name)(ag) is registry[name], f"add {name} to __all__ in {home}, and {home} to __init__.py"
    assert name.partition(".")[0] in ag.__all__


def test_the_only_operation_that_is_not_on_the_face_belongs_to_the_transforms():
    """`alias` gives a transform's variable a node of its own; nobody calls it."""
    own = {name for name, f in registry.items() if getattr(f, "__module__", "").startswith("autograd_cnn.")}
    assert own - set(OPERATIONS) == {"alias"}
