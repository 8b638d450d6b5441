"""What is proved about the CUDA backend without a GPU, and what with one: `python -m mocha.testing.cuda COMMAND`.

* `kernels`: every own kernel, compiled by g++, against the reference on the catalogue's cases;
* `train`: a net trained on the emulated device and on the numpy backend;
* `cubins`: every own kernel compiled to machine code of GPUs;
* `plans`: the plan of every convolution of well-known nets, built by cuDNN for a GPU that is not there;
* `gpu`: on a machine with a GPU, all of it for real.
"""
