"""The catalogue: complete, and every entry right on every backend."""

import inspect

import pytest

import mocha
from mocha.backends import backend_types
from mocha.errors import BackendUnavailable
from mocha.layers import DataLayer, LossLayer, OutputLayer, SourceLayer, TrainableLayer
from mocha.testing import catalogue

ENTRIES = catalogue.entries()
BASES = {mocha.Layer, DataLayer, LossLayer, OutputLayer, SourceLayer, TrainableLayer}


def backends():
    works = ["numpy"]
    try:
        backend_types()["native"].describe()
    except BackendUnavailable:
        return works
    return [*works, "native"]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_entry(entry):
    row = catalogue.examine(entry, backends())
    assert row.ok, catalogue.report([row])
    assert row.gradients
    assert row.numpy
    assert row.native


def test_every_exported_layer_is_an_entry():
    exported = {
        cls
        for cls in map(mocha.layers.__dict__.get, mocha.layers.__all__)
        if inspect.isclass(cls) and issubclass(cls, mocha.Layer)
    }
    assert {entry.cls for entry in ENTRIES if entry.kind == "layer"} == exported - BASES


def test_the_counts_are_those_of_mocha():
    counts = {kind: sum(entry.kind == kind for entry in ENTRIES) for kind in {entry.kind for entry in ENTRIES}}
    assert counts == {
        "layer": 36,
        "neuron": 6,
        "initializer": 5,
        "regularizer": 3,
        "constraint": 2,
        "solver": 7,  # Mocha's five, RMSProp and AdamW
        "learning-rate policy": 6,
        "momentum policy": 4,
        "break": 5,  # Mocha's three, EarlyStopping and ProgressBar
        "transformer": 2,
    }


def test_names_lead_to_the_classes():
    for entry in ENTRIES:
        found = mocha
        for part in entry.name.split("."):
            found = getattr(found, part)
        assert found is entry.cls


def test_a_wrong_gradient_is_told(monkeypatch):
    from mocha.ops import Tanh

    monkeypatch.setattr(Tanh, "backward", lambda self, grads, inputs, outputs, wanted: grads[0])
    entry = next(entry for entry in ENTRIES if entry.name == "Neurons.Tanh")
    row = catalogue.examine(entry, ["numpy"])
    assert not row.ok
    assert "WRONG" in row.gradients
    assert "1 wrong" in catalogue.report([row])
