"""Caffe's nets, weights and solvers: their files, and the Python interface that they were used through."""

from mocha.caffe import coord_map, draw, io, net_spec, proto
from mocha.caffe.net_spec import NetSpec, layers, params, to_proto
from mocha.caffe.nets import parse_net, parse_solver, read_net, read_solver, write_net
from mocha.caffe.proto import caffe_pb2
from mocha.caffe.states import SolverState, read_mean, read_state, write_mean, write_state
from mocha.caffe.unknown import UnknownField, UnknownFieldWarning
from mocha.caffe.weights import read_weights, read_weights_net, write_weights

TRAIN: int = caffe_pb2.TRAIN
TEST: int = caffe_pb2.TEST

__all__ = [
    "TRAIN", "TEST", "NetSpec", "SolverState", "UnknownField", "UnknownFieldWarning", "coord_map", "draw", "io",
    "layers", "net_spec", "params", "parse_net", "parse_solver", "proto", "read_mean", "read_net", "read_solver",
    "read_state", "read_weights", "read_weights_net", "to_proto", "write_mean", "write_net", "write_state",
    "write_weights",
]  # fmt: skip
