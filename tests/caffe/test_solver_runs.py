"""Training runs of a real Caffe, followed here: from the same start, and from its snapshots."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import mocha.caffe as caffe
from mocha.errors import ConfigError, FormatError

RUNS = Path(__file__).parents[1] / "vectors" / "solvers"
NAMES = sorted(path.name for path in RUNS.iterdir() if path.is_dir())

NOISE = {"conv2": 1}
"""The bias of a convolution before batch normalisation: its gradient is rounding alone, which methods that divide by
its size make into something. It has no part in anything but the running mean behind it."""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A copy of the runs: solvers write snapshots beside their files."""
    shutil.copytree(RUNS, tmp_path / "runs")
    monkeypatch.chdir(tmp_path / "runs")


def losses(solver, count):
    found = []
    for _ in range(count):
        solver.step(1)
        found.append(float(solver.net.blobs["loss"].data))
    return np.array(found)


@pytest.mark.parametrize("name", NAMES)
def test_the_curve_is_that_of_caffe(name):
    golden = np.load(f"{name}/golden.npz")
    solver = caffe.get_solver(f"{name}/solver.prototxt")
    solver.net.copy_from(f"{name}/init.caffemodel")
    np.testing.assert_allclose(losses(solver, 50), golden["loss"], rtol=2e-6)
    for key in golden.files:
        if not key.startswith("final/"):
            continue
        _, layer, i = key.split("/")
        found, expected = solver.net.params[layer][int(i)].data, golden[key]
        adaptive = solver.type in ("Adam", "AdaGrad")
        if adaptive and NOISE.get(layer) == int(i):
            continue
        tolerance = 1e-3 if adaptive and layer == "bn2" else 1e-5
        np.testing.assert_allclose(found, expected, atol=tolerance * np.max(np.abs(expected)), rtol=0, err_msg=key)


@pytest.mark.parametrize("name", NAMES)
def test_caffes_own_snapshot_is_gone_on_from(name):
    golden = np.load(f"{name}/golden.npz")
    solver = caffe.get_solver(f"{name}/solver.prototxt")
    solver.restore(str(next(Path(name).glob("it_iter_25.solverstate*"))))
    assert solver.iter == 25
    np.testing.assert_allclose(losses(solver, 25), golden["restored_loss"], rtol=2e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_snapshot_says_what_caffes_own_says(name):
    """Written at iteration 25 of the same run: the same buffers, the same iteration, weights under the same names."""
    theirs = {path.name: path for path in RUNS.glob(f"{name}/it_iter_25.*")}
    for file in Path(name).glob("it_iter_25.*"):
        file.unlink()
    solver = caffe.get_solver(f"{name}/solver.prototxt")
    solver.net.copy_from(f"{name}/init.caffemodel")
    solver.step(25)
    for file, expected in theirs.items():
        written = Path(name) / file
        assert written.is_file()
        if "solverstate" in file:
            mine, other = caffe.read_state(written), caffe.read_state(expected)
            assert (mine.iteration, mine.current_step) == (other.iteration, other.current_step)
            assert Path(mine.learned_net).name == Path(other.learned_net).name
            assert [a.shape for a in mine.history] == [a.shape for a in other.history]
            learnable = solver.net.engine.learnable()
            for at, (ours, expected) in enumerate(zip(mine.history, other.history, strict=True)):
                parameter = learnable[at % len(learnable)]
                if solver.type == "Adam" and parameter.key == "conv2___bias":
                    continue  # NOISE
                if parameter.about.rate:
                    np.testing.assert_allclose(ours, expected, atol=2e-6 * np.abs(expected).max(), rtol=1e-3)
                else:  # what Caffe gathers for parameters with the rate 0 moves nothing
                    assert not ours.any()
        else:
            mine, other = caffe.read_weights(written), caffe.read_weights(expected)
            assert set(mine) == set(other)
            assert {k: [a.shape for a in v] for k, v in mine.items()} == {
                k: [a.shape for a in v] for k, v in other.items()
            }


@pytest.mark.parametrize("name", NAMES)
def test_our_own_snapshot_is_gone_on_from_bit_for_bit(name):
    solver = caffe.get_solver(f"{name}/solver.prototxt")
    solver.net.copy_from(f"{name}/init.caffemodel")
    solver.step(25)
    state = next(Path(name).glob("it_iter_25.solverstate*"))
    expected = caffe.read_state(state).history
    again = caffe.get_solver(f"{name}/solver.prototxt")
    again.restore(str(state))
    for layer, blobs in solver.net.params.items():
        for mine, other in zip(again.net.params[layer], blobs, strict=True):
            np.testing.assert_array_equal(mine.data, other.data)
    again.snapshot()
    for mine, other in zip(caffe.read_state(state).history, expected, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_another_types_state_is_refused():
    solver = caffe.SGDSolver("sgd_inv/solver.prototxt")
    with pytest.raises(FormatError, match=r"buffers; a solver of type SGD .* has"):
        solver.restore("adam/it_iter_25.solverstate.h5")


def test_the_class_decides_the_method():
    assert caffe.AdamSolver("sgd_inv/solver.prototxt").type == "Adam"
    assert isinstance(caffe.get_solver("nesterov_exp/solver.prototxt"), caffe.NesterovSolver)
    with pytest.raises(ConfigError, match="RMSProp has none"):
        caffe.RMSPropSolver("sgd_inv/solver.prototxt")
