"""Solvers: rates, updates by hand, tests, what is told, callbacks, snapshots."""

import logging
import re
from pathlib import Path

import numpy as np
import pytest

import mocha.caffe as caffe
from mocha.caffe.rates import Rate
from mocha.errors import ConfigError, FormatError

LINE = """
name: "line"
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 2 dim: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
        inner_product_param { num_output: 2 weight_filler { type: "uniform" min: -1 max: 1 } } }
layer { name: "error" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "error" }
"""
X = np.array([[1.0, 2.0, -1.0], [0.5, 0.0, 3.0]])
T = np.array([[1.0, 0.0], [-1.0, 2.0]])
KINDS = {
    "SGD": "momentum: 0.9", "Nesterov": "momentum: 0.9", "AdaGrad": "", "RMSProp": "rms_decay: 0.9",
    "AdaDelta": "momentum: 0.9 delta: 1e-4", "Adam": "momentum: 0.9 momentum2: 0.99",
}  # fmt: skip


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def parameter(text="", net=LINE):
    common = "" if "base_lr" in text or "lr_policy" in text else 'base_lr: 0.1 lr_policy: "fixed" '
    made = caffe.parse_solver(common + text)
    if net is not None:
        made.net_param.CopyFrom(caffe.parse_net(net))
    return made


def make(text="", net=LINE, **kwargs):
    solver = caffe.get_solver(parameter(text, net), **kwargs)
    for each in (solver.net, *solver.test_nets):
        if "x" in each.blobs:
            each.blobs["x"].data[...], each.blobs["t"].data[...] = X, T
    return solver


def weights(solver):
    return [blob.data.copy() for blobs in solver.net.params.values() for blob in blobs]


def gradients(w, b, x=X, t=T):
    d = (x @ w.T + b - t) / len(x)
    return d.T @ x, d.sum(axis=0)


def loss(w, b):
    return np.sum((X @ w.T + b - T) ** 2) / 2 / len(X)


# -- rates


RATES = {
    'lr_policy: "fixed"': lambda i: 1,
    'lr_policy: "step" gamma: 0.5 stepsize: 3': lambda i: 0.5 ** (i // 3),
    'lr_policy: "exp" gamma: 0.9': lambda i: 0.9**i,
    'lr_policy: "inv" gamma: 0.1 power: 0.75': lambda i: (1 + 0.1 * i) ** -0.75,
    'lr_policy: "poly" power: 2 max_iter: 20': lambda i: (1 - i / 20) ** 2,
    'lr_policy: "sigmoid" gamma: 0.5 stepsize: 4': lambda i: 1 / (1 + np.exp(-0.5 * (i - 4))),
    # one step an iteration at most: the second 3 counts at 4, and 5 at 5
    'lr_policy: "multistep" gamma: 0.1 stepvalue: 3 stepvalue: 3 stepvalue: 5':
        lambda i: 0.1 ** (0 if i < 3 else 1 if i == 3 else 2 if i == 4 else 3),
}  # fmt: skip


@pytest.mark.parametrize("policy", RATES)
def test_rates(policy):
    rate = Rate(caffe.parse_solver(f"base_lr: 0.5 {policy}"))
    found = [rate.at(i) for i in range(10)]
    np.testing.assert_allclose(found, [0.5 * RATES[policy](i) for i in range(10)], rtol=1e-6)


@pytest.mark.parametrize(
    ("policy", "at", "expected"),
    [
        ('lr_policy: "exp" gamma: 10', 5000, np.inf),
        ('lr_policy: "step" gamma: 10 stepsize: 1', 5000, np.inf),
        ('lr_policy: "sigmoid" gamma: 1 stepsize: 100000', 0, 0),
        ('lr_policy: "inv" gamma: 1e30 power: -30', 1000, np.inf),
        ('lr_policy: "poly" power: 0.5 max_iter: 10', 10, 0),
        ('lr_policy: "poly" power: 0.5 max_iter: 10', 12, 0),
    ],
)
def test_rates_at_the_ends_of_numbers(policy, at, expected):
    assert Rate(caffe.parse_solver(f"base_lr: 0.5 {policy}")).at(at) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('lr_policy: "stp"', "lr_policy is 'stp'. Did you mean 'step'"),
        ('lr_policy: ""', "lr_policy is ''. Known: "),
        ('lr_policy: "exp" gamma: -1', "gamma is -1; expected a number >= 0 for the policy 'exp'"),
        ('lr_policy: "step" gamma: 1', "stepsize is 0; expected"),
        ('lr_policy: "poly"', "max_iter is 0; expected"),
    ],
)
def test_rates_that_cannot_be(text, message):
    with pytest.raises(ConfigError, match=re.escape(f"solver: {message}")):
        make(text)


def test_the_rate_of_the_next_update():
    solver = make('base_lr: 1 lr_policy: "multistep" gamma: 0.1 stepvalue: 1 stepvalue: 1')
    assert [solver.lr, solver.lr] == [1, 1]
    solver.step(1)
    assert [solver.lr, solver.lr] == pytest.approx([0.1, 0.1])
    solver.step(1)
    assert solver.lr == pytest.approx(0.01)
    solver.param.base_lr = 10  # scripts change it
    assert solver.lr == pytest.approx(0.1)


# -- updates


@pytest.mark.parametrize("penalty", ["L2", "L1"])
def test_clipped_added_divided_decayed_in_that_order(penalty):
    solver = make(
        f'iter_size: 3 clip_gradients: 0.7 weight_decay: 0.1 momentum: 0.5 regularization_type: "{penalty}"'
    )  # fmt: skip
    w, b = weights(solver)
    velocity = [0.0, 0.0]
    for _ in range(4):
        dw, db = (3 * g for g in gradients(w, b))
        norm = np.sqrt(np.sum(dw**2) + np.sum(db**2))
        scale = min(1, 0.7 / norm) / 3
        assert norm > 0.7
        dw, db = dw * scale + 0.1 * (w if penalty == "L2" else np.sign(w)), db * scale
        velocity = [0.5 * velocity[0] + 0.1 * dw, 0.5 * velocity[1] + 0.2 * db]
        w, b = w - velocity[0], b - velocity[1]
        solver.step(1)
        for found, expected in zip(weights(solver), (w, b), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_the_loss_is_the_mean_of_the_passes(caplog):
    batches = iter([X, 2 * X, 3 * X])
    solver = make('iter_size: 3 display: 1 base_lr: 0 lr_policy: "fixed"')
    w, b = weights(solver)
    solver.add_callback(lambda: solver.net.blobs["x"].data.__setitem__(..., next(batches)), lambda: None)
    with caplog.at_level(logging.INFO, "mocha"):
        solver.step(3)
    shown = [float(m[1]) for m in re.finditer(r"Iteration \d+ .*, loss = (\S+)", caplog.text)]
    expected = [np.sum((k * X @ w.T + b - T) ** 2) / 4 for k in (1, 2, 3)]
    np.testing.assert_allclose(shown, expected, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_one_step_ten_times_is_ten_steps(kind):
    text = f'type: "{kind}" {KINDS[kind]} weight_decay: 0.01 random_seed: 5 clip_gradients: 2'
    one, ten, seed = make(text), make(text), make(text + " iter_size: 2")
    for _ in range(10):
        one.step(1)
    ten.step(10)
    seed.step(1)
    assert one.iter == ten.iter == 10
    for a, b in zip(weights(one), weights(ten), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_passes_of_a_script_and_apply_update_are_a_step(kind):
    text = f'type: "{kind}" {KINDS[kind]} weight_decay: 0.01 random_seed: 5 base_lr: 0.2 lr_policy: "exp" gamma: 0.9'
    stepping, script = make(text), make(text)
    for _ in range(5):
        stepping.step(1)
        script.net.clear_param_diffs()
        script.net.forward()
        script.net.backward()
        script.apply_update()
        for a, b in zip(weights(stepping), weights(script), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
        for a, b in zip(stepping.net.params["ip"], script.net.params["ip"], strict=True):
            np.testing.assert_allclose(a.diff, b.diff, rtol=1e-4, atol=1e-6)  # what was taken away
    assert script.iter == 5


def test_the_diff_is_what_the_update_took_away():
    solver = make()
    held = solver.net.params["ip"][0].diff
    before = weights(solver)
    solver.step(1)
    np.testing.assert_allclose(held, before[0] - weights(solver)[0], atol=1e-7)
    assert held.any()


def test_inputs_of_another_shape_between_steps():
    solver = make()
    solver.step(2)
    w, b = weights(solver)
    solver.net.blobs["x"].reshape(1, 3)
    solver.net.blobs["t"].reshape(1, 2)
    solver.net.blobs["x"].data[...], solver.net.blobs["t"].data[...] = X[:1], T[:1]
    solver.step(1)
    dw, db = gradients(w, b, X[:1], T[:1])
    np.testing.assert_allclose(weights(solver)[0], w - 0.1 * dw, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(weights(solver)[1], b - 0.2 * db, rtol=1e-5, atol=1e-6)


def test_filters_in_training():
    text = LINE.replace('bottom: "y" bottom: "t"', 'bottom: "fy" bottom: "ft"').replace(
        'layer { name: "error"',
        'layer { name: "s" type: "Input" top: "s" input_param { shape { dim: 2 } } }'
        'layer { name: "f" type: "Filter" bottom: "y" bottom: "t" bottom: "s" top: "fy" top: "ft" }'
        'layer { name: "error"',
    )
    for passes in (1, 2):
        solver = make(f"iter_size: {passes}", text)
        for chosen in ([1, 0], [1, 1], [0, 1]):
            w, b = weights(solver)
            solver.net.blobs["s"].data[...] = chosen
            rows = np.flatnonzero(chosen)
            solver.step(1)
            dw, db = gradients(w, b, X[rows], T[rows])
            np.testing.assert_allclose(weights(solver)[0], w - 0.1 * dw, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(weights(solver)[1], b - 0.2 * db, rtol=1e-5, atol=1e-6)
            assert solver.net.blobs["fy"].data.shape == (len(rows), 2)


def test_hdf5_output_in_training():
    h5py = pytest.importorskip("h5py")
    out = 'layer { name: "o" type: "HDF5Output" bottom: "y" bottom: "t" hdf5_output_param { file_name: "o.h5" } }'
    solver = make(net=LINE + out)
    solver.step(3)
    solver.close()
    with h5py.File("o.h5") as file:
        assert file["data"].shape == (6, 2)


def test_callbacks_come_before_the_passes_and_before_the_update():
    solver = make()
    calls = []

    def start():
        calls.append(("start", solver.iter))

    def ready():
        calls.append(("ready", solver.iter))
        w, b = weights(solver)
        dw, db = gradients(w, b)
        np.testing.assert_allclose(solver.net.params["ip"][0].diff, dw, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(solver.net.params["ip"][1].diff, db, rtol=1e-5, atol=1e-6)
        solver.net.params["ip"][1].diff[...] = 0  # a script's own idea of a gradient

    solver.add_callback(start, ready)
    b = weights(solver)[1]
    solver.step(2)
    assert calls == [("start", 0), ("ready", 0), ("start", 1), ("ready", 1)]
    np.testing.assert_array_equal(weights(solver)[1], b)

    def fail():
        raise KeyError("mine")

    solver.add_callback(fail, ready)
    with pytest.raises(KeyError, match="mine"):
        solver.step(1)


def test_the_same_seed_gives_the_same_start():
    first, again, other = (make(f"random_seed: {seed}") for seed in (3, 3, 4))
    np.testing.assert_array_equal(weights(first)[0], weights(again)[0])
    assert not np.array_equal(weights(first)[0], weights(other)[0])
    make(f"random_seed: {2**40 + 3}")
    make("random_seed: -5")


# -- nets


def test_exactly_one_train_net():
    with pytest.raises(ConfigError, match="solver: no net; expected exactly one"):
        make(net=None)
    with pytest.raises(ConfigError, match="solver: net, net_param; expected exactly one"):
        make('net: "n.prototxt"')
    with pytest.raises(RuntimeError, match=r"no\.prototxt"):
        make('net: "no.prototxt"', None)
    with pytest.raises(ConfigError, match="received int; expected the path"):
        caffe.SGDSolver(3)


def test_files_beside_the_solver_are_found():
    Path("d").mkdir()
    Path("d/net.prototxt").write_text(LINE)
    donor = make("random_seed: 77")
    donor.net.save("d/w.caffemodel")
    Path("d/s.prototxt").write_text('net: "net.prototxt" weights: "w.caffemodel" base_lr: 0.1 lr_policy: "fixed"')
    solver = caffe.get_solver("d/s.prototxt")
    np.testing.assert_array_equal(weights(solver)[0], weights(donor)[0])
    solver.net.blobs["x"].data[...] = X
    solver.step(1)
    solver.snapshot()
    assert Path("d/s_iter_1.caffemodel").is_file()


def test_weights_are_a_list_and_reach_the_test_nets():
    text = (
        LINE
        + """
    layer { name: "extra" type: "Bias" bottom: "y" top: "e" include { phase: TEST } }
    layer { name: "quiet" type: "Silence" bottom: "e" include { phase: TEST } }
    """
    )
    donor = caffe.Net(caffe.parse_net(text), caffe.TEST)
    donor.params["extra"][0].data[...] = 3
    donor.save("a.caffemodel")
    donor.params["ip"][1].data[...] = 8
    caffe.write_weights("b.h5", {"ip": [blob.data for blob in donor.params["ip"]]})
    solver = make('test_iter: 1 test_interval: 1 weights: "a.caffemodel, b.h5"', text)
    assert np.all(solver.test_nets[0].params["extra"][0].data == 3)
    assert np.all(solver.net.params["ip"][1].data == 8)
    with pytest.raises(RuntimeError, match=r"no\.caffemodel"):
        make('weights: "no.caffemodel"')


STAGED = (
    LINE
    + """
layer { name: "a" type: "Power" bottom: "x" top: "a" include { stage: "a" } }
layer { name: "b" type: "Power" bottom: "x" top: "b" include { phase: TEST stage: "b" } }
layer { name: "deep" type: "Power" bottom: "x" top: "deep" include { min_level: 3 } }
"""
)


def test_states_choose_the_layers_of_each_net():
    solver = make(
        'train_state { level: 3 stage: "a" } test_iter: 1 test_iter: 1 test_interval: 1 '
        'test_state { stage: "b" } test_state { level: 4 stage: "a" }',
        STAGED,
    )
    assert [[name for name in ("a", "b", "deep") if name in net.layer_dict]
            for net in (solver.net, *solver.test_nets)] == [["a", "deep"], ["b"], ["a", "deep"]]  # fmt: skip
    solver = make("", 'state { level: 3 stage: "a" }' + STAGED)  # the net's own state counts too
    assert {"a", "deep"} <= set(solver.net.layer_dict)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("test_iter: 1", "test_interval is 0; expected a number >= 1"),
        ("test_iter: 1 test_interval: 1 test_state { } test_state { }", "2 test_state entries; expected none or 1"),
        ('test_interval: 1 test_net: "line.prototxt"', "0 test_iter entries for 1 test nets"),
        ("test_iter: -1 test_interval: 1", "test_iter is [-1]; expected numbers >= 0"),
        ("average_loss: 0", "average_loss is 0, iter_size 1"),
        ("iter_size: 0", "average_loss is 1, iter_size 0"),
        ('weight_decay: 1 regularization_type: "l2"', "regularization_type is 'l2'; expected 'L2' or 'L1'"),
        ('type: "Adm"', "type is 'Adm'. Did you mean 'Adam'"),
        ('type: "Adam" momentum: 1', "momentum is 1, momentum2 0.999; Adam expects 0 to below 1"),
        ('type: "AdaGrad" momentum: 0.9', "momentum is 0.9; AdaGrad has none"),
        ('type: "RMSProp" rms_decay: 1', "rms_decay is 1; expected 0 to below 1"),
        ('snapshot: 1 snapshot_prefix: "line.prototxt/a"', "snapshot_prefix is 'line.prototxt/a'; no files"),
    ],
)
def test_parameters_that_cannot_be(text, message):
    Path("line.prototxt").write_text(LINE)
    with pytest.raises(ConfigError, match=re.escape(f"solver: {message}")):
        make(text)


def test_test_nets_of_their_own():
    Path("t.prototxt").write_text(LINE)
    solver = make('test_net: "t.prototxt" test_iter: 1 test_iter: 1 test_iter: 1 test_interval: 10')
    assert len(solver.test_nets) == 3
    solver.step(1)
    for net in solver.test_nets:
        np.testing.assert_array_equal(net.params["ip"][0].data, weights(solver)[0])


# -- tests and lines


def lines(caplog, solver, iterations):
    with caplog.at_level(logging.INFO, "mocha"):
        solver.step(iterations)
    return [record.getMessage() for record in caplog.records]


def test_lines(caplog):
    solver = make("display: 2 test_iter: 2 test_interval: 2 test_compute_loss: true")
    w, b = weights(solver)
    found = lines(caplog, solver, 3)
    first = loss(w, b)
    assert found[:3] == [
        "Iteration 0, Testing net (#0)", f"Test loss: {first:g}",
        f"    Test net output #0: error = {first:g} (* 1 = {first:g} loss)",
    ]  # fmt: skip
    assert re.fullmatch(rf"Iteration 0 \(\S+ iter/s, \S+s/2 iters\), loss = {first:g}", found[3])
    assert found[4:6] == [
        f"    Train net output #0: error = {first:g} (* 1 = {first:g} loss)", "Iteration 0, lr = 0.1",
    ]  # fmt: skip
    assert found[6] == "Iteration 2, Testing net (#0)"
    assert found[9].startswith("Iteration 2 (")
    assert found[-1] == "Iteration 2, lr = 0.1"
    assert len(found) == 12


def test_each_element_of_an_output_has_its_number(caplog):
    found = lines(caplog, make("display: 1", LINE + 'layer { name: "a" type: "Power" bottom: "x" top: "a" }'), 1)
    outputs = [line.split(": ", 1) for line in found if "output #" in line]
    assert [where for where, _ in outputs] == [f"    Train net output #{i}" for i in range(7)]
    assert [what for _, what in outputs[:6]] == [f"a = {value:g}" for value in X.ravel()]
    assert outputs[6][1].startswith("error = ")


def test_tests_are_left_out_where_nobody_wants_them(caplog):
    text = "test_iter: 1 test_interval: 2 test_initialization: false"
    assert lines(caplog, make(text), 3) == [
        "Iteration 2, Testing net (#0)",
        next(r.getMessage() for r in caplog.records if "Test net output" in r.getMessage()),
    ]
    assert make("test_iter: 0 test_interval: 1 test_compute_loss: true").test() == {}


def test_outputs_of_tests_are_means_over_batches():
    text = LINE.replace('name: "t" type: "Input"', 'name: "t" type: "DummyData"').replace(
        'top: "t" input_param { shape { dim: 2 dim: 2 } }',
        'top: "t" dummy_data_param { shape { dim: 2 dim: 2 } data_filler { type: "uniform" } }',
    )
    solver = make("test_iter: 4 test_interval: 1", text)
    twin = make("test_iter: 4 test_interval: 1", text)
    for made in (solver, twin):
        made.test_nets[0].blobs["x"].data[...] = X
    expected = np.mean([float(twin.test_nets[0].forward()["error"]) for _ in range(4)])
    (found,) = solver.test_all()
    assert found["error"] == pytest.approx(expected, rel=1e-6)
    with pytest.raises(IndexError):
        solver.test(1)


def test_the_loss_is_smoothed_over_the_last_ones(caplog):
    solver = make("display: 1 average_loss: 3")
    raw = []
    solver.add_callback(lambda: raw.append(loss(*weights(solver))), lambda: None)
    shown = [
        float(m[1]) for line in lines(caplog, solver, 5) if (m := re.match(r"Iteration \d+ \(.*loss = (\S+)", line))
    ]
    expected = [np.mean(raw[max(0, i - 2) : i + 1]) for i in range(5)]
    np.testing.assert_allclose(shown, expected, rtol=1e-4)


def test_solve(caplog):
    solver = make('max_iter: 4 display: 2 test_iter: 1 test_interval: 2 snapshot: 3 snapshot_prefix: "s"')
    with caplog.at_level(logging.INFO, "mocha"):
        solver.solve()
    found = [record.getMessage() for record in caplog.records]
    assert found[:2] == ["Solving line", "Learning Rate Policy: fixed"]
    assert found[-1] == "Optimization Done."
    assert f"Iteration 4, loss = {loss(*weights(solver)):.3g}"[:-1] in caplog.text
    assert [line for line in found if "Testing" in line] == [f"Iteration {i}, Testing net (#0)" for i in (0, 2, 4)]
    assert [line.split()[-1] for line in found if line.startswith("Snapshotting to")] == [
        "s_iter_3.caffemodel", "s_iter_4.caffemodel",
    ]  # fmt: skip
    assert solver.iter == 4
    again = make('max_iter: 4 snapshot_prefix: "s" snapshot_after_train: false')
    again.solve(resume="s_iter_3.solverstate")
    np.testing.assert_array_equal(weights(again)[0], weights(solver)[0])
    assert sorted(p.name for p in Path().glob("s_iter_*")) == [
        f"s_iter_{i}.{ending}" for i in (3, 4) for ending in ("caffemodel", "solverstate")
    ]


def test_stop_ends_after_the_iteration_and_not_for_ever():
    solver = make("max_iter: 10 snapshot_after_train: false")
    solver.add_callback(solver.stop, lambda: None)
    solver.step(5)
    assert solver.iter == 1
    solver.solve()
    assert solver.iter == 2
    solver._callbacks.clear()
    solver.solve()
    assert solver.iter == 10


# -- snapshots


@pytest.mark.parametrize(
    ("format", "endings"), [("BINARYPROTO", ("", "")), ("HDF5", (".h5", ".h5"))]
)  # fmt: skip
@pytest.mark.parametrize("kind", KINDS)
def test_snapshots_go_on_bit_for_bit(format, endings, kind):
    Path("out").mkdir()
    text = f'type: "{kind}" {KINDS[kind]} snapshot_format: {format} snapshot_prefix: "out/a" weight_decay: 0.1 '
    solver = make(text + 'base_lr: 0.1 lr_policy: "multistep" gamma: 0.5 stepvalue: 1 stepvalue: 4')
    solver.step(3)
    solver.snapshot()
    model, state = f"out/a_iter_3.caffemodel{endings[0]}", f"out/a_iter_3.solverstate{endings[1]}"
    assert caffe.read_state(state).learned_net == model
    assert caffe.read_state(state).current_step == 1
    assert len(caffe.read_state(state).history) == (4 if kind in ("AdaDelta", "Adam") else 2)
    again = make(text + 'base_lr: 0.1 lr_policy: "multistep" gamma: 0.5 stepvalue: 1 stepvalue: 4 random_seed: 9')
    again.restore(state)
    for each in (solver, again):
        each.step(3)
    assert again.iter == 6
    for a, b in zip(weights(again), weights(solver), strict=True):
        np.testing.assert_array_equal(a, b)


def test_where_snapshots_go():
    Path("folder").mkdir()
    Path("my.prototxt").write_text('net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed"')
    Path("net.prototxt").write_text(LINE)
    solver = caffe.SGDSolver("my.prototxt")
    solver.snapshot()
    assert Path("my_iter_0.caffemodel").is_file()
    solver.param.snapshot_prefix = "folder"
    solver.snapshot()
    assert Path("folder/my_iter_0.solverstate").is_file()


def test_gradients_in_snapshots():
    h5py = pytest.importorskip("h5py")
    solver = make('snapshot_format: HDF5 snapshot_diff: true snapshot_prefix: "d"')
    solver.step(1)
    solver.snapshot()
    with h5py.File("d_iter_1.caffemodel.h5") as file:
        np.testing.assert_array_equal(file["diff/ip/1"], solver.net.params["ip"][1].diff)


def test_a_state_that_is_refused_changes_nothing():
    donor = make('type: "Adam" snapshot_prefix: "adam"')
    donor.step(2)
    donor.snapshot()
    caffe.get_solver(parameter('snapshot_prefix: "wide"', LINE.replace("dim: 3", "dim: 4"))).snapshot()
    solver = make("momentum: 0.9")
    solver.step(2)
    solver.net.save("own.caffemodel")
    history = [np.ones((2, 3), np.float32), np.ones(2, np.float32)]
    caffe.write_state("lost.solverstate", caffe.SolverState(7, "gone.caffemodel", history))
    caffe.write_state("wide.solverstate", caffe.SolverState(7, "wide_iter_0.caffemodel", history))
    caffe.write_state("shape.solverstate", caffe.SolverState(7, "own.caffemodel", [history[0], np.ones(3, np.float32)]))
    caffe.write_state("past.solverstate", caffe.SolverState(-1, "own.caffemodel", history))
    Path("junk.solverstate").write_bytes(b"\xff\xfe junk")
    Path("empty.solverstate").write_bytes(b"")
    before, momentum = weights(solver), [values for _, values in solver._histories()]
    for path, message in {
        "adam_iter_2.solverstate": r"adam_iter_2.solverstate: 4 buffers; a solver of type SGD .* has 2",
        "lost.solverstate": r"gone\.caffemodel",
        "wide.solverstate": r"wide_iter_0\.caffemodel: layer 'ip', blob 0",
        "shape.solverstate": r"shape\.solverstate: history 1",
        "past.solverstate": r"past\.solverstate: iteration -1",
        "junk.solverstate": r"junk\.solverstate",
        "empty.solverstate": r"empty\.solverstate",
        "no.solverstate": r"no\.solverstate",
    }.items():
        with pytest.raises((FormatError, ValueError, RuntimeError), match=message):
            solver.restore(path)
        assert solver.iter == 2
        for a, b in zip(weights(solver), before, strict=True):
            np.testing.assert_array_equal(a, b)
        for (_, a), b in zip(solver._histories(), momentum, strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_class_decides():
    for kind, extra in KINDS.items():
        param = parameter(extra)
        solver = getattr(caffe, f"{kind}Solver")(param)
        assert solver.type == kind
        param.type = kind
        assert type(caffe.get_solver(param)) is getattr(caffe, f"{kind}Solver")


def test_weights_are_shared_with_a_net():
    solver, net = make(), caffe.Net(caffe.parse_net(LINE), caffe.TEST)
    solver.share_weights(net)
    solver.step(3)
    np.testing.assert_array_equal(net.params["ip"][0].data, weights(solver)[0])


def test_forced_gradients_do_not_train_what_has_the_rate_0():
    text = "force_backward: true\n" + LINE.replace('bottom: "x" top: "y"', 'bottom: "n" top: "y"').replace(
        'layer { name: "ip"', 'layer { name: "bn" type: "BatchNorm" bottom: "x" top: "n" } layer { name: "ip"'
    )
    text = text.replace("param { lr_mult: 1 }", "param { lr_mult: 0 }")
    solver = make("momentum: 0.9 weight_decay: 0.5", text)
    w, factor = weights(solver)[3], weights(solver)[2]
    solver.step(2)
    assert not factor.any()
    np.testing.assert_array_equal(solver.net.params["ip"][0].data, w)
    assert solver.net.params["bn"][2].data == pytest.approx(1.999)
    assert solver.net.blobs["x"].diff.any()
