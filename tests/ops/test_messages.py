"""The errors of operations, word for word: shapes, layouts, dtypes; and that their cures work."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor
from leaves import halves as leaf
from wording import says

# Integers


@says(TypeError, cure=lambda: ag.conv2d(np.zeros((2, 4, 4, 3), np.uint8).astype(np.float32) / 255, leaf(3, 3, 3, 8)))
def test_bytes_into_a_convolution():
    """
    conv2d: images is uint8 (0..255)
      x images (2, 4, 4, 3) uint8    w (3, 3, 3, 8) float32
      at {here}
      Convert once: images.astype(np.float32) / 255, or ag.data.as_float32(images)
    """
    images = Tensor(np.zeros((2, 4, 4, 3), np.uint8), name="images")
    ag.conv2d(images, leaf(3, 3, 3, 8))  # here


@says(TypeError, cure=lambda: ag.linear(np.zeros((2, 3), np.int64).astype(np.float32), leaf(3, 2)))
def test_integers_into_linear():
    """
    linear: x is int64
      x (2, 3) int64    w (3, 2) float32
      at {here}
      Convert once: x.astype(np.float32)
    """
    ag.linear(np.zeros((2, 3), np.int64), leaf(3, 2))  # here


# Shapes


@says(ValueError, cure=lambda: ag.conv2d(leaf(8, 32, 32, 3), leaf(3, 3, 3, 16)))
def test_channels_that_differ():
    """
    conv2d: x has 3 channels, w expects 1
      x images (8, 32, 32, 3) float32    w conv1.w (3, 3, 1, 16) float32
      at {here}
      Channels are x's last axis (NHWC) and w's third (HWIO). Should w be (3, 3, 3, 16)?
    """
    ag.conv2d(leaf(8, 32, 32, 3, name="images"), leaf(3, 3, 1, 16, name="conv1.w"))  # here


@says(ValueError, cure=lambda: ag.conv2d(leaf(8, 3, 32, 32).transpose(0, 2, 3, 1), leaf(3, 3, 3, 16)))
def test_images_with_their_channels_first():
    """
    conv2d: x has 32 channels, w expects 3
      x (8, 3, 32, 32) float32    w (3, 3, 3, 16) float32
      at {here}
      Channels are x's last axis (NHWC) and w's third (HWIO). x looks like NCHW: x.transpose(0, 2, 3, 1)
    """
    ag.conv2d(leaf(8, 3, 32, 32), leaf(3, 3, 3, 16))  # here


@pytest.mark.parametrize(("x", "w", "cure"), [
    ((8, 32, 32, 3), (16, 3, 5, 5), "w looks like OIHW: w.transpose(2, 3, 1, 0)"),
    ((8, 3, 32, 32), (16, 3, 3, 3),
     "x looks like NCHW: x.transpose(0, 2, 3, 1); w looks like OIHW: w.transpose(2, 3, 1, 0)"),
    ((8, 32, 32, 3), (3, 3, 16, 16), "Should w be (3, 3, 3, 16)?"),  # its first axes are a square kernel
    ((8, 32, 32, 3), (5, 3, 4, 16), "Should w be (5, 3, 3, 16)?"),
])  # fmt: skip
def test_weights_in_another_order(x, w, cure):
    with pytest.raises(ValueError, match="conv2d: x has") as caught:
        ag.conv2d(leaf(*x), leaf(*w))
    assert str(caught.value).endswith(f"(HWIO). {cure}")


@says(ValueError, cure=lambda: ag.conv2d(leaf(8, 32, 32, 3), leaf(16, 3, 3, 3).transpose(2, 3, 1, 0), leaf(16)))
def test_weights_in_another_order_that_only_the_bias_shows():
    """
    conv2d: b is (16,), want (3,): one number per output channel
      x (8, 32, 32, 3) float32    w (16, 3, 3, 3) float32    b (16,) float32
      at {here}
      w looks like OIHW: w.transpose(2, 3, 1, 0)
    """
    ag.conv2d(leaf(8, 32, 32, 3), leaf(16, 3, 3, 3), leaf(16))  # here


@says(ValueError, cure=lambda: ag.linear(leaf(4, 3), leaf(10, 3).T))
def test_weights_of_a_linear_layer_in_another_order():
    """
    linear: x (4, 3) @ w (10, 3): 3 is not 10
      x (4, 3) float32    w (10, 3) float32
      at {here}
      x's last axis and w's first must have the same length. w looks like (out, in): w.T
    """
    ag.linear(leaf(4, 3), leaf(10, 3))  # here


@says(ValueError)
def test_groups_that_do_not_divide():
    """
    conv2d: groups=2 does not divide 3 channels and 4 outputs
      x (1, 4, 4, 3) float32    w (1, 1, 1, 4) float32
      at {here}
    """
    ag.conv2d(leaf(1, 4, 4, 3), leaf(1, 1, 1, 4), groups=2)  # here


@says(ValueError)
def test_a_norm_of_images_in_nchw():
    """
    batch_norm: x (8, 3, 4, 5) has 5 channels, w is (3,)
      x (8, 3, 4, 5) float32    w (3,) float32    b (3,) float32
      at {here}
      x looks like NCHW: x.transpose(0, 2, 3, 1)
    """
    ag.batch_norm(leaf(8, 3, 4, 5), leaf(3), leaf(3))  # here


@says(ValueError, cure=lambda: ag.conv2d(leaf(1, 3, 3, 1), leaf(5, 5, 1, 1), padding=1))
def test_a_kernel_larger_than_the_image():
    """
    conv2d: height 3 + 0 + 0 padding < kernel 5 (dilation 1)
      x (1, 3, 3, 1) float32    w (5, 5, 1, 1) float32
      at {here}
      Output (3 + 0 + 0 - 1*(5 - 1) - 1) // 1 + 1 = -1. More padding, or a smaller kernel
    """
    ag.conv2d(leaf(1, 3, 3, 1), leaf(5, 5, 1, 1))  # here


@says(ValueError, cure=lambda: ag.linear(leaf(64, 5, 5, 16).flatten(1), leaf(400, 10)))
def test_linear_after_flatten():
    """
    linear: x (64, 400) @ w (512, 10): 400 is not 512
      x (64, 400) float32    w fc.w (512, 10) float32
      at {here}
      x's last axis and w's first must have the same length
      x is flatten ({flat}) of (64, 5, 5, 16), and 5*5*16 = 400
    """
    x = leaf(64, 5, 5, 16).flatten(1)  # flat
    ag.linear(x, leaf(512, 10, name="fc.w"))  # here


@says(ValueError)
def test_matrices_that_do_not_fit():
    r"""
    matmul: (4, 3) @ (4, 3): 3 is not 4
      x (4, 3) float32    y (4, 3) float32
      at {here}
      The last axis of the first and the last but one of the second must have the same length. The second fits \
      transposed: .mT
    """
    leaf(4, 3) @ leaf(4, 3)  # here


@says(ValueError)
def test_a_matrix_that_does_not_fit_a_vector():
    """
    matmul: (4, 3) @ (2,): 3 is not 2
      x (4, 3) float32    y (2,) float32
      at {here}
      The last axis of the first and the last but one of the second must have the same length
    """
    leaf(4, 3) @ leaf(2)  # here


@says(ValueError)
def test_stacks_that_do_not_broadcast():
    """
    matmul: (2, 3, 4) @ (5, 4, 6): 2 is not 5
      x (2, 3, 4) float32    y (5, 4, 6) float32
      at {here}
      Axes before the last two are compared from the right; each pair must be equal or contain a 1
    """
    leaf(2, 3, 4) @ leaf(5, 4, 6)  # here


@pytest.mark.parametrize(("x", "y", "out"), [
    ((2, 5, 3, 4), (5, 4, 6), (2, 5, 3, 6)), ((1, 5, 3, 4), (2, 1, 4, 6), (2, 5, 3, 6)),
    ((0, 3, 4), (1, 4, 6), (0, 3, 6)), ((5, 3, 4), (2, 4, 4, 6), "5 is not 4"), ((0, 3, 4), (2, 4, 6), "0 is not 2"),
    ((2, 5, 3, 4), (3, 5, 4, 6), "2 is not 3"),
])  # fmt: skip
def test_stacks_broadcast_as_numpys(x, y, out):
    if isinstance(out, tuple):
        assert (leaf(*x) @ leaf(*y)).shape == out == np.matmul(np.ones(x), np.ones(y)).shape
    else:
        with pytest.raises(ValueError, match=out):
            leaf(*x) @ leaf(*y)


@says(ValueError, cure=lambda: ag.einsum("ij,kj->ik", leaf(4, 3), leaf(2, 3)))
def test_letters_of_two_lengths():
    """
    einsum: 'ij,jk->ik' does not fit (4, 3) and (2, 3): j is 2 and 3
      operands (4, 3) float32    operands (2, 3) float32
      at {here}
      A letter for each axis, or ...; a comma between operands; after -> only letters from before it
    """
    ag.einsum("ij,jk->ik", leaf(4, 3), leaf(2, 3))  # here


@says(ValueError)
def test_letters_for_another_number_of_axes():
    """
    einsum: 'ijk' does not fit (1, 3)
      operands (1, 3) float32
      at {here}
      A letter for each axis, or ...; a comma between operands; after -> only letters from before it
    """
    ag.einsum("ijk", leaf(1, 3))  # here


# PyTorch's meanings


@says(ValueError, cure=lambda: leaf(2, 3, 4).swapaxes(-2, -1))
def test_two_axes_are_no_order_of_three():
    """
    transpose: x (2, 3, 4) has 3 axes, and axes (-2, -1) puts 2 in order
      x (2, 3, 4) float32
      at {here}
      To exchange two: x.swapaxes(-2, -1)
    """
    leaf(2, 3, 4).transpose(-2, -1)  # here


@says(TypeError)
def test_axes_one_by_one():
    """transpose: too many positional arguments. Pass a shape, or axes, as one argument: (0, 1)"""
    ag.transpose(leaf(2, 3), 0, 1)


@says(TypeError, cure=lambda: ag.reshape(leaf(2, 18), (3, 12)))
def test_a_shape_one_by_one():
    """
    reshape: the shape is one argument
      x (2, 18) float32
      at {here}
      (3, 12, ...), as in ag.reshape(x, (3, 12))
    """
    ag.reshape(leaf(2, 18), 3, 12)  # here


@says(ValueError, cure=lambda: (ag.array_split(leaf(2, 6), 4, 1), leaf(2, 6).split(range(4, 6, 4), 1)))
def test_parts_of_a_length():
    """
    split: axis 1 of (2, 6) has length 6, which 4 equal parts do not divide
      x (2, 6) float32
      at {here}
      Unequal parts: ag.array_split(x, 4, 1); parts of 4 each: range(4, 6, 4)
    """
    leaf(2, 6).split(4, -1)  # here


# Arguments of another place


@says(TypeError, cure=lambda: ag.conv2d(leaf(1, 4, 4, 3), leaf(3, 3, 3, 2), stride=1))
def test_a_stride_in_place_of_the_bias():
    """
    conv2d: b is 1
      x (1, 4, 4, 3) float32    w (3, 3, 3, 2) float32
      at {here}
      stride=1?
    """
    ag.conv2d(leaf(1, 4, 4, 3), leaf(3, 3, 3, 2), 1)  # here


@says(ValueError, cure=lambda: ag.linear(ag.flatten(leaf(4, 6, 6, 4), 1), leaf(144, 2)))
def test_images_that_were_not_flattened():
    """
    linear: x (4, 6, 6, 4) @ w (144, 2): 4 is not 144
      x (4, 6, 6, 4) float32    w (144, 2) float32
      at {here}
      ag.flatten(x, 1) first: 6*6*4 = 144
    """
    ag.linear(leaf(4, 6, 6, 4), leaf(144, 2))  # here


@says(TypeError)
def test_a_word_in_place_of_numbers():
    """
    where: x is 'a', want numbers
      condition (2,) bool    y (2,) float32
      at {here}
    """
    ag.where(np.ones(2, bool), "a", leaf(2))  # here


@says(ValueError, cure=lambda: ag.flatten(leaf(2, 3), 1))
def test_an_axis_that_is_not_there():
    """
    flatten: x (2, 3) has no axis 5
      x (2, 3) float32
      at {here}
      x.flatten(1) keeps the first. Order: x.ravel('F')
    """
    ag.flatten(leaf(2, 3), 5)  # here


# Functions made of primitives


@says(ValueError)
def test_a_function_of_primitives():
    """
    layer_norm: x (6, 4), normalized_shape 5
      x (6, 4) float32
      at {here}
      It has the extents of x's last axes
    """
    ag.layer_norm(leaf(6, 4), 5)  # here


@says(ValueError)
def test_a_function_of_numpy_that_is_made_of_primitives():
    """
    moveaxis: destination: axis 2 is out of bounds for array of dimension 1
      x (3,) float32    source=0
      at {here}
    """
    np.moveaxis(leaf(3), 0, 2)  # here


@says(TypeError)
def test_a_list_in_place_of_images():
    """
    pixel_shuffle: x is [[1.0]], want an array
      upscale_factor=2
      at {here}
    """
    ag.pixel_shuffle([[1.0]], 2)  # here


@says(TypeError)
def test_repeat_of_pytorch():
    """repeat: too many positional arguments. Copies side by side, as in PyTorch: ag.tile(x, (2, 1, 1))"""
    leaf(2).repeat(2, 1, 1)


@says(TypeError)
def test_a_rule_as_a_decorated_function():
    """doubled.vjp: want the name of the input: doubled.vjp(x=rule)"""

    @ag.primitive
    def doubled(x):
        return 2 * x

    @doubled.vjp
    def rule(g, x):
        return 2 * g


@says(TypeError)
def test_no_grad_as_a_decorator_without_brackets():
    """no_grad: too many positional arguments. With brackets: @ag.no_grad(), or with ag.no_grad(): ..."""

    @ag.no_grad
    def f():
        pass
