"""A layer of your own, composed of ops: it has parameters, and its gradient comes by itself.

A highway layer (Srivastava, Greff and Schmidhuber, "Highway networks", 2015) mixes a transformation h of its input
with the input itself: y = t h + (1 - t) x, where the gate t, between 0 and 1, is learned too.
"""

import numpy as np

from mocha import *
from mocha import ops


class HighwayLayer(Layer):
    """y = t h + (1 - t) x with h = tanh(x W^T + b) and t = sigmoid(x V^T + c).

    Shapes: bottom (N, D) -> top (N, D); weight and gate (D, D), bias and gate-bias (D).

    Args:
        gate_start: first value of c; the more negative, the more of x passes at first.
    """

    name: str = "highway"
    gate_start: float = -1.0
    n_bottoms = 1
    n_tops = 1

    def check(self):
        if not isinstance(self.gate_start, (int, float)):
            self.wrong("gate_start", self.gate_start, "a number")

    def parameters(self, x):
        if x.ndim != 2:
            raise ShapeError(f"the bottom is {x}; expected (N, D).")
        square, row = Spec((x.shape[1], x.shape[1]), x.dtype), Spec((x.shape[1],), x.dtype)
        return [
            ParameterSpec("weight", square, XavierInitializer(), L2Regu(1.0), NoCons()),
            ParameterSpec("bias", row, ConstantInitializer(0.0), NoRegu(), NoCons(), rate=2.0),
            ParameterSpec("gate", square, XavierInitializer(), L2Regu(1.0), NoCons()),
            ParameterSpec("gate-bias", row, ConstantInitializer(self.gate_start), NoRegu(), NoCons(), rate=2.0),
        ]

    def lower(self, g, inputs, params):
        (x,), (w, b, v, c) = inputs, params
        h = g(ops.Tanh(), g(ops.AddBias(), g(ops.InnerProduct(), x, w), b))
        t = g(ops.Sigmoid(), g(ops.AddBias(), g(ops.InnerProduct(), x, v), c))
        return [g(ops.Add(), x, g(ops.Multiply(), t, g(ops.Subtract(), h, x)))]


def main():
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (256, 8)).astype(np.float32)
    inside = np.sum(points**2, axis=1) < 8 / 3  # a question that no straight cut answers

    layers = [
        MemoryDataLayer(data=[points, inside], batch_size=64),
        HighwayLayer(name="highway1", bottoms=["data"], tops=["mixed1"]),
        HighwayLayer(name="highway2", bottoms=["mixed1"], tops=["mixed2"]),
        InnerProductLayer(name="score", output_dim=2, bottoms=["mixed2"], tops=["score"]),
        SoftmaxLossLayer(bottoms=["score", "label"]),
        AccuracyLayer(bottoms=["score", "label"]),
    ]
    method = SGD()
    params = make_solver_parameters(
        method, max_iter=600, lr_policy=LRPolicy.Fixed(0.1), mom_policy=MomPolicy.Fixed(0.9)
    )
    solver = Solver(method, params)
    solver.add_coffee_break(TrainingSummary(), every_n_iter=100)
    with DefaultBackend() as backend, Net("highway", backend, layers) as net:
        print(net)
        solver.solve(net)
        net.reset_statistics()
        print(net.forward_epoch())


if __name__ == "__main__":
    main()
