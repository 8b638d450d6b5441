"""How many blocks of how many threads each kernel is started with: one family a file, as the kernels."""
