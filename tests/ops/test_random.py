import numpy as np
import pytest

from mocha.errors import ShapeError
from mocha.ops import Dropout, Spec
from mocha.random import words


def _run(op, x, seed=1, counter=0):
    return op.forward(x, np.asarray(float(seed)), np.asarray(float(counter)))


@pytest.mark.parametrize("shape", [(1,), (3, 7), (2, 3, 4, 5)])
@pytest.mark.parametrize("ratio", [0.0, 0.25, 0.5, 0.9])
def test_the_mask_is_the_words_of_the_stream(ratio, shape):
    x = np.ones(shape)
    y, keep = _run(Dropout(ratio, 3.0, stream=77), x, seed=5, counter=9)
    drawn = words(5, 77, 9, x.size)
    expected = [int(int(word) >= ratio * 2**32) for word in drawn]
    assert keep.dtype == np.uint8
    np.testing.assert_array_equal(keep.reshape(-1), expected)
    np.testing.assert_array_equal(y, 3.0 * keep)


def test_share_of_what_stays():
    n = 100_000
    for ratio in (0.1, 0.5, 0.8):
        _, keep = _run(Dropout(ratio, 1.0, 3), np.ones(n))
        assert abs(keep.mean() - (1 - ratio)) < 4 * np.sqrt(ratio * (1 - ratio) / n)


def test_what_decides_is_seed_stream_and_counter():
    op, x = Dropout(0.5, 2.0, 3), np.ones(64)
    _, mask = _run(op, x)
    np.testing.assert_array_equal(_run(op, x)[1], mask)
    for other in (_run(op, x, seed=2), _run(op, x, counter=1), _run(Dropout(0.5, 2.0, 4), x)):
        assert (other[1] != mask).any()


def test_ratio_zero_keeps_all_and_a_dropped_nan_is_gone():
    x = np.full(64, np.nan)
    assert _run(Dropout(0.0, 1.0, 3), x)[1].all()
    y, keep = _run(Dropout(0.5, 1.0, 3), x)
    np.testing.assert_array_equal(y[keep == 0], 0)
    assert np.isnan(y[keep == 1]).all()


def test_gradient_has_the_mask_and_the_scale():
    op, x = Dropout(0.5, 2.0, 3), np.ones((4, 5))
    y, keep = _run(op, x)
    dx, *none = op.backward([x], [Spec.of(x), None, None], [Spec.of(y), keep], (True, False, False))
    np.testing.assert_array_equal(dx, 2.0 * keep)
    assert none == [None, None]
    assert tuple(op.differentiable(3)) == (0,)


def test_shapes_that_do_not_fit():
    f = np.dtype(np.float64)
    with pytest.raises(ShapeError, match="expected two scalars"):
        Dropout(0.5, 2.0, 3).infer(Spec((2,), f), Spec((2,), f), Spec((), f))
