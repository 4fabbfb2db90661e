"""Networks that people build, small: a ResNet-20, an LSTM, a transformer block, fifty layers."""

import numpy as np

import autograd_cnn as ag

X, Y = np.ones((2, 6, 4), np.float32), np.array([0, 1])


class Block(ag.nn.Module):
    def __init__(self, channels, wider):
        self.conv1 = ag.nn.Conv2d(channels, wider, 3, padding=1, stride=wider // channels)
        self.bn1 = ag.nn.BatchNorm2d(wider)
        self.conv2 = ag.nn.Conv2d(wider, wider, 3, padding=1)
        self.shortcut = ag.nn.Conv2d(channels, wider, 1, stride=2) if wider > channels else ag.nn.Identity()

    def forward(self, x):
        return ag.relu(self.conv2(ag.relu(self.bn1(self.conv1(x)))) + self.shortcut(x))


class ResNet(ag.nn.Module):
    def __init__(self):
        self.stem = ag.nn.Conv2d(3, 2, 3, padding=1)
        self.layers = [Block(max(2, k - k // 2 * (i == 0)), k) for k in (2, 4, 8) for i in range(3)]
        self.head = ag.nn.Linear(8, 10)

    def forward(self, x):
        x = self.stem(x)
        for block in self.layers:
            x = block(x)
        return self.head(x.mean(axis=(1, 2)))


class Deep(ag.nn.Module):
    def __init__(self):
        self.layers = [ag.nn.Linear(4, 4) for _ in range(50)]

    def forward(self, x):
        for layer in self.layers:
            x = ag.tanh(layer(x))
        return x


def resnet():
    model, images = ResNet(), np.ones((2, 8, 8, 3), np.float32)
    return lambda: ag.cross_entropy(model(images), Y)


def lstm():
    model, head = ag.nn.LSTM(4, 3), ag.nn.Linear(3, 2)
    return lambda: ag.cross_entropy(head(model(X)[0][:, -1]), Y)


def transformer():
    model, head = ag.nn.TransformerEncoderLayer(4, 2), ag.nn.Linear(4, 2)
    return lambda: ag.cross_entropy(head(model(X))[:, -1], Y)


def deep():
    model = Deep()
    return lambda: ag.mse(model(X), 0 * X)


NETWORKS = {build.__name__: build for build in (resnet, lstm, transformer, deep)}
