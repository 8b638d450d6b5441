import logging

import numpy as np
import pytest

from mocha.backends import NumpyBackend
from mocha.errors import ConfigError, ShapeError
from mocha.ops import Spec
from mocha.parameters import (
    ConstantInitializer,
    GaussianInitializer,
    Initializer,
    L2Cons,
    L2Regu,
    NoCons,
    NoRegu,
    ParameterSpec,
    parameter_key,
)
from mocha.random import Draw, stream_of

F32 = np.dtype(np.float32)


def spec(name="weight", shape=(3, 4), dtype=F32, initializer=None, **more):
    about = {"regularizer": L2Regu(), "constraint": NoCons(), **more}
    return ParameterSpec(name, Spec(shape, np.dtype(dtype)), initializer or GaussianInitializer(), **about)


@pytest.fixture
def registry():
    return NumpyBackend().registry


def test_who_asks_first_creates(registry):
    weight, bias = registry.claim("ip", "ip", [spec(), spec("bias", (3,))])
    assert (weight.key, bias.key) == ("ip___weight", "ip___bias") == (parameter_key("ip", "weight"), "ip___bias")
    assert not weight.initialized
    np.testing.assert_array_equal(registry.store.read("ip___weight"), np.zeros((3, 4)))
    assert [p.key for p in registry] == ["ip___weight", "ip___bias"]


def test_who_asks_later_gets_the_same(registry):
    first = registry.claim("ip", "shared", [spec()])
    registry.assign(first[0], np.ones((3, 4)))
    second = registry.claim("other", "shared", [spec()])
    assert first == second
    np.testing.assert_array_equal(registry.store.read("shared___weight"), np.ones((3, 4)))


@pytest.mark.parametrize("size", [2**31, 2**62], ids=["beyond memory", "beyond addresses"])
def test_parameters_beyond_memory_leave_nothing(registry, size):
    with pytest.raises(ShapeError, match=r"layer 'ip': its parameter 'weight' of .* does not fit into memory"):
        registry.claim("ip", "ip", [spec("bias", (3,)), spec(shape=(size, 2**31))])
    assert list(registry) == []
    assert "ip___bias" not in registry.store


@pytest.mark.parametrize(
    "wanted",
    [[spec(shape=(3, 5))], [spec(dtype=np.float64)], [spec("filter")], [spec(), spec("bias", (3,))]],
    ids=["shape", "type", "name", "number"],
)
def test_parameters_that_do_not_fit_cannot_be_shared(registry, wanted):
    registry.claim("ip", "shared", [spec()])
    with pytest.raises(
        ShapeError, match=r"layer 'other': .* under the key 'shared' \(weight 3x4 float32\), which do not fit"
    ):
        registry.claim("other", "shared", wanted)


@pytest.mark.parametrize("more", [{"regularizer": NoRegu()}, {"constraint": L2Cons(1.0)}, {"rate": 2.0}])
def test_another_regularizer_constraint_or_rate_is_told(registry, caplog, more):
    registry.claim("ip", "shared", [spec()])
    with caplog.at_level(logging.WARNING, logger="mocha"):
        registry.claim("other", "shared", [spec()])
        assert not caplog.records
        registry.claim("other", "shared", [spec(**more)])
    assert "layer 'other' shares shared___weight" in caplog.text


def test_first_values_belong_to_seed_and_key(registry):
    a, b = (registry.claim(key, key, [spec()])[0] for key in "ab")

    def values(parameter, seed):
        registry.initialize(parameter, seed)
        assert parameter.initialized
        return registry.store.read(parameter.key)

    expected = Draw(7, stream_of("parameter", "a___weight")).normal((3, 4)).astype(F32)
    np.testing.assert_array_equal(values(a, 7), expected)
    np.testing.assert_array_equal(values(a, 7), expected)
    assert (values(a, 8) != expected).any()
    assert (values(b, 7) != expected).any()
    other = NumpyBackend().registry
    other.claim("z", "z", [spec()])
    (a,) = other.claim("a", "a", [spec()])
    other.initialize(a, 7)
    np.testing.assert_array_equal(other.store.read("a___weight"), expected)


def test_an_initializer_of_another_shape(registry):
    class Wrong(Initializer):
        def values(self, shape, draw):
            return np.zeros((4, 3))

    (p,) = registry.claim("ip", "ip", [spec(initializer=Wrong())])
    with pytest.raises(ConfigError, match=r"Wrong gave \(4, 3\) values for ip___weight; expected \(3, 4\)"):
        registry.initialize(p, 1)
    assert not p.initialized


def test_values_from_outside(registry):
    (p,) = registry.claim("ip", "ip", [spec(initializer=ConstantInitializer(1.0))])
    registry.assign(p, np.arange(12).reshape(3, 4))
    assert p.initialized
    found = registry.store.read(p.key)
    assert found.dtype == F32
    np.testing.assert_array_equal(found, np.arange(12).reshape(3, 4))
    with pytest.raises(ShapeError, match=r"ip___weight: received values of shape \(4, 3\); expected \(3, 4\)"):
        registry.assign(p, np.zeros((4, 3)))


def test_reset_forgets(registry):
    registry.claim("ip", "ip", [spec()])
    registry.reset()
    assert list(registry) == []
    assert "ip___weight" not in registry.store
    registry.claim("ip", "ip", [spec(shape=(7, 7))])
