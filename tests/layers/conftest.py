"""Nets of some layers, on each backend."""

import pytest

from mocha import MemoryDataLayer, Net
from mocha.backends import Backend


@pytest.fixture(params=["numpy", "native"])
def backend(request):
    """Each backend that works here."""
    if request.param == "native":
        pytest.importorskip("mocha._native", reason="the native library was not built")
    with Backend(request.param) as made:
        yield made


@pytest.fixture
def net_of(backend):
    """Makes a net of some layers on named arrays; one batch holds them all."""
    nets = []

    def make(arrays, *layers, **more):
        data = MemoryDataLayer(
            data=list(arrays.values()), tops=list(arrays), batch_size=len(next(iter(arrays.values())))
        )
        nets.append(Net("net", backend, [data, *layers], **more))
        return nets[-1]

    yield make
    for net in nets:
        net.close()
