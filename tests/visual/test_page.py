from html.parser import HTMLParser

import numpy as np
import pytest

from mocha.backends import Backend
from mocha.coffee import TrainingSummary
from mocha.layers import InnerProductLayer, MemoryDataLayer, SquareLossLayer
from mocha.models import find_model
from mocha.net import Net, Predictor
from mocha.solvers import SGD, LRPolicy, Solver, make_solver_parameters
from mocha.visual import Statistics

EVIL = "</td></svg><script>alert(1)</script><img src=x onerror='alert(\"1\")'>&\x00]]>"
VOID = {"br", "img", "hr", "meta", "link", "input"}


class Checker(HTMLParser):
    """Notes which elements there are, and that each is closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.said, self.wrong = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.wrong += [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}>")

    def handle_data(self, data):
        self.said.append(data)


def checked(thing):
    found = Checker(thing._repr_html_())
    assert found.wrong == []
    assert found.open == []
    assert not {"script", "img"} & set(found.seen)
    return found


@pytest.fixture
def backend():
    with Backend("numpy") as made:
        yield made


def evil_net(backend):
    data = np.arange(12, dtype=np.float32).reshape(4, 3)
    return Net(EVIL, backend, [
        MemoryDataLayer(name="d" + EVIL, data=[data, data], batch_size=4, tops=[EVIL, "y"]),
        InnerProductLayer(name=EVIL, output_dim=3, bottoms=[EVIL], tops=["t" + EVIL]),
        SquareLossLayer(name="l" + EVIL, bottoms=["t" + EVIL, "y"]),
    ])  # fmt: skip


def test_a_net(backend, monkeypatch):
    model = find_model("lenet")
    with Net("mine", backend, model.training(*model.noise(4), batch=4)) as net:
        page = checked(net)
        said = " ".join(page.said)
        for words in ("net 'mine' on the numpy backend", "431,080 parameters", "filter 20x1x5x5", "SoftmaxLoss"):
            assert words in said
        monkeypatch.setenv("PATH", "")
        assert "svg" not in checked(net).seen
        assert "table" in checked(net).seen


def test_a_net_is_drawn_in_the_page(backend, dot):
    with evil_net(backend) as net:
        assert "svg" in checked(net).seen
        assert "<!--" not in net._repr_html_(), "Graphviz's comments"


def test_a_large_net_is_not_drawn(backend):
    model = find_model("resnet50")
    with Net("large", backend, model.training(*model.noise(1), batch=1)) as net:
        page = net._repr_html_()
    assert "svg" not in checked(net).seen
    assert len(page) < 250_000


def test_foreign_names(backend):
    net = evil_net(backend)
    checked(net)
    checked(net.program)
    checked(Predictor(net, "t" + EVIL))
    solver = Solver(SGD(), make_solver_parameters(SGD(), max_iter=3, lr_policy=LRPolicy.Fixed(0.001)))
    solver.add_coffee_break(TrainingSummary(), every_n_iter=1)
    state = solver.solve(net)
    solver.lounge.update_statistics(EVIL, 3.0)
    for thing in (state, solver, solver.lounge, solver.lounge.statistics):
        checked(thing)
    assert "objective" in checked(state).said
    assert "TrainingSummary" in checked(solver).said
    assert "every 1 iterations" in checked(solver).said


def test_a_net_whose_backend_is_gone(backend):
    net = evil_net(backend)
    backend.shutdown()
    assert "net" in " ".join(checked(net).said)


def test_statistics():
    page = checked(Statistics({"obj_val": {0: 2.5, 10: 0.125}, EVIL: {0: 1.0}}))
    for words in ("obj_val", "0 to 10", "2.5", "0.125", "2 statistics"):
        assert words in page.said
    assert checked(Statistics()).said == ["0 statistics"]


def test_statistics_with_curves():
    pytest.importorskip("matplotlib")
    assert "svg" in checked(Statistics({"obj_val": {i: 1.0 / (i + 1) for i in range(10_000)}})).seen
    assert len(Statistics({"obj_val": {i: 1.0 / (i + 1) for i in range(10_000)}})._repr_html_()) < 100_000


def test_statistics_without_matplotlib(monkeypatch):
    from mocha.errors import MochaError
    from mocha.visual import page

    def none(*sizes):
        raise MochaError("no matplotlib")

    monkeypatch.setattr(page, "new_figure", none)
    assert "svg" not in checked(Statistics({"obj_val": {0: 2.5, 10: 0.125}})).seen
