"""Parameters of a net to and from files.

The file is Mocha's own model format: an HDF5 file with one data set a parameter, named ``<layer>___<parameter>``, in
row-major order. A snapshot is such a file too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from mocha.console import logger
from mocha.errors import FormatError
from mocha.io import read_model, write_model
from mocha.net.net import Net
from mocha.ops import Array, Shape
from mocha.parameters import Parameter, parameter_key


def save_network(path: str | Path, net: Net) -> None:
    """Write the parameters of a net, atomically.

    Args:
        path: the file; one that is there is replaced.
        net: the net.
    """
    write_model(path, network_parameters(net))


def load_network(path: str | Path, net: Net, *, die_if_not_found: bool = True) -> None:
    """Read the parameters of a net.

    A missing bias keeps its initializer, with a warning. Extra data sets are passed over. A shape fits if it is the
    same after stripping axes of extent 1 at both ends, as (10, 20) and (1, 1, 10, 20).

    Args:
        path: the file.
        net: the net.
        die_if_not_found: refuse a file that lacks another parameter than a bias; else warn and keep its initializer.

    Raises:
        FormatError: the file is damaged, a parameter is missing or its shape does not fit; no parameter was changed.
    """
    assign_parameters(net, read_model(path), str(path), die_if_not_found=die_if_not_found)


def network_parameters(net: Net) -> dict[str, Array]:
    """``<layer>___<parameter>`` -> values, for each layer of the net; sharers have equal ones."""
    net.init()
    return {key: net.backend.store.read(p.key) for key, p in _keys(net)}


def assign_parameters(net: Net, arrays: Mapping[str, Array], origin: str, *, die_if_not_found: bool = True) -> None:
    """Give the net's parameters these values; see `load_network`.

    Args:
        net: the net.
        arrays: ``<layer>___<parameter>`` -> values.
        origin: where they come from, for messages.
        die_if_not_found: refuse if one other than a bias is missing.
    """
    ready: list[tuple[Parameter, Array]] = []
    for key, parameter in _keys(net):
        found = arrays.get(key)
        if found is None:
            # a sharer may be saved under the name of the layer that created the parameter
            found = arrays.get(parameter.key)
        if found is None:
            if die_if_not_found and parameter.about.name != "bias":
                raise FormatError(
                    f"{origin}: there is no data set {key!r}; it holds {', '.join(sorted(arrays)) or 'none'}. Rename "
                    "the layer, or "
                    "load with die_if_not_found=False to keep the initializer."
                )
            logger().warning("%s: there is no data set %r; its initializer is kept.", origin, key)
            continue
        if _stripped(found.shape) != _stripped(parameter.about.spec.shape):
            raise FormatError(
                f"{origin}: data set {key!r} has shape {found.shape}; the net expects {parameter.about.spec.shape}."
            )
        ready.append((parameter, found.reshape(parameter.about.spec.shape)))
    for parameter, values in ready:
        net.backend.registry.assign(parameter, values)


def _keys(net: Net) -> Iterator[tuple[str, Parameter]]:
    for layer, parameters in net.parameters_by_layer().items():
        for parameter in parameters:
            yield parameter_key(layer, parameter.about.name), parameter


def _stripped(shape: Shape) -> Shape:
    """Without the axes of extent 1 at both ends."""
    extents = list(shape)
    while extents and extents[0] == 1:
        extents.pop(0)
    while extents and extents[-1] == 1:
        extents.pop()
    return tuple(extents)
