"""The same nets in PyTorch. Parameters have the layers' names of Mocha, so that they can be copied."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from benchmarks.torch_blocks import bottleneck, conv, conv_norm, inception
from benchmarks.works import LEARNING_RATE, MOMENTUM, REGULARISATION, Weights

_NAMES = {
    "filter": "weight", "weight": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean",
    "variance": "running_var",
}  # fmt: skip


class _LRN(torch.autograd.Function):
    """PyTorch's normalisation, which an exporter writes as ONNX's operator of that name, not as its parts."""

    @staticmethod
    def forward(ctx, x, size, alpha, beta, k):
        return nn.functional.local_response_norm(x, size, alpha, beta, k)

    @staticmethod
    def symbolic(g, x, size, alpha, beta, k):
        return g.op("LRN", x, size_i=size, alpha_f=alpha, beta_f=beta, bias_f=k)


class _Norm(nn.LocalResponseNorm):
    """`nn.LocalResponseNorm`; one operator in an export."""

    def forward(self, x):
        if torch.onnx.is_in_onnx_export():
            return _LRN.apply(x, self.size, self.alpha, self.beta, self.k)
        return super().forward(x)


def _max(kernel, stride):
    return nn.MaxPool2d(kernel, stride, ceil_mode=True)


def _mean(kernel, stride):
    # Caffe divides by the cells of the window inside the padded image. Without padding both settings of
    # count_include_pad say so; but with True, the default, Inductor's gradient of windows that hang over is wrong
    # (https://github.com/pytorch/pytorch/issues/198119)
    return nn.AvgPool2d(kernel, stride, ceil_mode=True, count_include_pad=False)


def _lenet():
    yield "conv1", nn.Conv2d(1, 20, 5)
    yield "pool1", _max(2, 2)
    yield "conv2", nn.Conv2d(20, 50, 5)
    yield "pool2", _max(2, 2)
    yield "flat", nn.Flatten()
    yield "ip1", nn.Linear(800, 500)
    yield "relu1", nn.ReLU(inplace=True)
    yield "ip2", nn.Linear(500, 10)


def _cifar():
    yield "conv1", nn.Conv2d(3, 32, 5, padding=2)
    yield "pool1", _max(3, 2)
    yield "relu1", nn.ReLU(inplace=True)
    yield "conv2", nn.Conv2d(32, 32, 5, padding=2)
    yield "relu2", nn.ReLU(inplace=True)
    yield "pool2", _mean(3, 2)
    yield "conv3", nn.Conv2d(32, 64, 5, padding=2)
    yield "relu3", nn.ReLU(inplace=True)
    yield "pool3", _mean(3, 2)
    yield "flat", nn.Flatten()
    yield "ip1", nn.Linear(1024, 64)
    yield "ip2", nn.Linear(64, 10)


def _mlp():
    yield "drop0", nn.Dropout(0.2)
    yield "fc1", nn.Linear(784, 1200)
    yield "relu1", nn.ReLU(inplace=True)
    yield "drop1", nn.Dropout(0.5)
    yield "fc2", nn.Linear(1200, 1200)
    yield "relu2", nn.ReLU(inplace=True)
    yield "drop2", nn.Dropout(0.5)
    yield "out", nn.Linear(1200, 10)


def _caffenet():
    yield "conv1", nn.Conv2d(3, 96, 11, stride=4)
    yield "relu1", nn.ReLU(inplace=True)
    yield "pool1", _max(3, 2)
    yield "norm1", _Norm(5, 1e-4, 0.75, 1.0)
    yield "conv2", nn.Conv2d(96, 256, 5, padding=2, groups=2)
    yield "relu2", nn.ReLU(inplace=True)
    yield "pool2", _max(3, 2)
    yield "norm2", _Norm(5, 1e-4, 0.75, 1.0)
    yield "conv3", nn.Conv2d(256, 384, 3, padding=1)
    yield "relu3", nn.ReLU(inplace=True)
    yield "conv4", nn.Conv2d(384, 384, 3, padding=1, groups=2)
    yield "relu4", nn.ReLU(inplace=True)
    yield "conv5", nn.Conv2d(384, 256, 3, padding=1, groups=2)
    yield "relu5", nn.ReLU(inplace=True)
    yield "pool5", _max(3, 2)
    yield "flat", nn.Flatten()
    yield "fc6", nn.Linear(9216, 4096)
    yield "relu6", nn.ReLU(inplace=True)
    yield "drop6", nn.Dropout(0.5)
    yield "fc7", nn.Linear(4096, 4096)
    yield "relu7", nn.ReLU(inplace=True)
    yield "drop7", nn.Dropout(0.5)
    yield "fc8", nn.Linear(4096, 1000)


def _googlenet():
    yield from conv("conv1/7x7_s2", 3, 64, 7, stride=2)
    yield "pool1", _max(3, 2)
    yield "norm1", _Norm(5, 1e-4, 0.75, 1.0)
    yield from conv("conv2/3x3_reduce", 64, 64, 1)
    yield from conv("conv2/3x3", 64, 192, 3)
    yield "norm2", _Norm(5, 1e-4, 0.75, 1.0)
    yield "pool2", _max(3, 2)
    yield inception("3a", 192, (64, 96, 128, 16, 32, 32))
    yield inception("3b", 256, (128, 128, 192, 32, 96, 64))
    yield "pool3", _max(3, 2)
    yield inception("4a", 480, (192, 96, 208, 16, 48, 64))
    yield inception("4b", 512, (160, 112, 224, 24, 64, 64))
    yield inception("4c", 512, (128, 128, 256, 24, 64, 64))
    yield inception("4d", 512, (112, 144, 288, 32, 64, 64))
    yield inception("4e", 528, (256, 160, 320, 32, 128, 128))
    yield "pool4", _max(3, 2)
    yield inception("5a", 832, (256, 160, 320, 32, 128, 128))
    yield inception("5b", 832, (384, 192, 384, 48, 128, 128))
    yield "pool5", nn.AdaptiveAvgPool2d(1)
    yield "flat", nn.Flatten()
    yield "drop5", nn.Dropout(0.4)
    yield "loss3/classifier", nn.Linear(1024, 1000)


def _resnet50():
    yield from conv_norm("conv1", 3, 64, 7, stride=2, relu=True)
    yield "pool1", nn.MaxPool2d(3, 2, 1)
    channels = 64
    for stage, blocks, filters, stride in (("res2", 3, 64, 1), ("res3", 4, 128, 2), ("res4", 6, 256, 2),
                                           ("res5", 3, 512, 2)):  # fmt: skip
        for i in range(blocks):
            first = i == 0
            yield bottleneck(f"{stage}{'abcdef'[i]}", channels, filters, stride=stride if first else 1, project=first)
            channels = 4 * filters
    yield "pool5", nn.AdaptiveAvgPool2d(1)
    yield "flat", nn.Flatten()
    yield "fc", nn.Linear(2048, 1000)


_NETS = {
    "lenet": _lenet, "cifar": _cifar, "mlp": _mlp, "caffenet": _caffenet, "googlenet": _googlenet,
    "resnet50": _resnet50,
}  # fmt: skip


def build(work: str, weights: Weights | None) -> nn.Sequential:
    """The net of a work, with these parameters."""
    net = nn.Sequential(OrderedDict(_NETS[work]()))
    if weights is not None:
        places = _places(net, weights)
        state = {places[key]: torch.from_numpy(values.copy()) for key, values in weights.items()}
        net.load_state_dict(state)  # strict: each parameter has its values
    return net


def _places(net: nn.Module, weights: Weights) -> dict[str, str]:
    """Mocha's name of each parameter -> its name in PyTorch."""
    modules = {name.rpartition(".")[2]: name for name, _ in net.named_modules()}
    places = {}
    for key in weights:
        layer, _, parameter = key.rpartition("/")
        if layer.endswith("_scale"):  # which is a part of the normalisation there
            layer = layer.removesuffix("_scale") + "_norm"
        places[key] = f"{modules[layer]}.{_NAMES[parameter]}"
    return places


def read(net: nn.Module, like: Weights) -> Weights:
    """The net's parameters under Mocha's names."""
    state = net.state_dict()
    return {key: state[place].detach().contiguous().numpy().copy() for key, place in _places(net, like).items()}


def optimizer(net: nn.Module) -> torch.optim.SGD:
    """Momentum SGD as Mocha's layers have it: biases learn twice as fast, but for those of a `ScaleLayer`, and only
    weights decay.

    Mocha's penalty is coef |w|^2, whose gradient is 2 coef w; PyTorch's decay is the factor of w.
    """
    scales = [p for module in net.modules() if isinstance(module, nn.BatchNorm2d) for p in module.parameters()]
    others = [(name, p) for name, p in net.named_parameters() if all(p is not scale for scale in scales)]
    weights = [p for name, p in others if not name.endswith("bias")]
    biases = [p for name, p in others if name.endswith("bias")]
    groups = [
        {"params": weights, "lr": LEARNING_RATE, "weight_decay": 2 * REGULARISATION},
        {"params": biases, "lr": 2 * LEARNING_RATE, "weight_decay": 0.0},
        {"params": scales, "lr": LEARNING_RATE, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, momentum=MOMENTUM, fused=True)
