"""Caffe's nets, weights and solvers, with pycaffe's interface: `import mocha.caffe as caffe`."""

from mocha.caffe import classifier, coord_map, draw, io, net_spec, proto
from mocha.caffe.bridge import mocha_layers, mocha_net
from mocha.caffe.classifier import Classifier, Detector
from mocha.caffe.layer_types import TYPES, allow_python_layers
from mocha.caffe.layer_types import PythonLayer as Layer
from mocha.caffe.mode import (
    Timer,
    has_nccl,
    init_log,
    log,
    set_device,
    set_mode_cpu,
    set_mode_gpu,
    set_multiprocess,
    set_random_seed,
    set_solver_count,
    set_solver_rank,
    solver_count,
    solver_rank,
)
from mocha.caffe.net import Net
from mocha.caffe.net_spec import NetSpec, layers, params, to_proto
from mocha.caffe.nets import parse_net, parse_solver, read_net, read_solver, write_net
from mocha.caffe.proto import caffe_pb2
from mocha.caffe.solver import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    Solver,
    get_solver,
)
from mocha.caffe.standin import run_script, stand_in
from mocha.caffe.states import SolverState, read_mean, read_state, write_mean, write_state
from mocha.caffe.unknown import UnknownField, UnknownFieldWarning
from mocha.caffe.weights import read_weights, read_weights_net, write_weights

TRAIN: int = caffe_pb2.TRAIN
TEST: int = caffe_pb2.TEST
__version__ = "1.0.0"  # of the Caffe whose interface this is


def layer_type_list() -> list[str]:
    """The types of layers that a net may have, sorted."""
    return sorted(TYPES)


__all__ = [
    "TRAIN", "TEST", "Net", "Layer", "NetSpec", "layers", "params", "to_proto", "layer_type_list",
    "Solver", "SGDSolver", "NesterovSolver", "AdaGradSolver", "RMSPropSolver", "AdaDeltaSolver", "AdamSolver",
    "get_solver", "mocha_net", "mocha_layers", "Classifier", "Detector", "Timer",
    "set_mode_cpu", "set_mode_gpu", "set_device", "set_random_seed", "solver_count", "set_solver_count", "solver_rank",
    "set_solver_rank", "set_multiprocess", "has_nccl", "init_log", "log", "allow_python_layers", "stand_in",
    "run_script",
    "classifier", "coord_map", "draw", "io", "net_spec", "proto",
    "SolverState", "UnknownField", "UnknownFieldWarning", "parse_net", "parse_solver", "read_mean", "read_net",
    "read_solver", "read_state", "read_weights", "read_weights_net", "write_mean", "write_net", "write_state",
    "write_weights",
]  # fmt: skip
