"""Mocha for Python: nets as layers over named blobs, solvers, coffee breaks, HDF5, and backends that switch.

`from mocha import *` gives the names of Mocha's own scripts.
"""

from mocha.backends import Backend, DefaultBackend, get_num_threads, set_num_threads
from mocha.coffee import (
    EarlyStopping,
    ProgressBar,
    Snapshot,
    TrainingSummary,
    ValidationPerformance,
    read_statistics,
    setup_coffee_lounge,
)
from mocha.data import DataTransformers, Transformer
from mocha.errors import (
    BackendUnavailable,
    ConfigError,
    FormatError,
    MochaError,
    ShapeError,
    StateError,
    TopologyError,
)
from mocha.graph import Graph, Phase
from mocha.layers import (
    AccuracyLayer,
    ArgmaxLayer,
    AsyncHDF5DataLayer,
    ChannelPoolingLayer,
    ConcatLayer,
    ConvolutionLayer,
    CropLayer,
    DropoutLayer,
    ElementWiseFunctors,
    ElementWiseLayer,
    HDF5DataLayer,
    HDF5OutputLayer,
    IdentityLayer,
    Index2OnehotLayer,
    InnerProductLayer,
    Layer,
    LRNLayer,
    LRNMode,
    MemoryDataLayer,
    MemoryOutputLayer,
    Neuron,
    Neurons,
    Pooling,
    PoolingLayer,
    PowerLayer,
    RandomMaskLayer,
    RandomNormalLayer,
    ReshapeLayer,
    SoftmaxLayer,
    SoftmaxLossLayer,
    SplitLayer,
    SquareLossLayer,
    TiedInnerProductLayer,
)
from mocha.net import Net, Predictor, load_network, save_network
from mocha.ops import Op, Spec
from mocha.parameters import (
    ConstantInitializer,
    Constraint,
    GaussianInitializer,
    Initializer,
    L1Regu,
    L2Cons,
    L2Regu,
    NoCons,
    NoRegu,
    NullInitializer,
    OrthogonalInitializer,
    ParameterSpec,
    Regularizer,
    XavierInitializer,
)
from mocha.solvers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    CoffeeBreak,
    LRPolicy,
    MomPolicy,
    Nesterov,
    Policy,
    RMSProp,
    Solver,
    SolverMethod,
    make_solver_parameters,
)
from mocha.verbs import (
    add_coffee_break,
    backward,
    destroy,
    finalize_solve,
    forward,
    forward_backward,
    forward_epoch,
    freeze,
    freeze_all,
    init,
    init_solve,
    onestep_solve,
    registry_reset,
    setup,
    shutdown,
    solve,
    unfreeze,
    unfreeze_all,
)

__version__ = "0.1.0"

__all__ = [
    "Backend", "DefaultBackend", "get_num_threads", "set_num_threads", "init", "shutdown", "registry_reset", "Net",
    "Predictor", "destroy", "forward", "backward", "forward_backward", "forward_epoch", "freeze", "unfreeze",
    "freeze_all", "unfreeze_all", "load_network", "save_network", "Layer", "AccuracyLayer", "AsyncHDF5DataLayer",
    "ConcatLayer", "ConvolutionLayer", "DropoutLayer", "ElementWiseLayer", "ElementWiseFunctors", "HDF5DataLayer",
    "HDF5OutputLayer", "MemoryOutputLayer",
    "IdentityLayer", "InnerProductLayer", "LRNLayer", "LRNMode", "MemoryDataLayer", "Pooling", "PoolingLayer",
    "ReshapeLayer", "SoftmaxLayer", "SoftmaxLossLayer", "SquareLossLayer", "PowerLayer", "RandomMaskLayer",
    "SplitLayer", "ArgmaxLayer", "Index2OnehotLayer", "CropLayer", "TiedInnerProductLayer", "ChannelPoolingLayer",
    "RandomNormalLayer", "DataTransformers", "Transformer", "Neuron", "Neurons", "Initializer", "NullInitializer",
    "ConstantInitializer", "XavierInitializer", "GaussianInitializer", "OrthogonalInitializer", "Regularizer", "NoRegu",
    "L1Regu", "L2Regu", "Constraint", "NoCons", "L2Cons", "ParameterSpec", "SGD", "Nesterov", "Adam", "AdamW",
    "Adagrad", "Adadelta", "RMSProp", "SolverMethod", "Solver", "make_solver_parameters", "Policy", "LRPolicy",
    "MomPolicy", "solve", "init_solve", "onestep_solve", "finalize_solve", "CoffeeBreak", "EarlyStopping",
    "ProgressBar", "Snapshot", "TrainingSummary", "ValidationPerformance", "add_coffee_break", "read_statistics",
    "setup", "setup_coffee_lounge", "Graph", "Op", "Phase", "Spec", "MochaError", "BackendUnavailable", "ConfigError",
    "FormatError", "ShapeError", "StateError", "TopologyError",
]  # fmt: skip
