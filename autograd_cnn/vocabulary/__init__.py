"""The rest of the functions of NumPy and of torch.nn.functional, written with the operations of `ops`."""
