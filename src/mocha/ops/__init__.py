"""The op catalogue, one family a file. The reference definitions: every backend agrees with them."""

from mocha.ops.activation import ELU, Clip, PReLU, Softplus, Swish, Threshold
from mocha.ops.adaptive import AdadeltaStep, AdagradStep, AdamStep, RmsPropStep
from mocha.ops.arrange import Tile, Transpose, Window
from mocha.ops.base import Array, Op, Shape, Spec
from mocha.ops.batch_norm import BatchNormTest, BatchNormTrain, MovingAverage, ScaleChannels
from mocha.ops.batch_norm_unit import BatchNormUnit
from mocha.ops.class_weights import ClassWeights
from mocha.ops.compound import Chain, Gradient
from mocha.ops.constant import Constant
from mocha.ops.contrastive import ContrastiveLoss
from mocha.ops.conv import Convolution, Deconvolution
from mocha.ops.crop import Crop
from mocha.ops.dense import InnerProduct, TransposedInnerProduct
from mocha.ops.detection import BoxCode, DetectionOutput
from mocha.ops.gather import SelectRows, TakeRows, Unpool
from mocha.ops.index import Argmax, OneHot, TopK
from mocha.ops.label_loss import InfogainLoss, MulticlassHingeLoss, RankAccuracy
from mocha.ops.loss import Accuracy, MultinomialLogisticLoss, SoftmaxLoss
from mocha.ops.maximum import Maximum
from mocha.ops.norm import LRN
from mocha.ops.pair_loss import (
    BinaryAccuracy,
    BinaryCrossEntropyLoss,
    GaussianKLLoss,
    HingeLoss,
    SoftlabelSoftmaxLoss,
    SquareLoss,
)
from mocha.ops.pointwise import (
    Abs,
    Add,
    AddBias,
    Divide,
    Exp,
    LeakyReLU,
    Log,
    Multiply,
    Power,
    ReLU,
    Scale,
    Sigmoid,
    Subtract,
    Sum,
    Tanh,
)
from mocha.ops.pool import MaxPooling, MeanPooling, WinnerPlaces
from mocha.ops.pool_along import MaxPoolingAlong, MeanPoolingAlong
from mocha.ops.prior_box import PriorBox
from mocha.ops.random import Dropout
from mocha.ops.recurrent import LSTM, RNN, LstmUnit
from mocha.ops.reduce import ReduceMean, ReduceSum, ReduceSumOfSquares
from mocha.ops.resize import ResizeBilinear, UpsampleNearest
from mocha.ops.roi_pool import RoiPooling
from mocha.ops.shape import Concat, Fill, Identity, Recast, Reorder, Reshape, Slice, StopGradient
from mocha.ops.sigmoid_loss import SigmoidCrossEntropyLoss
from mocha.ops.softmax import Softmax
from mocha.ops.standardize import L2Normalize, Standardize
from mocha.ops.stochastic_pool import StochasticPooling, StochasticPoolingMean
from mocha.ops.transport import GroundMetric, WassersteinLoss
from mocha.ops.unfold import Unfold
from mocha.ops.update import ClipByNorm, GlobalNorm, L1Decay, L2Decay, L2NormConstraint, NesterovStep, SgdStep

__all__ = [
    "Array", "Op", "Shape", "Spec", "Chain", "Gradient",
    "Convolution", "Deconvolution", "Unfold", "InnerProduct", "TransposedInnerProduct",
    "MaxPooling", "MeanPooling", "WinnerPlaces", "StochasticPooling", "StochasticPoolingMean",
    "Abs", "Add", "AddBias", "Divide", "Exp", "LeakyReLU", "Log", "Multiply", "Power", "ReLU", "Scale", "Sigmoid",
    "Subtract", "Sum", "Tanh",
    "Clip", "ELU", "Maximum", "PReLU", "Softplus", "Swish", "Threshold",
    "ReduceMean", "ReduceSum", "ReduceSumOfSquares", "Softmax",
    "LRN", "BatchNormTest", "BatchNormTrain", "BatchNormUnit", "MovingAverage", "ScaleChannels", "L2Normalize",
    "Standardize",
    "Accuracy", "ClassWeights", "MultinomialLogisticLoss", "SoftmaxLoss", "SquareLoss",
    "BinaryAccuracy", "BinaryCrossEntropyLoss", "GaussianKLLoss", "HingeLoss", "SoftlabelSoftmaxLoss",
    "ContrastiveLoss", "InfogainLoss", "MulticlassHingeLoss", "RankAccuracy", "SigmoidCrossEntropyLoss",
    "GroundMetric", "WassersteinLoss",
    "Concat", "Constant", "Fill", "Identity", "Recast", "Reorder", "Reshape", "Slice", "StopGradient", "Dropout",
    "Tile", "Transpose", "Window",
    "MaxPoolingAlong", "MeanPoolingAlong",
    "Crop",
    "Argmax", "OneHot", "SelectRows", "TakeRows", "Unpool", "TopK",
    "ResizeBilinear", "UpsampleNearest",
    "RoiPooling",
    "PriorBox", "BoxCode", "DetectionOutput",
    "LSTM", "LstmUnit", "RNN",
    "ClipByNorm", "GlobalNorm", "L1Decay", "L2Decay", "L2NormConstraint", "NesterovStep", "SgdStep",
    "AdadeltaStep", "AdagradStep", "AdamStep", "RmsPropStep",
]  # fmt: skip
