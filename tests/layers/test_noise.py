"""Layers of random numbers: what they are a function of, and epochs that they leave alone."""

import numpy as np
import pytest

from mocha import (
    SGD,
    ConfigError,
    ConstantInitializer,
    ElementWiseLayer,
    InnerProductLayer,
    LRPolicy,
    MemoryDataLayer,
    Net,
    RandomNormalLayer,
    Solver,
    SquareLossLayer,
    StateError,
    TopologyError,
    make_solver_parameters,
)
from mocha.coffee import Snapshot
from mocha.random import normal, stream_of
from mocha.testing import check_gradients


def noise(**more):
    about = {"name": "noise", "output_dims": (3, 4), "batch_sizes": [5], "tops": ["z"], "eltype": np.float64}
    return RandomNormalLayer(**{**about, **more})


def test_the_numbers_are_those_of_seed_name_and_batch(backend):
    layer = noise(tops=["z", "w"], batch_sizes=[5, 2])
    with Net("net", backend, [layer], seed=9) as net:
        for number in range(3):
            net.forward()
            for top, n in (("z", 5), ("w", 2)):
                expected = normal(9, stream_of("random-normal", "noise", top), number, n * 12).reshape(n, 3, 4)
                np.testing.assert_array_equal(net.blobs[top], expected)
        net.feeds["noise"].seek(1)
        net.forward()
        np.testing.assert_array_equal(
            net.blobs["w"], normal(9, stream_of("random-normal", "noise", "w"), 1, 24).reshape(2, 3, 4)
        )


def test_they_are_normal_and_float32_by_default(backend):
    layer = RandomNormalLayer(output_dims=[100], batch_sizes=[1000], tops=["z"])
    with Net("net", backend, [layer]) as net:
        net.forward()
        z = net.blobs["z"]
        assert z.dtype == np.float32
        assert abs(z.mean()) < 0.02
        assert abs(z.var() - 1) < 0.02
        assert abs(np.mean(z < -1) - 0.1587) < 0.01
        with pytest.raises(StateError, match="so there are no epochs"):
            net.forward_epoch()
        assert not net.has_epochs
        assert "endless data in 'random-normal'" in str(net)


X = np.random.default_rng(0).standard_normal((20, 3, 4))


def noisy_net(backend, start=0.01):
    """A net with the noise before the data."""
    layers = [
        noise(),
        MemoryDataLayer(name="data", data=[X], tops=["x"], batch_size=5, shuffle=True),
        ElementWiseLayer(bottoms=["x", "z"], tops=["y"]),
        InnerProductLayer(
            name="ip", output_dim=12, weight_init=ConstantInitializer(start), bottoms=["y"], tops=["cleaned"]
        ),
        SquareLossLayer(name="loss", bottoms=["cleaned", "x"]),
    ]
    return Net("noisy", backend, layers)


def test_epochs_are_those_of_the_data(backend):
    with noisy_net(backend) as net:
        assert net.has_epochs
        net.forward_epoch()
        assert (net.epoch, net.feeds["noise"].position) == (1, 4)
        net.forward()
        np.testing.assert_array_equal(net.blobs["y"], net.blobs["x"] + net.blobs["z"])
        net.rewind()
        assert (net.epoch, net.feeds["noise"].position) == (0, 0)


def test_a_resumed_run_sees_the_same_noise(backend, tmp_path):
    def trained(*runs):
        backend.registry.reset()
        for max_iter, folder in runs:
            params = make_solver_parameters(
                SGD(), max_iter=max_iter, lr_policy=LRPolicy.Fixed(0.01), load_from=str(folder or "")
            )
            solver = Solver(SGD(), params)
            if folder:
                solver.add_coffee_break(Snapshot(folder), every_n_iter=4)
            # a run that goes on takes its weights from the snapshot, not from here
            with noisy_net(backend, 3.0 if max_iter == 8 and folder else 0.01) as net:
                solver.solve(net)
                weight = net.params["ip"]["weight"]
            backend.registry.reset()
        return weight

    whole = trained((8, None))
    (tmp_path / "s").mkdir()
    np.testing.assert_array_equal(trained((4, tmp_path / "s"), (8, tmp_path / "s")), whole)


def test_gradients_of_a_net_with_noise_are_checked(backend):
    layers = [
        noise(tops=["z", "w"], batch_sizes=[5, 3]),
        InnerProductLayer(name="ip", output_dim=2, bottoms=["z", "w"], tops=["a", "b"]),
        SquareLossLayer(name="first", bottoms=["a", "a2"]),
        SquareLossLayer(name="second", bottoms=["b", "b2"]),
        InnerProductLayer(name="other", output_dim=2, bottoms=["z", "w"], tops=["a2", "b2"]),
    ]
    with Net("net", backend, layers) as net:
        report = check_gradients(net)
    assert report.ok, report
    assert {"z", "w", "ip/weight"} <= {verdict.name for verdict in report.verdicts}


def test_types_must_agree(backend):
    data = MemoryDataLayer(name="data", data=[X], tops=["x"], batch_size=5)
    with pytest.raises(TopologyError, match="its data layers give float32, float64"):
        Net("net", backend, [noise(eltype="float32"), data])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"tops": []}, "tops is []; expected one or more distinct blob names"),
        ({"bottoms": ["a"]}, "bottoms is ['a']; expected none"),
        ({"output_dims": (3, 0)}, "output_dims is (3, 0); expected the positive extents"),
        ({"output_dims": 3}, "output_dims is 3; expected the positive extents"),
        ({"batch_sizes": 5}, "batch_sizes is 5; expected a positive number for each of the tops ['z']"),
        ({"batch_sizes": [5, 5]}, "expected a positive number for each of the tops ['z']"),
        ({"batch_sizes": [True]}, "batch_sizes is [True]"),
        ({"eltype": "int32"}, "eltype is 'int32'; expected float32 or float64"),
        ({"eltype": "number"}, "eltype is 'number'; expected float32 or float64"),
        ({"eltype": None}, "eltype is None; expected float32 or float64"),
    ],
)
def test_wrong_properties(changes, told):
    with pytest.raises(ConfigError) as error:
        noise(**changes)
    assert str(error.value).startswith("RandomNormalLayer('noise'): ")
    assert told in str(error.value)
