"""Caffe's quick net on CIFAR-10: ten kinds of things on photographs of 32x32 pixels."""

from mocha import *
from mocha.models import cifar10_quick


def photographs(split, **how):
    """Batches of 100 photographs, less the mean photograph of the training set."""
    less_mean = ("data", DataTransformers.SubMean(mean_file="mean.hdf5"))
    return HDF5DataLayer(
        name=f"{split}-data", source=f"{split}-data-list.txt", batch_size=100, transformers=[less_mean], **how
    )


layers = cifar10_quick()
loss = SoftmaxLossLayer(name="loss", bottoms=["ip2", "label"])
accuracy = AccuracyLayer(name="test-accuracy", bottoms=["ip2", "label"])

# Caffe's weight_decay of 0.004: Mocha's penalty is coef * w^2, whose gradient has a factor 2.
method = SGD()
params = make_solver_parameters(
    method,
    max_iter=5000,
    regu_coef=0.002,
    mom_policy=MomPolicy.Fixed(0.9),
    lr_policy=LRPolicy.Staged((4001, LRPolicy.Fixed(0.001)), (1000, LRPolicy.Fixed(0.0001))),
    load_from="quick",
)
solver = Solver(method, params)
setup_coffee_lounge(solver, save_into="quick/statistics.h5", every_n_iter=500)
solver.add_coffee_break(TrainingSummary("iter", "obj_val", "learning_rate"), every_n_iter=100)
solver.add_coffee_break(Snapshot("quick"), every_n_iter=1000)

with DefaultBackend() as backend:
    net = Net("CIFAR10-quick", backend, [photographs("train", shuffle=True), *layers, loss])
    test_net = Net("CIFAR10-quick-test", backend, [photographs("test"), *layers, accuracy])
    solver.add_coffee_break(ValidationPerformance(test_net), every_n_iter=500)
    print(net)
    solver.solve(net)
    save_network("quick/cifar10_quick.h5", net)
