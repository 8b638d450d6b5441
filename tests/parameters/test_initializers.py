import math

import numpy as np
import pytest

from mocha.errors import ConfigError
from mocha.parameters import (
    ConstantInitializer,
    GaussianInitializer,
    NullInitializer,
    OrthogonalInitializer,
    XavierInitializer,
)
from mocha.random import Draw

DRAW = Draw(1, 2)


def test_constants():
    np.testing.assert_array_equal(NullInitializer().values((2, 3), DRAW), np.zeros((2, 3)))
    np.testing.assert_array_equal(ConstantInitializer(0.5).values((2, 3), DRAW), np.full((2, 3), 0.5))


@pytest.mark.parametrize(("shape", "fan_in"), [((200, 300), 300), ((100, 20, 5, 5), 500), ((10_000,), 1)])
def test_xavier(shape, fan_in):
    x = XavierInitializer().values(shape, DRAW)
    bound = math.sqrt(3 / fan_in)
    assert x.shape == shape
    assert np.abs(x).max() <= bound
    assert np.abs(x).max() > 0.99 * bound
    assert abs(x.mean()) < 0.05 * bound
    assert x.var() * fan_in == pytest.approx(1, rel=0.05)


def test_gaussian():
    x = GaussianInitializer(3.0, 0.5).values((100, 200), DRAW)
    assert x.mean() == pytest.approx(3, abs=0.02)
    assert x.std() == pytest.approx(0.5, rel=0.02)
    np.testing.assert_array_equal(GaussianInitializer(3.0, 0.0).values((4,), DRAW), [3.0] * 4)
    for std in (-1.0, math.nan):
        with pytest.raises(ConfigError, match="std is"):
            GaussianInitializer(std=std)


@pytest.mark.parametrize("shape", [(5, 5), (4, 9), (9, 4), (1, 6), (6, 1), (8, 3, 2, 2), (64, 3, 3, 3)])
@pytest.mark.parametrize("gain", [1.0, math.sqrt(2)])
def test_orthogonal(shape, gain):
    x = OrthogonalInitializer(gain).values(shape, DRAW)
    assert x.shape == shape
    matrix = x.reshape(shape[0], -1)
    small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(small, gain**2 * np.eye(min(matrix.shape)), atol=1e-12)


def test_orthogonal_has_no_preferred_sign():
    diagonals = [OrthogonalInitializer().values((2, 2), Draw(seed, 0))[0, 0] for seed in range(400)]
    assert abs(np.mean(np.sign(diagonals))) < 0.2


def test_orthogonal_wants_a_matrix():
    with pytest.raises(ConfigError, match="expected at least two axes"):
        OrthogonalInitializer().values((5,), DRAW)


@pytest.mark.parametrize("kind", [XavierInitializer, GaussianInitializer, OrthogonalInitializer])
def test_the_same_draw_gives_the_same_values(kind):
    np.testing.assert_array_equal(kind().values((3, 4), Draw(1, 2)), kind().values((3, 4), Draw(1, 2)))
    assert (kind().values((3, 4), Draw(1, 2)) != kind().values((3, 4), Draw(2, 2))).any()
