"""Arrays of other libraries as data and operands, and Tensors that other libraries read."""

import numpy as np
import pytest

import autograd_cnn as ag

A = np.arange(6.0).reshape(2, 3)


class Producer:
    """An array that offers its numbers by one attribute only."""

    def __init__(self, array):
        self.array = array


class DLPack(Producer):
    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class Interface(Producer):
    @property
    def __array_interface__(self):
        return self.array.__array_interface__


class OldArray(Producer):
    def __array__(self, dtype=None):  # without `copy`, as that of PyTorch
        return self.array


@pytest.fixture
def w():
    return ag.Tensor(np.ones((2, 3)), requires_grad=True, name="w")


@pytest.mark.parametrize("kind", [DLPack, Interface, OldArray])
def test_numbers_of_any_library_are_data_and_operands(kind, w):
    array = A.copy()
    operand = kind(array)
    copied = ag.Tensor(operand)
    (w * operand + operand * w).sum().backward()
    assert np.array_equal(w.grad, 2 * A)
    assert not (operand > w + 5).any() and (w - 1 <= operand).all()
    t = ag.Tensor(np.zeros((2, 3)))
    t[...] = operand
    array[...] = -1
    assert np.array_equal(copied.data, A) and np.array_equal(t.data, A)


@pytest.mark.parametrize("kind", [DLPack, Interface, OldArray])
def test_observers_and_vmap_see_the_shape_of_an_operand(kind):
    def f(x):
        return (x * kind(A)).sum() + ag.stack([kind(A), kind(A) * x]).sum() + ag.add(x, y=kind(A)).sum()

    values = ag.vmap(f)(A)
    assert np.allclose(values, [f(ag.Tensor(row)).item() for row in A])


def test_memory_of_an_operand_that_is_written_before_backward_changes_no_gradient(w):
    array = A.copy()
    loss = (w * DLPack(array)).sum()
    array[...] = -1
    loss.backward()
    assert np.array_equal(w.grad, A)


def test_a_tensor_without_history_is_given_as_a_copy():
    t = ag.Tensor(A)
    given = np.from_dlpack(t)
    assert np.array_equal(given, A) and given.dtype == t.dtype and not np.shares_memory(given, t.data)
    assert t.__dlpack_device__() == A.__dlpack_device__()


def test_a_tensor_with_a_history_is_not_given(w):
    for t in (w, w * 2):
        with pytest.raises(TypeError, match=r"would leave the graph: .*\.data"):
            np.from_dlpack(t)
    with pytest.raises(TypeError, match=r"asks for the numbers of one example"):
        ag.vmap(lambda x: x + np.from_dlpack(x))(A)


def test_pytorch(w):
    torch = pytest.importorskip("torch")
    for read in (torch.as_tensor, torch.tensor, torch.from_dlpack):
        assert torch.equal(read(ag.Tensor(A)), torch.tensor(A))
        assert read(ag.Tensor(2.5)).item() == 2.5
        with pytest.raises(TypeError, match="would leave the graph"):
            read(w)
    loss = (w * torch.tensor(A)).sum()
    written = torch.from_dlpack(w.detach())
    written[...] = 9
    loss.backward()
    assert np.array_equal(w.grad, A) and np.array_equal(w.data, np.ones((2, 3)))
    negated = torch.tensor([1 + 2j]).conj().imag  # a view whose memory has the other sign
    with pytest.raises(RuntimeError, match="negative bit"):
        ag.Tensor(negated)
    with pytest.raises(RuntimeError, match="requires grad"):
        w * torch.tensor(A, requires_grad=True)
    with pytest.raises(TypeError, match="maximum: Got unsupported ScalarType BFloat16"):
        ag.maximum(w, torch.tensor(A).bfloat16())
    assert np.array_equal(ag.vmap(lambda x: x * x)(torch.tensor(A)), A * A)


def test_operators_of_pandas_leave_the_operation_to_the_tensor(w):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(A)
    (frame * w + pandas.Series([1.0, 2.0, 3.0]) * w).sum().backward()
    assert np.array_equal(w.grad, A + np.array([1, 2, 3]))
    assert isinstance(pandas.Index([1.0, 2.0, 3.0]) - w, ag.Tensor)
    assert isinstance(frame >= w, np.ndarray)
    assert pandas.DataFrame(ag.Tensor(A)).equals(frame)


def test_images_of_pillow(w):
    image = pytest.importorskip("PIL.Image").fromarray(A.astype(np.uint8))
    (image * w).sum().backward()
    assert np.array_equal(w.grad, A)
    with pytest.raises(AttributeError, match=r"Tensor has no '__array_interface__'. Here: x\.data has it"):
        pytest.importorskip("PIL.Image").fromarray(w)
