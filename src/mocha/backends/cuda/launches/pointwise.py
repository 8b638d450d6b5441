"""Launches of the pointwise family."""

from __future__ import annotations

from mocha.backends.cuda.launches.channels import by_channels, channel_sums
from mocha.backends.cuda.launches.plan import Planner, elements

_OF_ELEMENTS = (
    "relu_forward", "relu_backward", "leaky_relu_forward", "leaky_relu_backward", "sigmoid_forward",
    "sigmoid_backward", "tanh_forward", "tanh_backward", "exp_forward", "log_forward", "log_backward", "abs_forward",
    "abs_backward", "power_forward", "power_backward", "scale", "add", "subtract", "multiply", "multiply_backward",
    "divide", "divide_backward", "sum_forward",
)  # fmt: skip

LAUNCHES: dict[str, Planner] = {
    **dict.fromkeys(_OF_ELEMENTS, elements(0)),
    "bias_forward": by_channels,
    "bias_backward": channel_sums(1),
}
