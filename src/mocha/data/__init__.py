"""Data: sources of batches, the order of samples, transformers, and a feed that fetches ahead."""

from mocha.data.feed import Feed
from mocha.data.hdf5 import HDF5Source
from mocha.data.idx import read_idx
from mocha.data.memory import MemorySource
from mocha.data.mnist import convert_mnist, download_mnist, find_mnist, load_digits, load_mnist, write_digits
from mocha.data.noise import NormalSource
from mocha.data.order import Piece
from mocha.data.samples import Samples
from mocha.data.sinks import HDF5Sink, MemorySink, Sink
from mocha.data.source import Source
from mocha.data.transformers import DataTransformers, Transformer

__all__ = [
    "DataTransformers", "Feed", "HDF5Sink", "HDF5Source", "MemorySink", "MemorySource", "NormalSource", "Piece",
    "Samples", "Sink", "Source", "Transformer",
    "convert_mnist", "download_mnist", "find_mnist", "load_digits", "load_mnist", "read_idx", "write_digits",
]  # fmt: skip
