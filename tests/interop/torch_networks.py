"""The same networks here and in PyTorch: each function takes the library, `autograd_cnn.nn` or `torch.nn`."""

import numpy as np

from autograd_cnn import nn

X = np.random.default_rng(0).standard_normal((2, 12, 10, 3)).astype(np.float32)
ROWS = X[:, 0]  # (N, L, C)


def network(n, forward, **parts):
    """Parts by name, and a function of them and the input."""

    class Network(n.Module):
        def __init__(self):
            super().__init__()
            for name, part in parts.items():
                setattr(self, name, part)

        def forward(self, x):
            return forward(self, x)

    return Network()


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


def one_dimension(n):
    return n.Sequential(
        n.Conv1d(3, 4, 3, padding=1), n.Conv1d(4, 4, 3, padding=1, groups=4), n.PReLU(4),
        n.ConvTranspose1d(4, 6, 2, groups=2), n.BatchNorm1d(6),
        n.MaxPool1d(2), n.Flatten(), n.Linear(5 * 6, 3),
    )  # fmt: skip


def pooled(n):
    return n.Sequential(n.Conv2d(3, 5, 3), n.AdaptiveAvgPool2d(1), n.Flatten(), n.LayerNorm(5), n.Linear(5, 3))


def shuffled(n):
    return n.Sequential(n.Conv2d(3, 8, 3), n.PixelShuffle(2), n.Conv2d(2, 3, 3), n.Flatten(), n.Linear(18 * 14 * 3, 2))


def words(n):
    return n.Sequential(n.Embedding(20, 6), n.LayerNorm(6), n.Linear(6, 4), n.Flatten(), n.Linear(20, 3))


def block(n, inputs, outputs, stride):
    return network(
        n, lambda m, x: m.relu(m.bn2(m.conv2(m.relu(m.bn1(m.conv1(x))))) + m.down(x)), relu=n.ReLU(),
        conv1=n.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), bn1=n.BatchNorm2d(outputs),
        conv2=n.Conv2d(outputs, outputs, 3, padding=1, bias=False), bn2=n.BatchNorm2d(outputs),
        down=n.Sequential(n.Conv2d(inputs, outputs, 1, stride, bias=False), n.BatchNorm2d(outputs)),
    )  # fmt: skip


def resnet(n):
    return n.Sequential(n.Conv2d(3, 4, 3, padding=1, bias=False), n.BatchNorm2d(4), n.ReLU(), block(n, 4, 4, 1),
                        block(n, 4, 8, 2), n.AdaptiveAvgPool2d(1), n.Flatten(), n.Linear(8, 10))  # fmt: skip


def whole_images(n):
    shape = (12, 10, 3) if n is nn else (3, 12, 10)
    return n.Sequential(n.LayerNorm(shape), n.Flatten(), n.Linear(360, 2))


def root_mean_square(n):
    return n.Sequential(n.RMSNorm(3), n.Linear(3, 2))


NETWORKS = {  # name: (a function of the library, an input, whether PyTorch has arrays of axes as (N, C, ...))
    **{f.__name__: (f, X, True) for f in (cnn, grouped, transposed, pooled, shuffled, resnet, whole_images)},
    "one_dimension": (one_dimension, ROWS, True), "root_mean_square": (root_mean_square, ROWS, False),
    "words": (words, np.arange(10).reshape(2, 5), False),
}  # fmt: skip


def first(out):
    return out[0] if isinstance(out, tuple) else out


def sequence(kind, *sizes, rows=ROWS[:, :4], **options):
    """A layer for sequences. Its sizes are equal, so that no shape can help."""

    def make(n):
        return network(n, lambda m, x: first(m.layer(x)), layer=getattr(n, kind)(*sizes, **options))

    return make, rows, False


FIRST, FOUR = {"batch_first": True}, np.random.default_rng(0).normal(size=(2, 5, 4)).astype("f")
for kind in ("RNN", "LSTM", "GRU"):
    for layers, bidirectional, bias in (1, False, True), (2, True, True), (3, True, False), (1, True, False):
        options = FIRST | {"num_layers": layers, "bidirectional": bidirectional, "bias": bias}
        NETWORKS[f"{kind}, {layers}, {bidirectional}, {bias}"] = sequence(kind, 3, 3, **options)
    NETWORKS[f"{kind}Cell"] = sequence(f"{kind}Cell", 3, 3, rows=ROWS[:, 0])
    NETWORKS[f"{kind}Cell without bias"] = sequence(f"{kind}Cell", 3, 3, False, rows=ROWS[:, 0])
for norm_first, bias in (True, True), (True, False), (False, True), (False, False):
    options = FIRST | {"dim_feedforward": 4, "norm_first": norm_first, "bias": bias}
    NETWORKS[f"attention, {norm_first}, {bias}"] = sequence("TransformerEncoderLayer", 4, 2, rows=FOUR, **options)

TOKENS = {  # of images (N, H, W, C) here, and (N, C, H, W) in PyTorch
    "as in PyTorch": (lambda x: x.transpose(0, 3, 1, 2).reshape(len(x), 4, 6).transpose(0, 2, 1),
                      lambda x: x.flatten(2).mT),
    "pixels": (lambda x: x.reshape((len(x), 6, 4)), lambda x: x.flatten(2).mT),
    "columns": (lambda x: x.mean(1), lambda x: x.mean(2).mT),
    "one row": (lambda x: x[:, 0], lambda x: x[:, :, 0].mT),
}  # fmt: skip


def tokens(kind, way):
    """A layer for sequences of what a convolution gives."""

    def make(n):
        sizes, move = (4, 2, 4) if kind[0] == "T" else (4, 4), TOKENS[way][n is not nn]
        layer, rows = getattr(n, kind)(*sizes, batch_first=True), 6 if way in ("as in PyTorch", "pixels") else 3
        return network(n, lambda m, x: m.head(m.flatten(first(m.layer(move(m.conv(x)))))), conv=n.Conv2d(3, 4, 1),
                       layer=layer, flatten=n.Flatten(), head=n.Linear(4 * rows, 3))  # fmt: skip

    return make, X[:, :2, :3], True


NETWORKS |= {
    f"{kind} of {way}": tokens(kind, way) for kind in ("LSTM", "GRU", "TransformerEncoderLayer") for way in TOKENS
}


def randomised(model):
    """Give every weight and statistic, here or in PyTorch, other numbers."""
    rng = np.random.default_rng(5)
    for name, t in [*model.named_parameters(), *model.named_buffers()]:
        if "num_batches" not in name:
            numbers = np.abs(rng.normal(1, 0.3, t.shape)) if "var" in name else rng.normal(0, 0.3, t.shape)
            t.data = numbers.astype("f") if isinstance(model, nn.Module) else t.data.new_tensor(numbers)
    return model
