"""Shapes that straddle the blocking sizes of the native kernels.

The sizes that the kernels cut work into: vectors of 4, 8 and 16 floats (half as many doubles), panels of up to four
vectors of filters or units beside tiles of 6, 8 or 12 rows, 512 elements and 384 units of an inner product at a time,
panels of 128 KiB and slabs of 192 KiB of a convolution, matrices of filter gradients up to 1 MiB for each thread,
blocks of some dozen of Winograd's tiles, and a few thousand elements of pointwise work as what a thread is worth.
"""

import math

import numpy as np

from mocha.ops import (
    ELU,
    Abs,
    Add,
    AddBias,
    BinaryAccuracy,
    BinaryCrossEntropyLoss,
    Chain,
    ClassWeights,
    Clip,
    Convolution,
    Deconvolution,
    Dropout,
    Exp,
    GaussianKLLoss,
    HingeLoss,
    InnerProduct,
    L2Normalize,
    LeakyReLU,
    Maximum,
    MaxPooling,
    MeanPooling,
    MultinomialLogisticLoss,
    PReLU,
    ReduceMean,
    ReduceSum,
    ReLU,
    SelectRows,
    Sigmoid,
    SoftlabelSoftmaxLoss,
    Softmax,
    SoftmaxLoss,
    Softplus,
    Spec,
    SquareLoss,
    Standardize,
    StochasticPooling,
    StochasticPoolingMean,
    Swish,
    TakeRows,
    Tanh,
    Tile,
    TopK,
    Transpose,
    Window,
)
from mocha.testing import Case
from mocha.testing.case import apart, between, fixed, labels, number, spoiled

AROUND_VECTORS = (1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 23, 24, 31, 32, 33, 47, 48, 49, 63, 64, 65, 70)


def _chain(about, product, activation, inputs):
    """A product with its bias, and perhaps an activation, which all kernels compute by one call."""
    steps = (product, AddBias(), *([activation] if activation else []))
    op = Chain(steps, (2, 2, 1)[: len(steps)])
    return Case(about, op, inputs, checked=(), parameters=(1, 2))


# Activations only where results are few: one that is 0 but for rounding has a gradient here and none there.


def conv(
    n=1, c=3, size=(4, 5), k=4, kernel=(3, 3), stride=(1, 1), pad=(0, 0), dilation=(1, 1), groups=1, activation=None
):
    """A convolution with bias, and the gradients of all three inputs."""
    about = f"{n}x{c}x{size[0]}x{size[1]}, {k} of {kernel}"
    inputs = ((n, c, *size), (k, c // groups, *kernel), (k,))
    return _chain(about, Convolution(stride, pad, dilation, groups), activation, inputs)


def dense(n, d, k, activation=None):
    """An inner product with bias, and the gradients of all three inputs."""
    return _chain(f"{n}x{d}, {k} units", InnerProduct(), activation, ((n, d), (k, d), (k,)))


CONVOLUTIONS = {
    "channels": [conv(c=c, k=9, activation=ReLU()) for c in AROUND_VECTORS],
    "channels, no joined rows": [conv(c=c, k=9, dilation=(1, 2), size=(4, 6)) for c in AROUND_VECTORS],
    "filters": [conv(c=5, k=k) for k in (*AROUND_VECTORS, 66, 96, 97, 127, 128, 129)],
    "pixels": [
        conv(c=2, size=(1, width), k=k, kernel=(1, 2)) for k in (3, 20, 40, 60) for width in (*range(2, 16), 25, 26)
    ],
    "batch": [conv(n=n, c=c, k=7, pad=(1, 1)) for n in range(1, 6) for c in (1, 5, 17)],
    "1x1": [conv(n=2, c=c, k=k, kernel=(1, 1)) for c in (1, 4, 17, 70) for k in (1, 6, 33, 65)],
    "1x1, stride 2": [conv(n=2, c=c, k=c + 1, kernel=(1, 1), stride=(2, 2)) for c in (1, 15, 16, 17)],
    "panels in parts": [
        conv(c=64, size=(6, 5), k=70, kernel=(5, 3), activation=ReLU()),
        conv(c=180, size=(4, 4), k=64, kernel=(3, 3), activation=ReLU()),
        conv(c=300, size=(5, 5), k=33, kernel=(5, 3), pad=(1, 1), activation=ReLU()),
        conv(c=600, size=(3, 4), k=17, kernel=(3, 4), activation=ReLU()),
        conv(c=520, size=(3, 4), k=66, kernel=(2, 2), dilation=(1, 2), activation=ReLU()),
        conv(c=8, size=(13, 12), k=66, kernel=(11, 11), pad=(1, 0), activation=ReLU()),
    ],
    "slabs of some rows": [
        conv(c=32, size=(12, 200), k=6, pad=(1, 1)),
        conv(c=32, size=(13, 200), k=6, pad=(1, 1), stride=(2, 3)),
        conv(n=2, c=1, size=(230, 230), k=2, kernel=(5, 5), pad=(2, 2)),
    ],
    "large filter gradients": [
        conv(n=3, c=256, size=(4, 4), k=130),
        conv(n=2, c=130, size=(3, 4), k=260, pad=(1, 1)),
    ],
    "small images, many of them": [conv(n=n, c=4, size=(3, 3), k=5, pad=(1, 1)) for n in (15, 64, 65, 130)],
    "padding": [
        conv(size=(3, 3), pad=(20, 20)),
        conv(size=(3, 3), pad=(0, 9)),
        conv(size=(1, 1), pad=(7, 1), kernel=(4, 2)),
        conv(size=(2, 3), k=18, kernel=(2, 2), pad=(11, 5), stride=(5, 7)),
        conv(size=(2, 3), kernel=(1, 1), pad=(3, 3), stride=(2, 2)),
    ],
    "stride beyond the kernel": [
        conv(n=2, c=c, size=(19, 23), k=7, kernel=kernel, stride=(6, 5), pad=pad)
        for c in (3, 17)
        for kernel in ((2, 2), (1, 3))
        for pad in ((0, 0), (1, 2))
    ],
    "dilation": [
        conv(n=2, c=c, size=(15, 17), k=7, dilation=dilation, pad=(3, 2))
        for c in (1, 3, 17)
        for dilation in ((2, 1), (1, 2), (3, 4), (5, 5))
    ],
    "groups": [
        conv(n=2, c=groups * c, k=groups * k, groups=groups, pad=(1, 1))
        for groups in (2, 3, 5)
        for c in (1, 3, 16, 17)
        for k in (1, 4, 33)
    ],
    "depthwise": [conv(n=2, c=c, k=c * m, groups=c, pad=(1, 1)) for c in (*AROUND_VECTORS[:-6], 70) for m in (1, 2)],
    "depthwise, moves": [
        conv(n=2, c=c, k=c, groups=c, size=(9, 11), kernel=kernel, stride=stride, pad=pad, dilation=dilation)
        for c in (3, 18)
        for kernel in ((3, 3), (2, 5))
        for stride in ((1, 1), (2, 3), (6, 4))
        for pad, dilation in (((0, 0), (1, 1)), ((1, 2), (2, 1)), ((4, 7), (1, 2)))
    ],
    "depthwise, hardly an image": [
        conv(n=n, c=20, k=20, groups=20, size=size, kernel=(3, 3), pad=(3, 3), stride=stride, activation=ReLU())
        for n in (1, 3)
        for size in ((1, 1), (1, 4), (2, 1))
        for stride in ((1, 1), (3, 2))
    ],
    "one wide kernel": [conv(c=2, size=(3, 40), kernel=(1, 37)), conv(c=3, size=(40, 2), kernel=(39, 1), pad=(2, 0))],
}

BY_TILES = {
    "channels": [conv(c=c, k=9, activation=ReLU()) for c in AROUND_VECTORS],
    "filters": [conv(c=5, k=k) for k in (*AROUND_VECTORS, 66, 96, 97, 127, 128, 129)],
    "filters, 5x5": [conv(c=5, size=(6, 7), k=k, kernel=(5, 5), pad=(2, 2)) for k in (1, 15, 16, 17, 50, 64, 65)],
    "ends of tiles": [
        conv(n=2, c=3, size=(height, width), k=5, kernel=kernel, pad=pad)
        for kernel, pad in (((3, 3), (1, 1)), ((3, 3), (0, 0)), ((5, 5), (2, 2)))
        for height in (5, 6, 7, 8, 9)
        for width in (5, 8, 10, 11)
    ],
    "one pixel": [
        conv(n=n, c=c, size=(1, 1), k=c, kernel=(r, r), pad=(r // 2, r // 2))
        for n in (1, 3)
        for c in (1, 17)
        for r in (3, 5)
    ],
    "padding": [conv(size=(2, 3), k=5, kernel=(r, r), pad=pad) for r in (3, 5) for pad in ((9, 2), (2, 11), (4, 4))],
    "tiles in a block": [
        conv(c=2, size=(3, 4 * tiles + 2), k=18) for tiles in (1, 5, 6, 11, 12, 13, 23, 24, 25, 47, 48, 49, 100)
    ],
    "many blocks": [conv(n=n, c=9, size=(9, 10), k=20, pad=(1, 1)) for n in (15, 33)],
    "few tiles, many filters": [conv(c=16, size=(4, 4), k=200, pad=(1, 1)), conv(c=8, size=(3, 5), k=130)],
    "large filter gradients": [conv(n=3, c=100, size=(6, 5), k=100), conv(n=2, c=130, size=(3, 4), k=200, pad=(1, 1))],
    "groups": [
        conv(n=2, c=groups * c, k=groups * k, groups=groups, pad=(1, 1))
        for groups in (2, 3)
        for c in (1, 3, 16, 17)
        for k in (1, 4, 33)
    ],
}
"""Convolutions that may be computed by Winograd's tiles, whether that pays or not."""


def adjoints(cases):
    """The adjoints of convolutions: what was the output is the input."""
    for case in cases:
        op = case.op.steps[0]
        x, w = (Spec(shape, np.dtype(np.float32)) for shape in case.inputs[:2])
        y = op.infer(x, w).shape
        back = Deconvolution(op.stride, op.pad, op.dilation, op.groups)
        cut = [
            s * (n - 1) + e - 2 * p for n, s, e, p in zip(y[2:], op.stride, op.extent(w.shape[2:]), op.pad, strict=True)
        ]
        if min(cut) > 0:
            yield Case(case.about, back, (y, w.shape), checked=(), parameters=(1,))


TILES_TOLERANCE = 4e-5
"""Tiles round a few times more than plain sums, for which the usual bound of 1.2e-5 is made."""

DENSE = {
    "features": [dense(5, d, 7, LeakyReLU(0.1)) for d in (*AROUND_VECTORS, 96, 127, 128, 129)],
    "units": [dense(5, 6, k) for k in (*AROUND_VECTORS, 96, 127, 128, 129)],
    "examples": [dense(n, 9, 5) for n in range(1, 28)],
    "features in parts": [dense(n, d, 7, ReLU()) for n in (1, 5) for d in (511, 512, 513, 520, 1024, 1025, 1540)],
    "units in parts": [dense(n, d, k) for n, d in ((3, 5), (13, 70)) for k in (383, 384, 385, 768, 769)],
    "tiles": [dense(n, d, k, ReLU()) for n in (2, 4, 9) for d in (1, 17, 65) for k in (2, 6, 13, 34)],
}


# -- the families without products

WINDOWS = [((2, 2), (2, 2), (0, 0)), ((3, 3), (2, 2), (0, 0)), ((3, 3), (1, 1), (1, 1)), ((2, 4), (3, 1), (1, 2))]


def poolings():
    """Channels around the lengths of vectors."""
    for window in WINDOWS:
        for channels in range(1, 36):
            shape = (2, channels, 5, 6)
            yield Case(f"{channels} channels, {window}", MaxPooling(*window), (apart(*shape),))
            yield Case(f"{channels} channels, {window}", MeanPooling(*window), (shape,))
            drawn = StochasticPooling(*window[:2], stream=3), between(0.1, 1, *shape), number(3), number(9)
            yield Case(f"{channels} channels, {window[:2]}", drawn[0], drawn[1:], checked=())
            yield Case(f"{channels} channels, {window[:2]}", StochasticPoolingMean(*window[:2]), drawn[1:2])


_CLASSES = ClassWeights.of([0.5, 1.0, 3.0])


def _ones(n):
    """As many class weights, the first of which is 3."""
    return ClassWeights.of([3.0] + [1.0] * (n - 1), "no")


def lengths():
    """Elements around the lengths of vectors, and around what is worth a thread."""
    for n in (*range(70), 4095, 4096, 4097, 8193, 16385, 33000):
        for op in (ReLU(), LeakyReLU(), Sigmoid(), Tanh(), Exp(), Abs(), ELU(), Softplus(), Swish(), Clip(-1, 1)):
            yield Case(f"{n} elements, {op}", op, ((n,),), checked=())
    for n in (*range(1, 36), 63, 64, 65, 127, 129, 4097, 16390):
        for op, *inputs in (
            (Add(), (n,), (n,)),
            (Dropout(0.3, 1 / 0.7, 5), (n,), number(3), number(9)),
            (ReduceSum(), (n,)),
            (ReduceMean((0,)), (3, n)),
            (ReduceSum((1,)), (3, n)),
            (Softmax(), (3, n)),
            (Softmax(), (2, 3, 1, n)),
            (SoftmaxLoss(), (3, n), labels(3, classes=n)),
            (SoftmaxLoss(), (2, 3, 1, n), labels(2, 1, n, classes=3)),
            (SoftmaxLoss(weights=_CLASSES), (2, 3, 1, n), labels(2, 1, n, classes=3)),
            (SoftmaxLoss(weights=_ones(n)), (3, n), labels(3, classes=n)),
            (MultinomialLogisticLoss(weights=_CLASSES), between(0.1, 1, 2, 3, 1, n), labels(2, 1, n, classes=3)),
            (SquareLoss(), (2, n), (2, n)),
            (SoftlabelSoftmaxLoss(), (3, n), between(0, 1, 3, n)),
            (SoftlabelSoftmaxLoss(), (2, 3, 1, n), between(0, 1, 2, 3, 1, n)),
            (BinaryCrossEntropyLoss(), between(0.1, 0.9, 2, n), between(0.1, 0.9, 2, n)),
            (HingeLoss(), (2, n), (2, n)),
            (GaussianKLLoss(), (2, n), between(0.2, 2, 2, n)),
            (BinaryAccuracy(), (2, n), (2, n)),
            (Maximum(), (2, n), (2, n), (2, n)),
            (PReLU(), (3, n), (n,)),
            (PReLU(), (2, 3, n), (3,)),
            (PReLU(), (2, 3, n), ()),
            (Tile(1, 2), (3, n)),
            (Window((1, 1), (2, n - 1)), (3, n)),
            (Transpose((1, 0)), (3, n)),
            (Transpose((2, 1, 0)), (5, 3, n)),
            (Transpose((2, 1, 0)), (n, 2, 5)),
            (TakeRows(), (4, n), labels(9, classes=4)),
            (SelectRows(2), (3, n), fixed([1.0, 0.0, 2.0])),
            (TopK(n // 2 + 1), (2, n)),
            (TopK(2), (2, 3, n)),
            (Standardize(eps=0.1), (3, n)),
            (L2Normalize(eps=0.1), (3, n)),
            (L2Normalize(), (2, 3, n)),
            (AddBias(), (3, n), (n,)),
            (AddBias(), (2, 3, n), (3,)),
        ):
            yield Case(f"{n} elements, {op}", op, tuple(inputs), checked=())


# -- NaN and infinity

NAN, INF = math.nan, math.inf
_IMAGE, _FILTER = (2, 5, 6, 5), (19, 5, 3, 3)
_PADDED = Convolution(pad=(1, 1))


def _fused(product, activation, case):
    return Case(f"with {activation}", Chain((product, AddBias(), activation), (2, 2, 1)), case, checked=())


SPOILED = [
    *(
        Case(f"{value} in the {what}", op, (spoiled(x, value, 7, 61), spoiled(w, value, *places)), checked=())
        for value in (NAN, INF, -INF)
        for op, x, w in (
            (_PADDED, _IMAGE, _FILTER),
            (Convolution(stride=(2, 2)), _IMAGE, _FILTER),
            (Convolution(pad=(1, 2)), (2, 5, 8, 11), (18, 5, 5, 5)),
            (Convolution(), (2, 5, 4, 4), (33, 5, 1, 1)),
            (InnerProduct(), (7, 37), (19, 37)),
        )
        for what, places in (("input", ()), ("input and filter", (3, 50)))
    ),
    *(
        _fused(product, activation, (spoiled(x, value, 7, 61), w, (19,)))
        for value in (NAN, INF, -INF)
        for product, x, w in ((_PADDED, _IMAGE, _FILTER), (InnerProduct(), (7, 37), (19, 37)))
        for activation in (ReLU(), ReLU(0.25), LeakyReLU(0.1))
    ),
    *(
        Case(f"{value}, {channels} channels", op, (spoiled((1, channels, 5, 6), value, 0, 8, 31),), checked=())
        for value in (NAN, INF, -INF)
        for channels in (2, 19)
        for op in (
            MaxPooling((2, 2), (2, 2)),
            MaxPooling((3, 3), (2, 2), (1, 1)),
            MaxPooling((3, 2), (1, 1)),
            MeanPooling((2, 2), (2, 2)),
            MeanPooling((3, 3), (2, 2), (1, 1)),
        )
    ),
    *(
        Case(f"{value}", op, (spoiled((37,), value, 0, 15, 36),), checked=())
        for value in (NAN, INF, -INF)
        for op in (ReLU(), ReLU(-1.0), LeakyReLU())
    ),
]
