"""Advice for users of PyTorch and NumPy: for each name there, the code that does the same here.

The package registers the table with the engine, whose errors about missing names quote it.
"""

ADVICE = {
    name: here
    for names, here in {
        "view": "ag.reshape(x, shape)",
        "permute": "ag.transpose(x, axes)",
        "t": "x.T",
        "unsqueeze": "ag.expand_dims(x, axis)",
        "expand": "ag.broadcast_to(x, shape)",
        "cat": "ag.concatenate([x, y], axis)",
        "repeat_interleave": "ag.repeat(x, repeats, axis)",
        "chunk tensor_split": "ag.array_split(x, parts, axis)",
        "unbind": "ag.unstack(x, axis=axis)",
        "gather": "ag.take_along_axis(x, indices, axis)",
        "index_select": "ag.take(x, indices, axis)",
        "masked_fill": "ag.where(mask, value, x)",
        "masked_select": "x[mask]",
        "piecewise": "ag.select([x < 0, x < 1], [f(x), g(x)], h(x))",
        "copyto fill_diagonal index_put place put put_along_axis putmask": "x = x.at[index].set(values)",
        "add.at index_add scatter_add": "x = x.at[index].add(values)",
        "clamp": "ag.clip(x, low, high)",
        "sub mul div neg eq gt lt": "operators: x - y, x ** y, x == y",
        "mm bmm": "x @ y",
        "norm inv inverse pinv det slogdet logdet cholesky eigh qr svd lstsq solve": "ag.linalg has it",
        "polymul": "ag.convolve(p, q)",
        "numel": "x.size",
        "dim": "x.ndim",
        "to type float double half long": "x.astype(np.float32); there are no devices",
        "cpu cuda device is_cuda": "nothing to do: x.data is a NumPy array",
        "contiguous": "nothing to do: operations lay out their arrays themselves",
        "dim=": "axis=",
        "keepdim=": "keepdims=",
        "unbiased=": "ddof=1, or 0 if it is False",
        "inplace=": "leave it out, nothing works in place",
        "expit": "ag.sigmoid(x)",
        "save": "ag.interop.save_weights(path, model)",
        "load": "ag.interop.load_weights(path, model)",
        "RNN LSTM GRU": "write the step with operations, h = ag.tanh(x @ w + h @ u + b), and loop over it in forward",
        "-=": "optimiser.step()",
        "uint8": "ag.data.as_float32(x)",
        "zero_grad": "x.grad = None, or optimiser.zero_grad()",
        "requires_grad_": "x.requires_grad = True",
        "retain_grad register_hook": "loss.gradient(x)",
        "grad_fn": "x.graph()",
        "zeros ones empty full eye arange rand randn": "make an array first: ag.Tensor(np.zeros(shape))",
        "tensor array Parameter from_numpy": "ag.Tensor(array, requires_grad=True)",
        "seed manual_seed": "ag.nn.seed(0), or rng = np.random.default_rng(0), passed to layers and functions",
        "functional": "functions are in ag: ag.relu(x), ag.cross_entropy(logits, labels)",
        "SGD Adam AdamW RMSprop": "ag.optim has it",
        "clip_grad_norm_ clip_grad_norm": "ag.optim.clip_grad_norm(parameters, max_norm)",
        "binary_cross_entropy": "ag.bce(p, y)",
        "binary_cross_entropy_with_logits": "ag.bce_with_logits(z, y)",
        "EarlyStopping": "ag.training.early_stop(patience), one of fit's callbacks",
        "ModelCheckpoint": "ag.training.keep_best(path, model), one of fit's callbacks",
        "train_test_split random_split": "ag.data.split(images, labels, share, rng)",
        "forward": "define it in the class: def forward(self, x): ...",
        "weight": "layer.w",
        "bias": "layer.b",
        "children named_children named_modules apply": "model.modules(); each module has a path",
        "ModuleList ModuleDict add_module register_module register_buffer register_parameter": (
            "plain attributes, lists and dicts of the model"
        ),
        "lr_scheduler StepLR CosineAnnealingLR OneCycleLR": (
            "schedule = ag.optim.cosine(lr, steps); optimiser.lr = schedule(step)"
        ),
    }.items()
    for name in names.split()
}
