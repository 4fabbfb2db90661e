"""The same networks here and in PyTorch: each function takes the library, `autograd_cnn.nn` or `torch.nn`."""

import numpy as np

import autograd_cnn as ag
from autograd_cnn import nn

X = np.random.default_rng(0).standard_normal((2, 12, 10, 3)).astype(np.float32)
ROWS = X[:, 0]  # (N, L, C)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.down = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        h = ag.relu(self.bn1(self.conv1(x)))
        return ag.relu(self.bn2(self.conv2(h)) + self.down(x))


def cnn(n):
    return n.Sequential(
        n.Conv2d(3, 6, 3, padding=1), n.BatchNorm2d(6), n.ReLU(), n.MaxPool2d(2),
        n.Conv2d(6, 8, 3, padding=(2, 2)), n.ReLU(), n.Flatten(), n.BatchNorm1d(8 * 8 * 7), n.Dropout(0.5),
        n.Linear(8 * 8 * 7, 16), n.ReLU(), n.Linear(16, 4),
    )  # fmt: skip


def grouped(n):
    return n.Sequential(
        n.Conv2d(3, 6, 3, stride=2, padding=1, groups=3), n.GroupNorm(2, 6), n.Conv2d(6, 6, 3, padding=2, dilation=2,
        groups=6), n.GELU(), n.Conv2d(6, 4, 1), n.AvgPool2d(2), n.Flatten(), n.Linear(3 * 2 * 4, 5),
    )  # fmt: skip


def transposed(n):
    return n.Sequential(
        n.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1), n.InstanceNorm2d(4, affine=True), n.ReLU(),
        n.ConvTranspose2d(4, 6, 2, groups=2), n.PixelUnshuffle(1), n.Flatten(), n.Linear(25 * 21 * 6, 3),
    )  # fmt: skip


def sequences(n):
    return n.Sequential(
        n.Conv1d(3, 4, 3, padding=1), n.Conv1d(4, 4, 3, padding=1, groups=4), n.PReLU(4),
        n.ConvTranspose1d(4, 6, 2, groups=2), n.BatchNorm1d(6),
        n.MaxPool1d(2), n.Flatten(), n.Linear(5 * 6, 3),
    )  # fmt: skip


def pooled(n):
    return n.Sequential(n.Conv2d(3, 5, 3), n.AdaptiveAvgPool2d(1), n.Flatten(), n.LayerNorm(5), n.Linear(5, 3))


def words(n):
    return n.Sequential(n.Embedding(20, 6), n.LayerNorm(6), n.RMSNorm(6), n.Linear(6, 4), n.Flatten(), n.Linear(20, 3))


def shuffled(n):
    return n.Sequential(n.Conv2d(3, 8, 3), n.PixelShuffle(2), n.Conv2d(2, 3, 3), n.Flatten(), n.Linear(18 * 14 * 3, 2))


class Images(nn.Module):
    """A LayerNorm over whole images, and a map that is added to them."""

    def __init__(self):
        self.norm = nn.LayerNorm((12, 10, 3))
        self.map = ag.Tensor(np.random.default_rng(3).standard_normal((12, 10, 3)).astype("f"), requires_grad=True)
        self.fc = nn.Linear(360, 2)

    def forward(self, x):
        return self.fc(ag.flatten(self.norm(x) + self.map, 1))


def randomised(model):
    rng = np.random.default_rng(5)
    for name, t in [*model.named_parameters(), *model.named_buffers()]:
        t.data = (
            np.abs(rng.normal(1, 0.3, t.shape)).astype(t.dtype)
            if "var" in name
            else (rng.normal(0, 0.3, t.shape).astype(t.dtype))
        )
    return model


def resnet():
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), Block(4, 4, 1),
                         Block(4, 8, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))  # fmt: skip


def torch_resnet():
    from torch import nn as n

    class TorchBlock(n.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1 = n.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
            self.bn1 = n.BatchNorm2d(outputs)
            self.conv2 = n.Conv2d(outputs, outputs, 3, padding=1, bias=False)
            self.bn2 = n.BatchNorm2d(outputs)
            self.down = n.Sequential(n.Conv2d(inputs, outputs, 1, stride, bias=False), n.BatchNorm2d(outputs))

        def forward(self, x):
            return (self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())) + self.down(x)).relu()

    return n.Sequential(n.Conv2d(3, 4, 3, padding=1, bias=False), n.BatchNorm2d(4), n.ReLU(), TorchBlock(4, 4, 1),
                        TorchBlock(4, 8, 2), n.AdaptiveAvgPool2d(1), n.Flatten(), n.Linear(8, 10))  # fmt: skip


MODELS = [(cnn, X), (grouped, X), (transposed, X), (sequences, ROWS), (pooled, X), (shuffled, X),
          (words, np.arange(10).reshape(2, 5))]  # fmt: skip
