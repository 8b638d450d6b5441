"""Launches of the activation family."""

from __future__ import annotations

from mocha.backends.cuda.launches.channels import by_channels, channel_sums
from mocha.backends.cuda.launches.plan import Planner, elements

_OF_ELEMENTS = (
    "elu_forward", "elu_backward", "softplus_forward", "softplus_backward", "swish_forward", "swish_backward",
    "clip_forward", "clip_backward", "threshold",
)  # fmt: skip

LAUNCHES: dict[str, Planner] = {
    **dict.fromkeys(_OF_ELEMENTS, elements(0)),
    "prelu_forward": by_channels,
    "prelu_backward": by_channels,
    "prelu_slope": channel_sums(1),
}
