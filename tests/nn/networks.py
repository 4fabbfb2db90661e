"""The networks of these tests."""

import numpy as np

import autograd_cnn as ag
from autograd_cnn import nn


class Block(nn.Module):
    def __init__(self, channels, rng):
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, rng=rng)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return ag.relu(self.norm(self.conv1(x)))


class Net(nn.Module):
    def __init__(self, rng, width=4):
        self.width = width
        self.stem = nn.Conv2d(3, width, 3, padding=1, bias=False, rng=rng)
        self.blocks = [Block(width, rng), Block(width, rng)]
        self.heads = {"classes": nn.Linear(width, 10, rng=rng)}
        self.scale = ag.Tensor(np.ones(10, np.float32), requires_grad=True)

    def forward(self, x):
        h = self.stem(x)
        for block in self.blocks:
            h = block(h)
        return self.heads["classes"](h.mean((1, 2))) * self.scale
