"""Single ops: how near they are to what the machine can do, and how they stand beside PyTorch's."""
