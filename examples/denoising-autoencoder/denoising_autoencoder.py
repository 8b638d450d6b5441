"""Three hidden layers on MNIST, with and without unsupervised pre-training as stacked denoising auto-encoders.

(Vincent, Larochelle, Lajoie, Bengio and Manzagol, "Stacked denoising autoencoders", JMLR 11, 2010.)
"""

from mocha import *

EPOCH = 600  # batches of 100
PRETRAINING = 15 * EPOCH  # iterations, for each hidden layer
FINE_TUNING = 20000  # iterations; Mocha's example takes 600,000


def digits(split, **how):
    return HDF5DataLayer(name=f"{split}-data", source=f"{split}-data-list.txt", batch_size=100, **how)


hidden = [
    InnerProductLayer(name=f"ip-{i}", output_dim=1000, neuron=Neurons.Sigmoid(), bottoms=[below], tops=[f"ip-{i}"])
    for i, below in ((1, "data"), (2, "ip-1"), (3, "ip-2"))
]
score = InnerProductLayer(name="pred", output_dim=10, bottoms=["ip-3"], tops=["pred"])
loss = SoftmaxLossLayer(name="loss", bottoms=["pred", "label"])
accuracy = AccuracyLayer(name="test-accuracy", bottoms=["pred", "label"])


def solver_of(iterations, rate, folder):
    """Plain gradient descent: no momentum, no regularisation."""
    method = SGD()
    params = make_solver_parameters(
        method, max_iter=iterations, regu_coef=0.0, lr_policy=LRPolicy.Fixed(rate), mom_policy=MomPolicy.Fixed(0.0)
    )
    solver = Solver(method, params)
    setup_coffee_lounge(solver, save_into=f"{folder}/statistics.h5", every_n_iter=1000, file_exists="overwrite")
    solver.add_coffee_break(TrainingSummary(), every_n_iter=1000)
    return solver


def fine_tune(backend, folder):
    """Train the hidden layers, as they are on the backend, and a new last one, to classify."""
    solver = solver_of(FINE_TUNING, 0.1, folder)
    solver.add_coffee_break(Snapshot(folder), every_n_iter=10000)
    with (
        Net("fine-tuning", backend, [digits("train", shuffle=True), *hidden, score, loss]) as net,
        Net("fine-tuning-test", backend, [digits("test"), *hidden, score, accuracy]) as test_net,
    ):
        solver.add_coffee_break(ValidationPerformance(test_net), every_n_iter=1000)
        solver.solve(net)
    return solver.lounge.get_statistics("test-accuracy-accuracy")


with DefaultBackend() as backend:
    stages = autoencoder_stages(digits("train", shuffle=True), hidden, corruption=(0.1, 0.2, 0.3))
    results = pretrain(stages, backend, lambda stage: solver_of(PRETRAINING, 0.001, f"pretrained/{stage.layer}"))
    for result in results:
        print(f"{result.layer}: reconstruction loss {result.before:.2f} before, {result.after:.2f} after")
    pretrained = fine_tune(backend, "pretrained")
    registry_reset(backend)  # forget all of it, and start from random weights
    random = fine_tune(backend, "random")

print("iteration  pre-trained  random")
for iteration in pretrained:
    print(f"{iteration:9}  {pretrained[iteration]:11.3f}  {random[iteration]:6.3f}")
