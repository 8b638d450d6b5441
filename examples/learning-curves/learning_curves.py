"""Learning curves of LeNet on MNIST: as it should be, with rates too small and too large, and on few digits."""

import h5py

from mocha import *
from mocha.models import lenet
from mocha.visual import plot_statistics

ITERATIONS = 5000


def digits(split, count=None):
    """Batches from an HDF5 file, of the first `count` digits only if that is given."""
    with h5py.File(f"{split}.hdf5") as file:
        data, label = file["data"][:count], file["label"][:count]
    return MemoryDataLayer(
        name=f"{split}-data", data=[data, label], batch_size=64 if split == "train" else 100, shuffle=split == "train"
    )


loss = SoftmaxLossLayer(name="loss", bottoms=["ip2", "label"])
accuracy = AccuracyLayer(name="test-accuracy", bottoms=["ip2", "label"])


def train(name, rate=0.01, count=None):
    """Train LeNet anew, with the statistics in the file `<name>.h5`."""
    method = SGD()
    params = make_solver_parameters(
        method,
        max_iter=ITERATIONS,
        regu_coef=0.0005,
        lr_policy=LRPolicy.Inv(rate, 0.0001, 0.75),
        mom_policy=MomPolicy.Fixed(0.9),
    )
    solver = Solver(method, params)
    setup_coffee_lounge(solver, save_into=f"{name}.h5", every_n_iter=500, file_exists="overwrite")
    solver.add_coffee_break(TrainingSummary(), every_n_iter=20)
    with (
        DefaultBackend() as backend,
        Net(name, backend, [digits("train", count), *lenet(), loss]) as net,
        Net(f"{name}-test", backend, [digits("test"), *lenet(), loss, accuracy]) as test_net,
    ):
        solver.add_coffee_break(ValidationPerformance(test_net), every_n_iter=100)
        solver.solve(net)


train("as-it-should-be")
train("too-slow", rate=0.0001)
train("too-fast", rate=0.1)
train("few-digits", count=1000)

rates = ("as-it-should-be", "too-slow", "too-fast")
rate_runs = {name: read_statistics(f"{name}.h5") for name in rates}
plot_statistics(rate_runs, "rates.png", keys=["obj_val"], smooth=25, log=True)
for name in ("as-it-should-be", "few-digits"):
    run = {name: read_statistics(f"{name}.h5")}
    plot_statistics(run, f"{name}.png", keys=["obj_val", "loss-softmax-loss"], smooth=25, log=True)
