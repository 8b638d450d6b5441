"""The catalogue of cases, one family of ops a file, each shape chosen to enter a branch.

All values lie away from kinks, unless a case says otherwise and has no gradient to be held against differences.
"""

from __future__ import annotations

from mocha.testing.case import Case
from mocha.testing.cases import (
    activation,
    arrange,
    batch_norm,
    batch_norm_unit,
    compound,
    contrastive,
    conv,
    crop,
    dense,
    detection,
    gather,
    index,
    label_loss,
    loss,
    maximum,
    norm,
    pair_loss,
    pointwise,
    pool,
    pool_along,
    random,
    recurrent,
    reduce,
    resize,
    roi_pool,
    shape,
    sigmoid_loss,
    softmax,
    standardize,
    stochastic_pool,
    transport,
    unfold,
    update,
)

FAMILIES: dict[str, list[Case]] = {
    family.__name__.rpartition(".")[2]: family.CASES
    for family in (
        conv, unfold, pool, norm, batch_norm, batch_norm_unit, dense, pointwise, reduce, softmax, loss, pair_loss,
        transport, shape,
        label_loss, sigmoid_loss, contrastive,
        pool_along, random, crop, index,
        activation, maximum,
        arrange,
        gather,
        standardize,
        recurrent,
        update, compound,
        stochastic_pool,
        resize,
        roi_pool,
        detection,
    )
}  # fmt: skip
"""The cases by family."""

CASES: list[Case] = [case for cases in FAMILIES.values() for case in cases]
"""All cases."""

__all__ = ["CASES", "FAMILIES", "Case"]
