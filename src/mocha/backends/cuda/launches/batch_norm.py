"""Launches of the batch norm family."""

from __future__ import annotations

from mocha.backends.cuda.launches.channels import by_channels, channel_sums, normalised
from mocha.backends.cuda.launches.plan import Planner, elements

LAUNCHES: dict[str, Planner] = {
    "batch_norm_train_forward": normalised(2, 1),
    "batch_norm_train_backward": normalised(2, 3),
    "batch_norm_test_forward": by_channels,
    "batch_norm_test_backward": by_channels,
    "moving_average": elements(0),
    "scale_channels": by_channels,
    "scale_channels_backward": channel_sums(1),
}
