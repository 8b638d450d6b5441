"""Cases of convolution and its adjoint: each stride, padding, dilation and grouping, one to three axes, edges."""

from __future__ import annotations

from mocha.ops import Convolution, Deconvolution, Shape
from mocha.testing.case import Case


def _case(about: str, x: Shape, w: Shape, op: Convolution | Deconvolution, *, stored: bool = True) -> Case:
    return Case(about, op, (x, w), parameters=(1,) if stored else ())


CASES: list[Case] = [
    _case("3x3", (2, 3, 6, 5), (4, 3, 3, 3), Convolution()),
    _case("filter handed in", (2, 3, 6, 5), (4, 3, 3, 3), Convolution(), stored=False),
    _case("1x1", (2, 5, 4, 3), (6, 5, 1, 1), Convolution()),
    _case("1x1, stride 2", (2, 3, 5, 6), (4, 3, 1, 1), Convolution(stride=(2, 2))),
    _case("1x1, padded", (1, 2, 3, 3), (3, 2, 1, 1), Convolution(pad=(1, 1))),
    _case("one pixel", (2, 3, 1, 1), (4, 3, 1, 1), Convolution()),
    _case("one pixel, padded to the filter", (2, 3, 1, 1), (4, 3, 3, 3), Convolution(pad=(1, 1))),
    _case("filter of the image's size", (2, 3, 4, 5), (4, 3, 4, 5), Convolution()),
    _case("one channel, one example", (1, 1, 7, 7), (2, 1, 5, 5), Convolution()),
    _case("one filter", (2, 4, 5, 5), (1, 4, 3, 3), Convolution(pad=(1, 1))),
    _case("same size", (2, 3, 5, 6), (4, 3, 3, 3), Convolution(pad=(1, 1))),
    _case("5x5, pad 2", (1, 2, 7, 6), (3, 2, 5, 5), Convolution(pad=(2, 2))),
    _case("pad larger than the filter", (1, 2, 3, 3), (2, 2, 2, 2), Convolution(pad=(3, 3))),
    _case("stride 2", (2, 2, 7, 7), (3, 2, 3, 3), Convolution(stride=(2, 2))),
    _case("stride 2, cells left over", (2, 2, 8, 6), (3, 2, 3, 3), Convolution(stride=(2, 2))),
    _case("stride 2, pad 1", (2, 2, 8, 7), (3, 2, 3, 3), Convolution(stride=(2, 2), pad=(1, 1))),
    _case("stride larger than the filter", (2, 2, 9, 8), (3, 2, 2, 2), Convolution(stride=(4, 3))),
    _case("rectangles", (2, 2, 7, 9), (3, 2, 2, 4), Convolution(stride=(1, 3), pad=(0, 2))),
    _case("dilation 2", (1, 2, 7, 8), (3, 2, 3, 3), Convolution(dilation=(2, 2))),
    _case("dilation 3 and 1, pad 2, stride 2", (1, 2, 8, 7), (3, 2, 3, 2), Convolution((2, 2), (2, 2), (3, 1))),
    _case("2 groups", (2, 4, 5, 5), (6, 2, 3, 3), Convolution(groups=2)),
    _case("3 groups, pad 1, stride 2", (2, 6, 5, 6), (3, 2, 3, 3), Convolution((2, 2), (1, 1), groups=3)),
    _case("groups, 1x1", (2, 4, 3, 3), (6, 2, 1, 1), Convolution(groups=2)),
    _case("depthwise", (2, 5, 6, 6), (5, 1, 3, 3), Convolution(pad=(1, 1), groups=5)),
    _case("depthwise, stride 2", (1, 3, 7, 7), (3, 1, 3, 3), Convolution((2, 2), (1, 1), groups=3)),
    _case("depthwise, two filters a channel", (2, 3, 5, 5), (6, 1, 3, 3), Convolution(groups=3)),
    _case("groups and dilation", (1, 4, 7, 7), (4, 2, 2, 2), Convolution((1, 1), (1, 1), (2, 2), 2)),
    _case("channels beyond a vector", (1, 17, 4, 5), (18, 17, 3, 3), Convolution(pad=(1, 1))),
    _case("many filters, few positions", (1, 2, 3, 3), (33, 2, 3, 3), Convolution()),
    _case("1-D", (2, 3, 9), (4, 3, 3), Convolution((1,), (0,), (1,))),
    _case("1-D, stride, pad, dilation", (2, 3, 9), (4, 3, 3), Convolution((2,), (2,), (2,))),
    _case("1-D depthwise", (2, 3, 8), (3, 1, 3), Convolution((1,), (1,), (1,), 3)),
    _case("1-D, groups", (2, 4, 9), (6, 2, 3), Convolution((1,), (1,), (1,), 2)),
    _case("3-D", (1, 2, 4, 3, 5), (3, 2, 2, 3, 2), Convolution((1, 1, 1), (0, 0, 0), (1, 1, 1))),
    _case("3-D, all at once", (1, 2, 4, 5, 3), (2, 1, 2, 3, 2), Convolution((2, 1, 2), (1, 1, 0), (1, 2, 1), 2)),
    _case("3x3", (2, 3, 4, 5), (3, 4, 3, 3), Deconvolution()),
    _case("filter handed in", (2, 3, 4, 5), (3, 4, 3, 3), Deconvolution(), stored=False),
    _case("1x1", (2, 5, 4, 3), (5, 6, 1, 1), Deconvolution()),
    _case("1x1, padded", (1, 2, 4, 5), (2, 3, 1, 1), Deconvolution(pad=(1, 1))),
    _case("one pixel", (2, 3, 1, 1), (3, 4, 3, 3), Deconvolution()),
    _case("one pixel, stride 2", (1, 2, 1, 1), (2, 3, 2, 3), Deconvolution(stride=(2, 2))),
    _case("cut to one pixel", (1, 2, 3, 3), (2, 3, 3, 3), Deconvolution(pad=(2, 2))),
    _case("same size", (2, 3, 5, 6), (3, 4, 3, 3), Deconvolution(pad=(1, 1))),
    _case("5x5, pad 2", (1, 2, 7, 6), (2, 3, 5, 5), Deconvolution(pad=(2, 2))),
    _case("pad larger than the filter", (1, 2, 9, 9), (2, 2, 2, 2), Deconvolution(pad=(3, 3))),
    _case("stride 2", (2, 2, 3, 4), (2, 3, 3, 3), Deconvolution(stride=(2, 2))),
    _case("stride 2, pad 1", (2, 2, 4, 3), (2, 3, 4, 4), Deconvolution(stride=(2, 2), pad=(1, 1))),
    _case("stride larger than the filter, gaps", (2, 2, 3, 2), (2, 3, 2, 2), Deconvolution(stride=(4, 3))),
    _case("rectangles", (2, 2, 4, 3), (2, 3, 2, 4), Deconvolution(stride=(1, 3), pad=(0, 2))),
    _case("dilation 2", (1, 2, 4, 3), (2, 3, 3, 3), Deconvolution(dilation=(2, 2))),
    _case("dilation 3 and 1, pad 2, stride 2", (1, 2, 3, 4), (2, 3, 3, 2), Deconvolution((2, 2), (2, 2), (3, 1))),
    _case("2 groups", (2, 4, 3, 3), (4, 3, 3, 3), Deconvolution(groups=2)),
    _case("3 groups, pad 1, stride 2", (2, 6, 3, 3), (6, 1, 3, 3), Deconvolution((2, 2), (1, 1), groups=3)),
    _case("depthwise", (2, 5, 4, 4), (5, 1, 3, 3), Deconvolution(pad=(1, 1), groups=5)),
    _case("depthwise, upsampling", (1, 3, 4, 4), (3, 1, 4, 4), Deconvolution((2, 2), (1, 1), groups=3)),
    _case("depthwise, two filters a channel", (2, 3, 4, 4), (3, 2, 3, 3), Deconvolution(groups=3)),
    _case("channels beyond a vector", (1, 17, 4, 5), (17, 18, 3, 3), Deconvolution(pad=(1, 1))),
    _case("many images", (9, 3, 8, 8), (3, 16, 3, 3), Deconvolution(pad=(1, 1))),
    _case("no images", (0, 3, 4, 4), (3, 2, 3, 3), Deconvolution()),
    _case("1-D", (2, 3, 9), (3, 4, 3), Deconvolution((1,), (0,), (1,))),
    _case("1-D, stride, pad, dilation", (2, 3, 5), (3, 4, 3), Deconvolution((2,), (2,), (2,))),
    _case("3-D", (1, 2, 2, 3, 2), (2, 3, 2, 3, 2), Deconvolution((1, 1, 1), (0, 0, 0), (1, 1, 1))),
    _case("3-D, all at once", (1, 2, 3, 2, 3), (2, 1, 2, 3, 2), Deconvolution((2, 1, 2), (1, 1, 0), (1, 2, 1), 2)),
]
"""The cases."""
