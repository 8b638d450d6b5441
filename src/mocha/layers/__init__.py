"""The layers that a net is declared with."""

from mocha.layers.base import Borrowed, Layer
from mocha.layers.batch_norm import BatchNormLayer, ScaleLayer
from mocha.layers.channel_pooling import ChannelPoolingLayer
from mocha.layers.computation import (
    ConcatLayer,
    DropoutLayer,
    ElementWiseFunctors,
    ElementWiseLayer,
    IdentityLayer,
    Pooling,
    PoolingLayer,
    PowerLayer,
    RandomMaskLayer,
    ReshapeLayer,
    SoftmaxLayer,
    SplitLayer,
)
from mocha.layers.crop import CropLayer
from mocha.layers.data import AsyncHDF5DataLayer, DataLayer, HDF5DataLayer, MemoryDataLayer, SourceLayer
from mocha.layers.index import ArgmaxLayer, Index2OnehotLayer
from mocha.layers.loss import (
    BinaryCrossEntropyLossLayer,
    GaussianKLLossLayer,
    HingeLossLayer,
    LossLayer,
    MultinomialLogisticLossLayer,
    SoftlabelSoftmaxLossLayer,
    SoftmaxLossLayer,
    SquareLossLayer,
)
from mocha.layers.measure import AccuracyLayer, BinaryAccuracyLayer
from mocha.layers.neurons import Neuron, Neurons
from mocha.layers.noise import RandomNormalLayer
from mocha.layers.norm import LRNLayer, LRNMode
from mocha.layers.output import HDF5OutputLayer, MemoryOutputLayer, OutputLayer
from mocha.layers.tied import TiedInnerProductLayer
from mocha.layers.trainable import ConvolutionLayer, InnerProductLayer, TrainableLayer
from mocha.layers.transport import WassersteinLossLayer

__all__ = [
    "AccuracyLayer", "ArgmaxLayer", "AsyncHDF5DataLayer", "BatchNormLayer", "Borrowed", "ChannelPoolingLayer",
    "ConcatLayer", "ConvolutionLayer", "CropLayer", "DataLayer", "DropoutLayer", "ElementWiseFunctors",
    "ElementWiseLayer", "HDF5DataLayer", "HDF5OutputLayer", "IdentityLayer", "Index2OnehotLayer", "InnerProductLayer",
    "LRNLayer", "LRNMode", "Layer", "LossLayer", "MemoryDataLayer", "MemoryOutputLayer", "Neuron", "Neurons",
    "OutputLayer", "Pooling", "PoolingLayer", "PowerLayer", "RandomMaskLayer", "RandomNormalLayer", "ReshapeLayer",
    "ScaleLayer", "SoftmaxLayer", "SoftmaxLossLayer", "SourceLayer", "SplitLayer", "SquareLossLayer",
    "TiedInnerProductLayer", "TrainableLayer", "BinaryAccuracyLayer", "BinaryCrossEntropyLossLayer",
    "GaussianKLLossLayer", "HingeLossLayer", "MultinomialLogisticLossLayer", "SoftlabelSoftmaxLossLayer",
    "WassersteinLossLayer",
]  # fmt: skip
