"""Wrong calls of layers, optimisers and schedules: programs, and the whole text of the error of each."""

import numpy as np

import autograd_cnn as ag
from autograd_cnn import nn, optim
from wording import wrong_calls

W = ag.Tensor(np.ones(3), requires_grad=True, name="w")
NAMES = {"ag": ag, "nn": nn, "optim": optim, "np": np, "W": W, "Z": np.zeros((2, 5, 3), np.float32)}
MESSAGES = {
    TypeError: {
        "nn.Conv2d(2, 3, 3, rng=7)":
            "Conv2d: rng is 7. One generator serves the whole model: rng = np.random.default_rng(0), then "
            "Conv2d(..., rng=rng); or leave it out and call ag.nn.seed(0) once",
        "nn.ReLU(inplace=True)": "ReLU: has no parameter 'inplace'. Here: leave it out, nothing works in place",
        "nn.Softmax(dim=1)": "Softmax: has no parameter 'dim'. Here: axis=",
        "nn.MaxPool2d(stride=2)":
            "MaxPool2d: missing a required argument: 'kernel_size'; its parameters are (kernel_size, stride=None, "
            "padding=0, dilation=1, ceil_mode=False)",
        "nn.ELU(1.0, alpha=2.0)": "ELU: multiple values for argument 'alpha'; its parameters are (alpha=1.0)",
        "nn.Linear(784.0, 10)": "Linear: in_features is 784.0, want an int",
        "nn.Linear(True, 2)": "Linear: in_features is True, want an int",
        "nn.Conv2d(3, 8, (3,))": "Conv2d: kernel_size is (3,), want an int, or a pair of ints (height, width)",
        'nn.Embedding(10, "a")': "Embedding: embedding_dim is 'a', want an int",
        "nn.Sequential([nn.ReLU()])": "Sequential: layer 0 is a list. Its layers one by one: nn.Sequential(*layers)",
        "nn.ReLU()(np.ones(2), axis=1)": "ReLU: has no parameter 'axis'. It has x",
        "nn.Linear(2, 3)()": "Linear: missing a required argument: 'x'; its parameters are (x)",
        'nn.Sequential(nn.ReLU(), "relu")':
            "Sequential: layer 1 is 'relu', want a layer, or a function such as ag.relu",
        "nn.Sequential(nn.ReLU(), last=nn.Sigmoid)":
            "Sequential: layer last is <class 'autograd_cnn.nn.functions.Sigmoid'>, want Sigmoid(...)",
        "nn.Sequential(train=nn.ReLU())": "Sequential: a layer cannot be called train, which every module has",
        "nn.MultiheadAttention(3, 1)(Z, attn_mask=np.zeros((5, 5), int))":
            "a mask is int64\nWant bool, with the meaning in the docstring, or floats to add",
        "nn.TransformerEncoderLayer(3, 1, 4)(Z, None, np.zeros((2, 5), int))":
            "a mask is int64\nWant bool, with the meaning in the docstring, or floats to add",
        "ag.scaled_dot_product_attention(Z, Z, Z, np.ones((5, 5), int))":
            "scaled_dot_product_attention: a mask is int64\n  query (2, 5, 3) float32    key (2, 5, 3) float32"
            "    value (2, 5, 3) float32    attn_mask (5, 5) int64\n  at <string>:1\n  Want bool, with the "
            "meaning in the docstring, or floats to add",
        "optim.SGD(W, 0.1)": "SGD: parameters is w (3,) float64, want [w, b], or model.parameters()",
        "optim.SGD(nn.ReLU(), 0.1)": "SGD: parameters is a ReLU, want [w, b], or model.parameters()",
        "optim.Adam(nn.Sequential(nn.ReLU()))":
            "Adam: parameter 0 is a ReLU, want Tensor(..., requires_grad=True), as in model.parameters() or the "
            "values() of a dict",
        'optim.Adam({"w": W})':
            "Adam: parameter 0 is a str, want Tensor(..., requires_grad=True), as in model.parameters() or the "
            "values() of a dict",
        "optim.SGD([W, W * 2], 0.1)":
            "SGD: parameter 1 is (3,) float64, a result, want Tensor(..., requires_grad=True), as in "
            "model.parameters() or the values() of a dict",
        "optim.SGD([ag.Tensor([1.0])], 0.1)":
            "SGD: parameter 0 is (1,) float64, requires_grad=False, want Tensor(..., requires_grad=True), as in "
            "model.parameters() or the values() of a dict",
        "optim.SGD(iter([]), 0.1)":
            "SGD: parameters is empty. Are the layers attributes of the Module? A used generator is empty: "
            "model.parameters() again",
        'optim.RMSprop([W], centered="no")': "RMSprop: centered is 'no', want True or False",
        "optim.SGD([W], 0.1, 0.9, nesterov=2)": "SGD: nesterov is 2, want True or False",
        "nn.Sequential(nn.ReLU()).summary(np.ones((2, 3)))":
            "Sequential.summary: input_shape is an array, want a tuple of ints, such as x.shape",
        "nn.Sequential(nn.ReLU()).summary(W)":
            "Sequential.summary: input_shape is an array, want a tuple of ints, such as x.shape",
        "nn.Sequential(nn.ReLU()).summary((2, 3.0))":
            "Sequential.summary: input_shape is (2, 3.0), want a tuple of ints, such as x.shape",
        'nn.Sequential(nn.ReLU()).summary("two")':
            "Sequential.summary: input_shape is 'two', want a tuple of ints, such as x.shape",
        "ag.functional_call(nn.Linear(3, 2), ({}, {}), np.ones((1, 3)))":
            "Linear.replaced: parameters is a tuple, want a dict: {**p, **b}",
        'optim.Adam([{"params": [W], "lr": 1}])':
            "Adam: a group has 'params', 'lr', want 'parameters', and any of 'lr', 'weight_decay'",
        'optim.SGD([{"parameters": [W], "momentum": 1}], lr=1)':
            "SGD: a group has 'parameters', 'momentum', want 'parameters', and any of 'lr', 'weight_decay'",
        'optim.SGD([W], "0.1")': "SGD: lr is '0.1', want a number, 0 or more",
        "optim.SGD([W], None)": "SGD: lr is None, want a number, 0 or more",
        'optim.RMSprop([W], alpha="0.9")': "RMSprop: alpha is '0.9', want a number from 0 to 1",
    },
    ValueError: {
        "nn.Dropout(50, rng)": "Dropout: p is 50, want a probability in [0, 1]",
        "nn.Dropout2d(-1, rng)": "Dropout2d: p is -1, want a probability in [0, 1]",
        "nn.GroupNorm(4, 6)": "GroupNorm: num_groups=4 does not divide 6 channels",
        "nn.ConvTranspose1d(4, 3, 3, groups=2)": "ConvTranspose1d: groups=2 does not divide 4 channels and 3 outputs",
        "nn.Conv2d(3, 4, 3, groups=2, rng=rng)": "Conv2d: groups=2 does not divide 3 channels and 4 outputs",
        "nn.Linear(0, 2)": "Linear: in_features is 0, want 1 or more",
        "nn.Conv2d(3, 0, 3)": "Conv2d: out_channels is 0, want 1 or more",
        "nn.Conv2d(3, 8, 0)": "Conv2d: kernel_size is 0, want 1 or more",
        "nn.Conv2d(3, 8, 3, stride=0)": "Conv2d: stride is 0, want 1 or more",
        "nn.Conv1d(3, 8, 3, dilation=0)": "Conv1d: dilation is 0, want 1 or more",
        "nn.Conv2d(3, 8, 3, padding=-1)":
            "Conv2d: padding is -1, want 0 or more. To cut off a margin: x[:, 1:-1, 1:-1]",
        "nn.MaxPool2d(0)": "MaxPool2d: kernel_size is 0, want 1 or more",
        "nn.AvgPool1d(2, stride=0)": "AvgPool1d: stride is 0, want 1 or more",
        "nn.BatchNorm2d(0)": "BatchNorm2d: channels is 0, want 1 or more",
        "nn.BatchNorm2d(3, momentum=2)": "BatchNorm2d: momentum is 2, want a number from 0 to 1",
        "nn.LayerNorm((3, 0))": "LayerNorm: normalized_shape is 0, want 1 or more",
        "nn.RMSNorm(3, eps=-1)": "RMSNorm: eps is -1, want a number, 0 or more",
        "nn.GroupNorm(0, 4)": "GroupNorm: num_groups is 0, want 1 or more",
        'nn.Dropout("a")': "Dropout: p is 'a', want a probability in [0, 1]",
        "nn.BatchNorm2d(3)(np.ones((1, 1, 1, 3), np.float32))":
            "BatchNorm2d: x (1, 1, 1, 3) has one value per channel, which has no variance. Use a larger batch, "
            "or model.eval()",
        "nn.LSTM(3, 4)(Z[0, 0])": "LSTM: x is (3,), want a batch of sequences, or one (T, features)",
        "nn.LSTM(3, 4)(Z[:, :0])": "LSTM: x is (2, 0, 3), want a batch of sequences, or one (T, features)",
        "nn.GRU(2, 4)(Z)": "GRU: x is (2, 5, 3), want 2 features on its last axis",
        "nn.LSTM(3, 4)(Z, np.zeros((1, 2, 4)))": "LSTM: hx has (1, 2, 4), want (1, 2, 4), (1, 2, 4)",
        "nn.GRUCell(3, 4)(Z[:, 0], np.zeros(4))": "GRUCell: hx has (4,), want (2, 4)",
        "nn.GRU(3, 4)(Z, lengths=[2, 9])": "lengths are array([2, 9]), want ints from 0 to 5, of shape (2,)",
        "nn.GRU(3, 4)(Z, lengths=[2.0, 1.0])": "lengths are array([2., 1.]), want ints from 0 to 5, of shape (2,)",
        "nn.GRU(3, 0)": "GRU: hidden_size is 0, want 1 or more",
        'nn.RNN(3, 4, nonlinearity="sin")': "RNN: nonlinearity is 'sin', want \"tanh\" or \"relu\"",
        "nn.MultiheadAttention(6, 4)": "MultiheadAttention: num_heads=4 does not divide embed_dim=6",
        "nn.TransformerEncoderLayer(3, 1, 4)(Z, None, np.zeros((1, 5), bool))":
            "MultiheadAttention: key_padding_mask is (1, 5), want (2, 5)",
        "nn.MultiheadAttention(3, 1)(Z, Z, Z, np.zeros(5, bool))":
            "MultiheadAttention: key_padding_mask is (5,), want (2, 5)",
        "nn.MultiheadAttention(3, 1)(Z, attn_mask=np.zeros((1, 5), bool))":
            "MultiheadAttention: attn_mask is (1, 5), want (5, 5) or (2, 5, 5)",
        "nn.MultiheadAttention(3, 1)(Z, attn_mask=np.zeros((4, 5, 5), bool))":
            "MultiheadAttention: attn_mask is (4, 5, 5), want (5, 5) or (2, 5, 5)",
        'nn.TransformerEncoderLayer(4, 1, activation="foo")':
            "TransformerEncoderLayer: activation is 'foo', want \"relu\", \"gelu\" or a function",
        "ag.scaled_dot_product_attention(Z, Z, Z, np.ones((1, 2, 5, 5), bool))":
            "scaled_dot_product_attention: a mask is (1, 2, 5, 5), want a shape that broadcasts to (2, 5, 5)\n  "
            "query (2, 5, 3) float32    key (2, 5, 3) float32    value (2, 5, 3) float32    attn_mask (1, 2, 5, "
            "5) bool\n  at <string>:1",
        "optim.SGD([W], -0.1)": "SGD: lr is -0.1, want a number, 0 or more",
        "optim.Adam([W], betas=0.9)": "Adam: betas are 0.9, want both in [0, 1)",
        'optim.SGD([W], float("nan"))': "SGD: lr is nan, want a number, 0 or more",
        'optim.SGD([W], float("inf"))': "SGD: lr is inf, want a number, 0 or more",
        "optim.SGD([W], True)": "SGD: lr is True, want a number, 0 or more",
        'optim.SGD([{"parameters": [W], "lr": np.inf}], 0.1)': "SGD: lr is inf, want a number, 0 or more",
        "optim.SGD([W], 0.1, momentum=-1)": "SGD: momentum is -1, want a number from 0 to 1",
        "optim.SGD([W], 0.1, momentum=2)": "SGD: momentum is 2, want a number from 0 to 1",
        "optim.RMSprop([W], momentum=1.5)": "RMSprop: momentum is 1.5, want a number from 0 to 1",
        "optim.AdamW([W], weight_decay=np.inf)": "AdamW: weight_decay is inf, want a number, 0 or more",
        "optim.clip_grad_norm([W], -1)": "clip_grad_norm: max_norm is -1, want 0 or more",
        'optim.clip_grad_norm([W], float("nan"))': "clip_grad_norm: max_norm is nan, want 0 or more",
        "optim.AdamW([W], weight_decay=-1)": "AdamW: weight_decay is -1, want a number, 0 or more",
        "optim.Adam([W], eps=-1)": "Adam: eps is -1, want a number, 0 or more",
        "optim.Adam([W], betas=(0.9, 1))": "Adam: betas are (0.9, 1), want both in [0, 1)",
        "optim.SGD([W], 0.1, nesterov=True)":
            "SGD: nesterov=True looks ahead along the momentum, which is 0. momentum=0.9?",
        "optim.step_decay(0.1, 0)": "step_decay: every is 0, want 1 or more",
        "optim.cosine(0.1, 0)": "cosine: steps is 0, want 1 or more",
        "optim.one_cycle(0.1, 10, warm_up=30)": "one_cycle: warm_up is 30, want a share of the steps in [0, 1]",
        'optim.one_cycle(0.1, 10, anneal_strategy="cosine")':
            "one_cycle: anneal_strategy is 'cosine', want 'cos' or 'linear'",
        'ag.functional_call(nn.Linear(3, 2), {"weight": np.ones((3, 2))}, np.ones((1, 3)))':
            "Linear.replaced: weight is (3, 2), and Linear has w (3, 2), b (2,)",
        'ag.functional_call(nn.Linear(3, 2), {"b": np.ones(3)}, np.ones((1, 3)))':
            "Linear.replaced: b is (3,), and Linear has w (3, 2), b (2,)",
        'optim.SGD([{"parameters": [W], "lr": 0.1}], lr=0)':
            "SGD: lr is 0, and the rates of groups keep their ratio to it",
        'optim.SGD([{"parameters": [W], "lr": 0.1}, {"parameters": [W]}], lr=1)': "SGD: w is in two groups",
        'optim.SGD([{"parameters": [W], "lr": -1}], lr=1)': "SGD: lr is -1, want a number, 0 or more",
    },
}  # fmt: skip

test_a_wrong_call = wrong_calls(MESSAGES, {**NAMES, "rng": np.random.default_rng(0)})
