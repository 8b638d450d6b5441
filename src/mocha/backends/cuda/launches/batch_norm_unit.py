"""Launches of batch normalisation with what stands behind it: the numbers of `kernels/batch_norm_unit.cu`."""

from __future__ import annotations

from mocha.backends.cuda.launches.channels import by_channels, normalised
from mocha.backends.cuda.launches.plan import Ints, Plan, Planner

_SUMS = 2  # of each part of a channel, in both directions
_NUMBERS = 3  # of a channel, that dx takes


def _backward(ints: Ints) -> Plan:
    """Parts and "join" for all but the other blob's gradient; the last launch for the gradients of the two blobs."""
    blob, scale, shift, other = ints[4:8]
    if not (blob or scale or shift):
        return by_channels(ints)
    launches, scratch = normalised(_SUMS, _NUMBERS)(ints)
    return Plan(launches if blob or other else launches[:-1], scratch)


LAUNCHES: dict[str, Planner] = {
    "batch_norm_unit_forward": normalised(_SUMS, 1),
    "batch_norm_unit_backward": _backward,
}
