"""Every executable tells the time of its nodes, and profiling is running."""

import numpy as np
import pytest

from mocha.backends import Backend, BackendUnavailable
from mocha.errors import ShapeError, StateError
from mocha.graph import Section
from mocha.models import find_model
from mocha.net import Net
from mocha.solvers import SGD, Solver, make_solver_parameters


@pytest.fixture(params=["numpy", "native"])
def backend(request):
    try:
        backend = Backend(request.param)
    except BackendUnavailable as error:
        pytest.skip(str(error))
    with backend:
        yield backend


@pytest.fixture
def training(backend):
    """The training executable of a small LeNet after its first forward, the net and the solver's state."""
    model = find_model("lenet")
    with Net("profile", backend, model.training(*model.noise(6), batch=2), seed=3) as net:
        solver = Solver(SGD(), make_solver_parameters(SGD()))
        state = solver.init_solve(net)
        yield state.executable, net
        solver.finalize_solve(net, state)


def test_nodes_in_their_order(training):
    executable, net = training
    times = executable.profile(*Section, feeds=net.next_batch())
    order = {node: i for i, node in enumerate(executable.program.nodes)}
    places = [order[node] for node, _ in times]
    assert places == sorted(places)
    assert all(seconds >= 0 for _, seconds in times)
    assert {node.section for node, _ in times} == set(Section)
    heavy = {node for node in executable.program.nodes if "Convolution" in node.op.name}
    assert heavy <= {node for node, _ in times}


def test_sections_in_the_order_given(training):
    executable, net = training
    times = executable.profile(Section.BACKWARD, Section.UPDATE, Section.FORWARD, feeds=net.next_batch())
    sections = [node.section for node, _ in times]
    assert list(dict.fromkeys(sections)) == [Section.BACKWARD, Section.UPDATE, Section.FORWARD]


def test_it_computes_what_run_does(backend):
    model = find_model("mlp")
    data, labels = model.noise(4)
    with Net("profile", backend, model.training(data, labels, batch=4), seed=3) as net:
        batch = net.next_batch()
        net.forward(feeds=batch)
        net.backward()
        expected = {name: net.gradients[name] for name in net.gradients}
        scores = net.blobs["out"]
        net.last.profile(Section.FORWARD, Section.BACKWARD, feeds=batch)
        assert np.array_equal(net.blobs["out"], scores)
        for name, gradient in expected.items():
            assert np.array_equal(net.gradients[name], gradient), name


def test_inputs_are_needed_to_go_forward_only(training):
    executable, net = training
    assert executable.profile(Section.BACKWARD)
    with pytest.raises(StateError, match="no array for the input 'data'"):
        executable.profile(Section.FORWARD)
    batch = net.next_batch()
    with pytest.raises(ShapeError, match="input 'data'"):
        executable.profile(Section.FORWARD, feeds={**batch, "data": batch["data"][:1]})
