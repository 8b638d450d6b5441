"""Steps of the solvers that give each element a rate of its own, from the squares of its gradients so far.

As in the update family, each op stands for one parameter and overwrites it with its states; see `mocha.ops.update`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from mocha.ops.base import Array, Op, Spec, check_float, check_same


class AdaptiveStep(Op):
    """What these steps share: gradient, parameter and states of one shape, then scalars; parameter and states come out.

    `n_states` is how many states there are.
    """

    n_states: ClassVar[int] = 1

    def infer(self, g: Spec, w: Spec, *others: Spec) -> tuple[Spec, ...]:
        """Gradient, parameter, states, and the scalars -> parameter and states."""
        check_float(self, g)
        states = others[: self.n_states]
        check_same(self, g, w, *states)
        return (w, *states)


@dataclasses.dataclass(frozen=True)
class AdamStep(AdaptiveStep):
    """m' = beta1 m + (1 - beta1) g; v' = beta2 v + (1 - beta2) g^2; w' = w - r (c m' / (sqrt(v') + epsilon) + decay w).

    Inputs: g, w, m, v, rate (), c (): the correction sqrt(1 - beta2^t) / (1 - beta1^t) for states that began at 0
    (Kingma and Ba, "Adam: a method for stochastic optimization", 2015, section 2). r is local_rate rate.

    Args:
        local_rate: the parameter's own multiple of the learning rate.
        beta1: what the mean of gradients keeps, 0 to 1.
        beta2: what the mean of squares keeps, 0 to 1.
        epsilon: bounds the rate of elements with small gradients, > 0.
        decay: share of the parameter that is taken off, times r (Loshchilov and Hutter, "Decoupled weight decay
            regularization", 2019).
    """

    local_rate: float = 1.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.0
    n_states: ClassVar[int] = 2
    updates: ClassVar[tuple[tuple[int, int], ...]] = ((0, 1), (1, 2), (2, 3))

    def forward(self, g: Array, w: Array, m: Array, v: Array, rate: Array, c: Array) -> tuple[Array, ...]:
        """One step."""
        t = g.dtype.type
        m = t(self.beta1) * m + t(1 - self.beta1) * g
        v = t(self.beta2) * v + t(1 - self.beta2) * g * g
        r = self.local_rate * float(rate)
        moved = t(r * float(c)) * m / (np.sqrt(v) + t(self.epsilon)) + t(r * self.decay) * w
        return w - moved, m, v

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """A dozen an element."""
        return 12 * inputs[0].size


class _RootStep(AdaptiveStep):
    """h' = keep h + share g^2; w' = w - local_rate rate g / (sqrt(h') + epsilon). Inputs: g, w, h, rate ()."""

    local_rate: float
    epsilon: float
    updates: ClassVar[tuple[tuple[int, int], ...]] = ((0, 1), (1, 2))

    @property
    def shares(self) -> tuple[float, float]:
        """What h keeps of itself, and what it takes of the square."""
        raise NotImplementedError

    def forward(self, g: Array, w: Array, h: Array, rate: Array) -> tuple[Array, ...]:
        """One step."""
        t = g.dtype.type
        keep, share = self.shares
        h = t(keep) * h + t(share) * g * g
        return w - t(self.local_rate * float(rate)) * g / (np.sqrt(h) + t(self.epsilon)), h

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """Eight an element."""
        return 8 * inputs[0].size


@dataclasses.dataclass(frozen=True)
class AdagradStep(_RootStep):
    """h' = h + g^2; w' = w - r g / (sqrt(h') + epsilon), element by element, r = local_rate rate.

    Inputs: g, w, h, rate (). (Duchi, Hazan and Singer, "Adaptive subgradient methods", 2011.)

    Args:
        local_rate: the parameter's own multiple of the learning rate.
        epsilon: bounds the rate of elements with small gradients, > 0.
    """

    local_rate: float = 1.0
    epsilon: float = 1e-8

    @property
    def shares(self) -> tuple[float, float]:
        """All squares count alike."""
        return 1.0, 1.0


@dataclasses.dataclass(frozen=True)
class RmsPropStep(_RootStep):
    """h' = decay h + (1 - decay) g^2; w' = w - r g / (sqrt(h') + epsilon), r = local_rate rate.

    Inputs: g, w, h, rate (). (Tieleman and Hinton, "Lecture 6.5", Coursera 2012; Caffe's RMSProp.)

    Args:
        local_rate: the parameter's own multiple of the learning rate.
        decay: what the mean of squares keeps, 0 to 1.
        epsilon: bounds the rate of elements with small gradients, > 0.
    """

    local_rate: float = 1.0
    decay: float = 0.99
    epsilon: float = 1e-8

    @property
    def shares(self) -> tuple[float, float]:
        """A running mean."""
        return self.decay, 1 - self.decay


@dataclasses.dataclass(frozen=True)
class AdadeltaStep(AdaptiveStep):
    """e' = rho e + (1 - rho) g^2; s = g sqrt((d + epsilon) / (e' + epsilon)); d' = rho d + (1 - rho) s^2; w' = w - r s.

    Inputs: g, w, e, d, rate (). r is local_rate rate. (Zeiler, "ADADELTA: an adaptive learning rate method", 2012.)

    Args:
        local_rate: the parameter's own multiple of the learning rate.
        rho: what both means keep, 0 to 1.
        epsilon: where the first steps come from, > 0.
    """

    local_rate: float = 1.0
    rho: float = 0.95
    epsilon: float = 1e-6
    n_states: ClassVar[int] = 2
    updates: ClassVar[tuple[tuple[int, int], ...]] = ((0, 1), (1, 2), (2, 3))

    def forward(self, g: Array, w: Array, e: Array, d: Array, rate: Array) -> tuple[Array, ...]:
        """One step."""
        t = g.dtype.type
        keep, share, epsilon = t(self.rho), t(1 - self.rho), t(self.epsilon)
        e = keep * e + share * g * g
        step = g * np.sqrt((d + epsilon) / (e + epsilon))
        d = keep * d + share * step * step
        return w - t(self.local_rate * float(rate)) * step, e, d

    def work(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> int:
        """A dozen an element."""
        return 12 * inputs[0].size
