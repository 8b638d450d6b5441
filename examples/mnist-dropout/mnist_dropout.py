"""A multilayer perceptron with dropout on MNIST, trained as in the paper that introduced dropout.

(Hinton, Srivastava, Krizhevsky, Sutskever and Salakhutdinov, "Improving neural networks by preventing co-adaptation of
feature detectors", 2012.)
"""

from mocha import *

EPOCHS = 30  # the paper and Mocha take 2000
EPOCH = 600  # batches of 100


def digits(split, **how):
    return HDF5DataLayer(name=f"{split}-data", source=f"{split}-data-list.txt", batch_size=100, **how)


def hidden(name, bottom, **how):
    return InnerProductLayer(
        name=name,
        output_dim=1200,
        neuron=Neurons.ReLU(),
        weight_init=GaussianInitializer(std=0.01),
        bottoms=[bottom],
        tops=[name],
        **how,
    )


layers = [
    DropoutLayer(name="drop-input", ratio=0.2, bottoms=["data"]),
    hidden("fc1", "data"),
    DropoutLayer(name="drop-fc1", ratio=0.5, bottoms=["fc1"]),
    hidden("fc2", "fc1", weight_cons=L2Cons(4.5)),
    DropoutLayer(name="drop-fc2", ratio=0.5, bottoms=["fc2"]),
    InnerProductLayer(
        name="out",
        output_dim=10,
        weight_init=ConstantInitializer(0),
        weight_cons=L2Cons(4.5),
        bottoms=["fc2"],
        tops=["out"],
    ),
]
loss = SoftmaxLossLayer(name="loss", bottoms=["out", "label"])
accuracy = AccuracyLayer(name="test-accuracy", report_error=True, bottoms=["out", "label"])

# From epoch to epoch the learning rate falls by 0.2 % and the momentum rises, to 0.9 after 500 epochs.
method = SGD()
params = make_solver_parameters(
    method,
    max_iter=EPOCHS * EPOCH,
    regu_coef=0.0,
    lr_policy=LRPolicy.Step(0.1, 0.998, EPOCH),
    mom_policy=MomPolicy.Linear(0.5, 0.0008, EPOCH, 0.9),
    load_from="snapshots",
)
solver = Solver(method, params)
setup_coffee_lounge(solver, save_into="snapshots/statistics.h5", every_n_iter=EPOCH)
solver.add_coffee_break(TrainingSummary("iter", "obj_val", "learning_rate", "momentum"), every_n_iter=100)
solver.add_coffee_break(Snapshot("snapshots"), every_n_iter=10 * EPOCH)

with DefaultBackend() as backend:
    net = Net("MNIST-dropout", backend, [digits("train", shuffle=True), *layers, loss])
    test_net = Net("MNIST-dropout-test", backend, [digits("test"), *layers, accuracy])
    solver.add_coffee_break(ValidationPerformance(test_net), every_n_iter=EPOCH)
    print(net)
    solver.solve(net)
