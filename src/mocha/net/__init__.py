"""Nets: topology, blobs by name, forward, backward, printing, and parameters to and from files."""

from mocha.net.net import Net
from mocha.net.predictor import Predictor
from mocha.net.trial import run_layers
from mocha.net.weights import assign_parameters, load_network, network_parameters, save_network

__all__ = ["Net", "Predictor", "assign_parameters", "load_network", "network_parameters", "run_layers", "save_network"]
