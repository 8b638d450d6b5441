"""All kernels by name: the family whose file they are in, and how they are started."""

from __future__ import annotations

from mocha.backends.cuda.launches import (
    activation,
    adaptive,
    arrange,
    batch_norm,
    batch_norm_unit,
    contrastive,
    conv,
    crop,
    dense,
    filters,
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
    unfold,
    update,
)
from mocha.backends.cuda.launches.plan import Planner

FAMILIES = (
    activation, adaptive, arrange, batch_norm, batch_norm_unit, contrastive, conv, crop, dense, filters, gather, index,
    label_loss, loss, maximum, norm, pair_loss, pointwise, pool, pool_along, random, recurrent, reduce, resize,
    roi_pool, shape, sigmoid_loss, softmax, standardize, stochastic_pool, unfold, update,
)  # fmt: skip

PLANNERS: dict[str, Planner] = {name: plan for family in FAMILIES for name, plan in family.LAUNCHES.items()}
FAMILY_OF: dict[str, str] = {
    name: family.__name__.rpartition(".")[2] for family in FAMILIES for name in family.LAUNCHES
}
