"""Data: sources of batches, the order of samples, transformers, a feed that fetches ahead, and conversions to HDF5."""

from mocha.data.converters.cifar10 import convert_cifar10, download_cifar10, find_cifar10, load_cifar10
from mocha.data.converters.idx import read_idx
from mocha.data.converters.images import convert_images
from mocha.data.converters.jobs import Converted
from mocha.data.converters.mean import write_mean
from mocha.data.converters.mnist import (
    convert_mnist,
    download_mnist,
    find_mnist,
    load_digits,
    load_mnist,
    write_digits,
)
from mocha.data.converters.tables import convert_csv
from mocha.data.feed import Feed
from mocha.data.hdf5 import HDF5Source
from mocha.data.memory import MemorySource
from mocha.data.noise import NormalSource
from mocha.data.order import Piece
from mocha.data.samples import Samples
from mocha.data.sinks import HDF5Sink, MemorySink, Sink
from mocha.data.source import Source
from mocha.data.transformers import DataTransformers, Transformer

__all__ = [
    "DataTransformers", "Feed", "HDF5Sink", "HDF5Source", "MemorySink", "MemorySource", "NormalSource", "Piece",
    "Samples", "Sink", "Source", "Transformer",
    "Converted", "convert_cifar10", "convert_csv", "convert_images", "convert_mnist", "download_cifar10",
    "download_mnist", "find_cifar10", "find_mnist", "load_cifar10", "load_digits", "load_mnist", "read_idx",
    "write_digits", "write_mean",
]  # fmt: skip
