"""From a net's message to the layers that run: which are in for a state, what is split, what is shared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mocha.caffe.layer_types import layer_class
from mocha.caffe.proto import caffe_pb2
from mocha.errors import ConfigError, TopologyError, did_you_mean

AUTOMATIC = "(automatic)"
"""The top that a loss layer without one gets."""


def net_state(phase: int, level: int = 0, stages: Iterable[str] = (), own: Any = None) -> Any:
    """A `NetState`: what the caller says, over what the net's own file says."""
    state = caffe_pb2.NetState()
    if own is not None:
        state.CopyFrom(own)
    state.phase, state.level = phase, level
    state.stage.extend(stages)
    return state


def solver_state(phase: int, net: Any, own: Any = None) -> Any:
    """The `NetState` of a solver's net: a phase, over that what the net says, over that what the solver says."""
    state = caffe_pb2.NetState(phase=phase)
    if net.HasField("state"):
        state.MergeFrom(net.state)
    if own is not None:
        state.MergeFrom(own)
    return state


def meets(state: Any, rule: Any) -> bool:
    """Whether a state satisfies all conditions of a `NetStateRule`."""
    stages = set(state.stage)
    return (
        (not rule.HasField("phase") or rule.phase == state.phase)
        and (not rule.HasField("min_level") or state.level >= rule.min_level)
        and (not rule.HasField("max_level") or state.level <= rule.max_level)
        and stages.issuperset(rule.stage)
        and stages.isdisjoint(rule.not_stage)
    )


def filtered(net: Any, state: Any) -> Any:
    """The net with the layers that its rules include in a state, each with its phase.

    Raises:
        ConfigError: a layer has both include and exclude rules.
    """
    kept = caffe_pb2.NetParameter()
    kept.CopyFrom(net)
    del kept.layer[:]
    for layer in net.layer:
        if layer.include and layer.exclude:
            raise ConfigError(f"layer {layer.name!r}: both include and exclude rules; expected only one kind.")
        included = any(meets(state, rule) for rule in layer.include) if layer.include else True
        if included and not any(meets(state, rule) for rule in layer.exclude):
            kept.layer.add().CopyFrom(layer)
            if not layer.HasField("phase"):
                kept.layer[-1].phase = state.phase
    return kept


def with_tops(net: Any) -> None:
    """Give loss layers without a top one, in place."""
    count = 0
    for layer in net.layer:
        if layer_class(layer).is_loss and not layer.top:
            layer.top.append(AUTOMATIC if not count else f"{AUTOMATIC} {count + 1}")
            count += 1


def with_splits(net: Any) -> Any:
    """The net with a Split layer behind each top that is used more than once, named as Caffe names it.

    Raises:
        TopologyError: a bottom is no earlier top, two layers have the same top without working in place, or one works
            in place on a blob that another layer uses too.
    """
    source = _check_blobs(net)
    uses: dict[tuple[int, int], int] = {}
    weights: dict[tuple[int, int], float] = {}
    last: dict[str, tuple[int, int]] = {}
    for i, layer in enumerate(net.layer):
        for j, _ in enumerate(layer.bottom):
            uses[source[i, j]] = uses.get(source[i, j], 0) + 1
        for j, top in enumerate(layer.top):
            last[top] = i, j
        for j, weight in enumerate(layer.loss_weight[: len(layer.top)]):
            if weight:
                uses[i, j] = uses.get((i, j), 0) + 1
                weights[i, j] = weight
    split = caffe_pb2.NetParameter()
    split.CopyFrom(net)
    del split.layer[:]
    taken: dict[tuple[int, int], int] = {}
    for i, layer in enumerate(net.layer):
        copy = split.layer.add()
        copy.CopyFrom(layer)
        for j, bottom in enumerate(layer.bottom):
            top = source[i, j]
            if uses[top] > 1:
                if j < len(layer.top) and layer.top[j] == bottom:
                    raise TopologyError(
                        f"layer {layer.name!r}: it works in place on {bottom!r}, which other layers or the objective "
                        "use as it was before; give its top another name."
                    )
                copy.bottom[j] = _piece(net.layer[top[0]].name, bottom, top[1], taken.get(top, 0))
                taken[top] = taken.get(top, 0) + 1
        for j, top_name in enumerate(layer.top):
            count = uses.get((i, j), 0)
            if count > 1:
                added = split.layer.add(name=f"{top_name}_{layer.name}_{j}_split", type="Split", phase=layer.phase)
                added.bottom.append(top_name)
                added.top.extend(_piece(layer.name, top_name, j, k) for k in range(count))
                if (i, j) in weights:
                    # the weight moves to the first piece, and the layer's other weights go with it, as in Caffe
                    copy.ClearField("loss_weight")
                    added.loss_weight.extend([weights[i, j]] + [0.0] * (count - 1))
                    taken[i, j] = 1
    return split


def _piece(layer: str, blob: str, index: int, number: int) -> str:
    return f"{blob}_{layer}_{index}_split_{number}"


def _check_blobs(net: Any) -> dict[tuple[int, int], tuple[int, int]]:
    """(layer, bottom) -> (layer, top) that it comes from."""
    source: dict[tuple[int, int], tuple[int, int]] = {}
    last: dict[str, tuple[int, int]] = {}
    for i, layer in enumerate(net.layer):
        for j, bottom in enumerate(layer.bottom):
            if bottom not in last:
                raise TopologyError(
                    f"layer {layer.name!r}: the bottom {bottom!r} is no top of an earlier layer. "
                    f"{did_you_mean(bottom, last)}"
                )
            source[i, j] = last[bottom]
        for j, top in enumerate(layer.top):
            in_place = j < len(layer.bottom) and layer.bottom[j] == top
            if top in last and not in_place:
                maker = net.layer[last[top][0]].name
                raise TopologyError(
                    f"layer {layer.name!r}: its top {top!r} is made by layer {maker!r} already, and is not its bottom "
                    f"number {j}; give it another name."
                )
            last[top] = i, j
    return source


def outputs_of(net: Any) -> list[str]:
    """The tops that no layer uses, sorted by name as Caffe does; anonymous ones are none."""
    free: dict[str, None] = {}
    for layer in net.layer:
        for bottom in layer.bottom:
            free.pop(bottom, None)
        for top in layer.top:
            free[top] = None
    return sorted(name for name in free if not name.startswith(AUTOMATIC))


def share_multipliers(net: Any) -> None:
    """Give the owner of each shared parameter the multipliers that its users say, in place.

    Raises:
        ConfigError: two users say different ones.
    """
    owners: dict[str, Any] = {}
    for layer in net.layer:
        for spec in layer.param:
            if not spec.name:
                continue
            owner = owners.setdefault(spec.name, spec)
            for field in ("lr_mult", "decay_mult"):
                if not spec.HasField(field):
                    continue
                if not owner.HasField(field):
                    setattr(owner, field, getattr(spec, field))
                elif getattr(owner, field) != getattr(spec, field):
                    raise ConfigError(
                        f"layer {layer.name!r}: the shared parameter {spec.name!r} has {field} "
                        f"{getattr(spec, field):g}; an earlier layer says {getattr(owner, field):g}. Say the same."
                    )


def loss_weights(layer: Any) -> Sequence[float]:
    """What each top counts in the objective.

    Raises:
        ConfigError: there are some weights, but not one a top.
    """
    if layer.loss_weight:
        if len(layer.loss_weight) != len(layer.top):
            raise ConfigError(
                f"layer {layer.name!r}: {len(layer.loss_weight)} loss_weight entries for {len(layer.top)} tops; "
                "expected none or one a top."
            )
        return tuple(layer.loss_weight)
    first = 1.0 if layer_class(layer).is_loss else 0.0
    return (first, *(0.0,) * (len(layer.top) - 1)) if layer.top else ()
