"""A variational auto-encoder on MNIST: digits to 50 numbers and back, and new digits from numbers drawn at random.

(Kingma and Welling, "Auto-encoding variational Bayes", 2013.)
"""

import numpy as np

from mocha import *
from mocha.visual import save_image, sheet

BATCH, HIDDEN, LATENT = 100, 400, 50


def dense(name, bottom, outputs, neuron):
    weights = GaussianInitializer(std=0.01)
    return InnerProductLayer(
        name=name, output_dim=outputs, neuron=neuron, weight_init=weights, bottoms=[bottom], tops=[name]
    )


# The encoder tells, for each digit, the mean and the spread of the 50 numbers that may stand for it.
encoder = [
    dense("encoder", "data", HIDDEN, Neurons.Tanh()),
    SplitLayer(name="two-ways", bottoms=["encoder"], tops=["to-mu", "to-sigma"]),
    dense("mu", "to-mu", LATENT, Neurons.Identity()),
    dense("sigma", "to-sigma", LATENT, Neurons.Exponential()),
]
# One draw of them, z = mu + sigma noise, through which gradients flow.
draw = [
    RandomNormalLayer(name="noise", tops=["noise"], output_dims=(LATENT,), batch_sizes=[BATCH]),
    SplitLayer(name="mu-twice", bottoms=["mu"], tops=["mu-kl", "mu-z"]),
    SplitLayer(name="sigma-twice", bottoms=["sigma"], tops=["sigma-kl", "sigma-z"]),
    ElementWiseLayer(
        name="scaled", operation=ElementWiseFunctors.Multiply(), bottoms=["sigma-z", "noise"], tops=["scaled"]
    ),
    ElementWiseLayer(name="z", operation=ElementWiseFunctors.Add(), bottoms=["scaled", "mu-z"], tops=["z"]),
]
decoder = [
    dense("decoder", "z", HIDDEN, Neurons.Tanh()),
    dense("image", "decoder", 28 * 28, Neurons.Sigmoid()),
]
losses = [
    BinaryCrossEntropyLossLayer(name="bce-loss", bottoms=["image", "data"]),
    GaussianKLLossLayer(name="kl-loss", bottoms=["mu-kl", "sigma-kl"]),
]
digits = HDF5DataLayer(name="digits", source="train-data-list.txt", tops=["data"], batch_size=BATCH, shuffle=True)

method = Adam()
params = make_solver_parameters(
    method, max_iter=20000, regu_coef=0.0, lr_policy=LRPolicy.Inv(0.001, 0.0001, 0.5), load_from="snapshots"
)
solver = Solver(method, params)
setup_coffee_lounge(solver, save_into="snapshots/statistics.h5", every_n_iter=1000)
solver.add_coffee_break(TrainingSummary("iter", "obj_val", "bce-loss", "kl-loss"), every_n_iter=100)
solver.add_coffee_break(Snapshot("snapshots"), every_n_iter=5000)

with DefaultBackend() as backend:
    with Net("VAE", backend, [digits, *encoder, *draw, *decoder, *losses]) as net:
        print(net)
        solver.solve(net)
        net.forward(phase="test")
        shown, again = net.blobs["data"][:50, 0], net.blobs["image"][:50].reshape(-1, 28, 28)
    # Digits that nobody wrote: the decoder alone, on normally distributed numbers.
    numbers = RandomNormalLayer(name="numbers", tops=["z"], output_dims=(LATENT,), batch_sizes=[BATCH])
    with Net("VAE-samples", backend, [numbers, *decoder]) as net:
        net.forward(phase="test")
        samples = net.blobs["image"].reshape(-1, 28, 28)

pairs = np.stack([shown, again], axis=1).reshape(-1, 28, 28)
for name, images in (("reconstructions", pairs), ("samples", samples)):
    save_image(f"{name}.png", sheet(images, columns=10, zoom=3, symmetric=False))
