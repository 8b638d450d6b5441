"""An op of your own: forward and backward in array code, checked against differences, used by a layer and a neuron."""

import dataclasses

import numpy as np

from mocha import *
from mocha.testing import check_op


@dataclasses.dataclass(frozen=True)
class Softplus(Op):
    """y = ln(1 + exp(sharpness x)) / sharpness, a smooth ReLU; dx = dy / (1 + exp(-sharpness x)).

    Args:
        sharpness: the larger, the nearer to a ReLU.
    """

    sharpness: float = 1.0

    def infer(self, x):
        return x  # one output, of the input's shape and type

    def forward(self, x):
        s = x.dtype.type(self.sharpness)
        return np.logaddexp(x.dtype.type(0), s * x) / s

    def backward(self, grads, inputs, outputs, wanted):
        s = grads[0].dtype.type(self.sharpness)
        return grads[0] * -np.expm1(-s * outputs[0])  # 1 - exp(-s y) is the derivative

    def reads(self, n_inputs, n_outputs):
        return (), (0,)  # backward looks at the output alone, so the input may be forgotten


class SoftplusLayer(Layer):
    """Softplus of each bottom."""

    name: str = "softplus"
    sharpness: float = 1.0

    def lower(self, g, inputs, params):
        return [g(Softplus(self.sharpness), x) for x in inputs]


class SoftplusNeuron(Neuron):
    """The same as the activation of another layer."""

    def lower(self, g, x):
        return g(Softplus(), x)


def main():
    rng = np.random.default_rng(0)
    error = check_op(Softplus(2.0), rng.standard_normal((3, 4)))
    print(f"worst relative error of the gradient: {error:.1e}")

    x = np.linspace(-2, 2, 128, dtype=np.float32).reshape(-1, 1)
    layers = [
        MemoryDataLayer(data=[x, np.abs(x)], batch_size=32, shuffle=True),
        InnerProductLayer(name="hidden1", output_dim=8, bottoms=["data"], tops=["sum1"]),
        SoftplusLayer(sharpness=4.0, bottoms=["sum1"], tops=["hidden1"]),
        InnerProductLayer(name="hidden2", output_dim=8, neuron=SoftplusNeuron(), bottoms=["hidden1"], tops=["hidden2"]),
        InnerProductLayer(name="out", output_dim=1, bottoms=["hidden2"], tops=["out"]),
        SquareLossLayer(bottoms=["out", "label"]),
    ]
    method = SGD()
    params = make_solver_parameters(
        method, max_iter=400, lr_policy=LRPolicy.Fixed(0.02), mom_policy=MomPolicy.Fixed(0.9)
    )
    solver = Solver(method, params)
    solver.add_coffee_break(TrainingSummary(), every_n_iter=100)
    with DefaultBackend() as backend, Net("softplus", backend, layers) as net:
        solver.solve(net)


if __name__ == "__main__":
    main()
