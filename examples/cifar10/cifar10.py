"""Mocha's net for CIFAR-10, which is Caffe's "full" net: three convolutions, with responses normalised locally."""

from mocha import *


def photographs(split, **how):
    """Batches of 100 photographs, less the mean photograph of the training set."""
    less_mean = ("data", DataTransformers.SubMean(mean_file="mean.hdf5"))
    return HDF5DataLayer(
        name=f"{split}-data", source=f"{split}-data-list.txt", batch_size=100, transformers=[less_mean], **how
    )


def convolution(name, bottom, filters, std, neuron):
    """Filters of 5x5 that keep the size of the image."""
    return ConvolutionLayer(
        name=name,
        n_filter=filters,
        kernel=5,
        pad=2,
        filter_init=GaussianInitializer(std=std),
        neuron=neuron,
        bottoms=[bottom],
        tops=[name],
    )


def normalisation(name, bottom):
    """Each number over the size of its neighbours in the same channel."""
    return LRNLayer(
        name=name, kernel=3, scale=5e-5, power=0.75, mode=LRNMode.WithinChannel(), bottoms=[bottom], tops=[name]
    )


layers = [
    convolution("conv1", "data", 32, 0.0001, Neurons.Identity()),
    PoolingLayer(name="pool1", kernel=3, stride=2, neuron=Neurons.ReLU(), bottoms=["conv1"], tops=["pool1"]),
    normalisation("norm1", "pool1"),
    convolution("conv2", "norm1", 32, 0.01, Neurons.ReLU()),
    PoolingLayer(name="pool2", kernel=3, stride=2, pooling=Pooling.Mean(), bottoms=["conv2"], tops=["pool2"]),
    normalisation("norm2", "pool2"),
    convolution("conv3", "norm2", 64, 0.01, Neurons.ReLU()),
    PoolingLayer(name="pool3", kernel=3, stride=2, pooling=Pooling.Mean(), bottoms=["conv3"], tops=["pool3"]),
    InnerProductLayer(
        name="ip1",
        output_dim=10,
        weight_init=GaussianInitializer(std=0.01),
        weight_regu=L2Regu(250),
        bottoms=["pool3"],
        tops=["ip1"],
    ),
]
loss = SoftmaxLossLayer(name="loss", bottoms=["ip1", "label"])
accuracy = AccuracyLayer(name="test-accuracy", bottoms=["ip1", "label"])

method = SGD()
rates = ((60000, LRPolicy.Fixed(1e-3)), (5000, LRPolicy.Fixed(1e-4)), (5000, LRPolicy.Fixed(1e-5)))
params = make_solver_parameters(
    method,
    max_iter=70000,
    regu_coef=0.004,
    mom_policy=MomPolicy.Fixed(0.9),
    lr_policy=LRPolicy.Staged(*rates),
    load_from="full",
)
solver = Solver(method, params)
setup_coffee_lounge(solver, save_into="full/statistics.h5", every_n_iter=1000)
solver.add_coffee_break(TrainingSummary(), every_n_iter=200)
solver.add_coffee_break(Snapshot("full"), every_n_iter=5000)

with DefaultBackend() as backend:
    net = Net("CIFAR10", backend, [photographs("train", shuffle=True), *layers, loss])
    test_net = Net("CIFAR10-test", backend, [photographs("test"), *layers, accuracy])
    solver.add_coffee_break(ValidationPerformance(test_net), every_n_iter=1000)
    print(net)
    solver.solve(net)
