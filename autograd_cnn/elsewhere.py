"""Advice for users of PyTorch and NumPy: for each name there, the code that does the same here.

The package registers the table with the engine, whose errors about missing names quote it.
"""

ADVICE = {
    name: here
    for names, here in {
        "view resize": "ag.reshape(x, shape)",
        "permute swapaxes moveaxis": "ag.transpose(x, axes)",
        "t mT": "x.T",
        "ravel": "ag.flatten(x)",
        "unsqueeze": "ag.expand_dims(x, axis)",
        "expand": "ag.broadcast_to(x, shape)",
        "cat concat hstack vstack": "ag.concatenate([x, y], axis)",
        "repeat tile": "ag.concatenate([x, x], axis)",
        "split chunk": "slices, x[:n] and x[n:]",
        "gather index_select": "ag.take(x, indices, axis)",
        "masked_fill": "ag.where(mask, value, x)",
        "clamp": "ag.clip(x, low, high)",
        "sub mul div neg pow eq gt lt": "operators: x - y, x ** y, x == y",
        "dot mm bmm": "x @ y",
        "norm": "ag.sqrt((x * x).sum())",
        "numel": "x.size",
        "dim": "x.ndim",
        "to type float double half long": "x.astype(np.float32); there are no devices",
        "cpu cuda device is_cuda": "nothing to do: x.data is a NumPy array",
        "contiguous": "nothing to do: operations lay out their arrays themselves",
        "-=": "optimiser.step()",
        "uint8": "ag.data.as_float32(x)",
        "zero_grad": "x.grad = None, or optimiser.zero_grad()",
        "requires_grad_": "x.requires_grad = True",
        "retain_grad register_hook": "loss.gradient(x)",
        "grad_fn": "x.graph()",
        "zeros ones empty full eye arange rand randn": "make an array first: ag.Tensor(np.zeros(shape))",
        "tensor array Parameter from_numpy": "ag.Tensor(array, requires_grad=True)",
        "seed manual_seed": "rng = np.random.default_rng(0), passed to layers and functions",
        "functional": "functions are in ag: ag.relu(x), ag.cross_entropy(logits, labels)",
        "Module Sequential Linear Conv2d MaxPool2d AvgPool2d BatchNorm2d Dropout Flatten ReLU Sigmoid": "ag.nn has it",
        "SGD Adam AdamW": "ag.optim has it",
        "binary_cross_entropy": "ag.bce(p, y)",
        "binary_cross_entropy_with_logits": "ag.bce_with_logits(z, y)",
        "NLLLoss": "ag.cross_entropy(logits, labels), without a softmax before it",
        "L1Loss": "ag.l1_loss(p, y)",
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
