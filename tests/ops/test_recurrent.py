import math
from pathlib import Path

import numpy as np
import pytest

from mocha.errors import ShapeError
from mocha.ops import LSTM, RNN, LstmUnit, Spec

VECTORS = Path(__file__).parents[1] / "vectors"
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)


def check(found, expected):
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("name", ["lstm", "lstm_static"])
def test_lstm_against_caffe(name, dtype):
    vector = {key: np.asarray(value) for key, value in np.load(VECTORS / f"{name}.npz").items()}
    vector = {key: value.astype(dtype) for key, value in vector.items() if value.dtype == F32}
    x, cont, dy = vector["bottom/x"], vector["bottom/cont"], vector["top_diff/y"]
    static = vector.get("bottom/st")
    w_x, b, *middle, w = (vector[f"param/{i}"] for i in range(3 if static is None else 4))
    z = x @ w_x.T + b + (0 if static is None else static @ middle[0].T)
    h0 = c0 = np.zeros(dy.shape[1:], dtype)
    op, inputs = LSTM(), (z, w, cont, h0, c0)
    outputs = op.forward(*inputs)
    check(outputs[0], vector["top/y"])
    np.testing.assert_array_equal(outputs[1], outputs[0][-1])
    np.testing.assert_array_equal(outputs[2], outputs[3][-1])
    dz, dw, none, _, _ = op.backward([dy, 0 * h0, 0 * c0], inputs, outputs, (True, True, False, True, True))
    assert none is None
    assert outputs[0].dtype == dz.dtype == dw.dtype == dtype
    check(dw, vector[f"param_diff/{2 if static is None else 3}"])
    check(dz @ w_x, vector["bottom_diff/x"])
    check(np.einsum("tbk,tbi->ki", dz, x), vector["param_diff/0"])
    check(dz.sum(axis=(0, 1)), vector["param_diff/1"])
    if static is not None:
        check(np.einsum("tbk,bs->ks", dz, static), vector["param_diff/2"])
        check(dz.sum(axis=0) @ middle[0], vector["bottom_diff/st"])


@pytest.mark.parametrize("dtype", [F32, F64])
def test_rnn_against_caffe(dtype):
    vector = np.load(VECTORS / "rnn.npz")
    x, cont, dy = (vector[key].astype(dtype) for key in ("bottom/x", "bottom/cont", "top_diff/y"))
    w_x, b, w, w_o, b_o = (vector[f"param/{i}"].astype(dtype) for i in range(5))
    h0 = np.zeros(dy.shape[1:], dtype)
    op, inputs = RNN(), (x @ w_x.T + b, w, cont, h0)
    h, last = op.forward(*inputs)
    o = np.tanh(h @ w_o.T + b_o)
    check(o, vector["top/y"])
    do = dy * (1 - o * o)
    dz, dw, _, _ = op.backward([do @ w_o, 0 * h0], inputs, (h, last), (True, True, False, True))
    assert h.dtype == dz.dtype == dw.dtype == dtype
    check(dz @ w_x, vector["bottom_diff/x"])
    check(np.einsum("tbk,tbi->ki", dz, x), vector["param_diff/0"])
    check(dz.sum(axis=(0, 1)), vector["param_diff/1"])
    check(dw, vector["param_diff/2"])
    check(np.einsum("tbk,tbi->ki", do, h), vector["param_diff/3"])
    check(do.sum(axis=(0, 1)), vector["param_diff/4"])


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_one_unit_by_hand():
    i, f, o, g = sigmoid(1), sigmoid(-2), sigmoid(0.5), math.tanh(2)
    c = 0.75 * f * 3 + i * g
    found = LstmUnit().forward(np.array([[3.0]]), np.array([[1.0, -2, 0.5, 2]]), np.array([0.75]))
    for array, expected in zip(found, ([[c]], [[o * math.tanh(c)]], [[i, f, o, g]]), strict=True):
        np.testing.assert_allclose(array, expected)


def test_lstm_is_its_units_in_turn():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((3, 2, 8)), rng.standard_normal((8, 2))
    cont, h, c = rng.uniform(0, 1, (3, 2)), rng.standard_normal((2, 2)), rng.standard_normal((2, 2))
    found = LSTM().forward(x, w, cont, h, c)
    for t in range(3):
        c, h, gates = LstmUnit().forward(c, x[t] + (cont[t][:, np.newaxis] * h) @ w.T, cont[t])
        for k, expected in ((0, h), (3, c), (4, gates)):
            np.testing.assert_allclose(found[k][t], expected)
    np.testing.assert_allclose(found[1], h)
    np.testing.assert_allclose(found[2], c)


def test_rnn_by_hand():
    x, w = np.array([[[0.5]], [[-1.0]]]), np.array([[2.0]])
    h, last = RNN().forward(x, w, np.array([[1.0], [0.5]]), np.array([[0.25]]))
    first = math.tanh(0.5 + 2 * 0.25)
    np.testing.assert_allclose(h.ravel(), [first, math.tanh(-1 + 2 * 0.5 * first)])
    np.testing.assert_array_equal(last, h[-1])


def test_a_sequence_that_begins_anew_knows_nothing_of_what_was_before():
    rng = np.random.default_rng(1)
    x, w, state = rng.standard_normal((4, 1, 12)), rng.standard_normal((12, 3)), rng.standard_normal((1, 3))
    cont = np.array([[1.0], [1], [0], [1]])
    whole = LSTM().forward(x, w, cont, state, state)
    rest = LSTM().forward(x[2:], w, cont[2:], 7 * state, -state)
    np.testing.assert_array_equal(whole[0][2:], rest[0])
    dh = np.zeros_like(whole[0])
    dh[3] = 1
    inputs = (x, w, cont, state, state)
    dz, _, _, dh0, dc0 = LSTM().backward([dh, 0 * state, 0 * state], inputs, whole, (True, True, False, True, True))
    assert dz[2].any()
    assert dz[3].all()
    assert not dz[:2].any()
    assert not dh0.any()
    assert not dc0.any()


def test_a_sequence_in_two_parts_is_the_whole():
    rng = np.random.default_rng(2)
    x, w, state = rng.standard_normal((5, 2, 3)), rng.standard_normal((3, 3)), rng.standard_normal((2, 3))
    cont = np.ones((5, 2))
    whole, last = RNN().forward(x, w, cont, state)
    head, middle = RNN().forward(x[:3], w, cont[:3], state)
    tail, end = RNN().forward(x[3:], w, cont[3:], middle)
    np.testing.assert_array_equal(whole, np.concatenate([head, tail]))
    np.testing.assert_array_equal(last, end)


def test_no_steps():
    state = np.ones((2, 3))
    h, last_h, last_c, _, _ = LSTM().forward(
        np.zeros((0, 2, 12)), np.zeros((12, 3)), np.zeros((0, 2)), state, 2 * state
    )
    assert h.shape == (0, 2, 3)
    np.testing.assert_array_equal(last_h, state)
    np.testing.assert_array_equal(last_c, 2 * state)


GOOD = {"x": (4, 2, 12), "w": (12, 3), "cont": (4, 2), "h0": (2, 3), "c0": (2, 3)}


@pytest.mark.parametrize(
    ("which", "shape", "words"),
    [
        ("x", (4, 2, 13), r"the input is 4x2x13 float32; expected \(steps, sequences, 4 D\)"),
        ("x", (4, 24), "the input is 4x24"),
        ("x", (4, 2, 0), "the input is 4x2x0"),
        ("w", (12, 4), "the weight is 12x4 float32; expected 12x3 float32"),
        ("cont", (4, 3), "cont is 4x3 float32; expected 4x2 float32"),
        ("h0", (3, 3), "h0 is 3x3 float32; expected 2x3 float32"),
        ("c0", (2, 4), "c0 is 2x4 float32; expected 2x3 float32"),
    ],
)
def test_what_does_not_fit(which, shape, words):
    with pytest.raises(ShapeError, match=words):
        LSTM().infer(*(Spec(s, F32) for s in {**GOOD, which: shape}.values()))


def test_what_does_not_fit_other_ops():
    with pytest.raises(ShapeError, match="the weight is 3x3 float64; expected 3x3 float32"):
        RNN().infer(Spec((4, 2, 3), F32), Spec((3, 3), F64), Spec((4, 2), F32), Spec((2, 3), F32))
    with pytest.raises(ShapeError, match="what goes into the gates is 2x6 float32; expected 2x12 float32"):
        LstmUnit().infer(Spec((2, 3), F32), Spec((2, 6), F32), Spec((2,), F32))
    with pytest.raises(ShapeError, match="cont is 1 float32; expected 2 float32"):
        LstmUnit().infer(Spec((2, 3), F32), Spec((2, 12), F32), Spec((1,), F32))
    with pytest.raises(ShapeError, match="the last state is 3 float32"):
        LstmUnit().infer(Spec((3,), F32), Spec((12,), F32), Spec((), F32))
