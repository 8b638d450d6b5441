"""The same nets in PyTorch. Parameters have the layers' names of Mocha, so that they can be copied."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from benchmarks.works import LEARNING_RATE, MOMENTUM, REGULARISATION, Weights

_NAMES = {"filter": "weight", "weight": "weight", "bias": "bias"}


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


_NETS = {"lenet": _lenet, "cifar": _cifar, "mlp": _mlp, "caffenet": _caffenet}


def build(work: str, weights: Weights | None) -> nn.Sequential:
    """The net of a work, with these parameters."""
    net = nn.Sequential(OrderedDict(_NETS[work]()))
    if weights is not None:
        state = {}
        for key, values in weights.items():
            layer, parameter = key.split("/")
            state[f"{layer}.{_NAMES[parameter]}"] = torch.from_numpy(values.copy())
        net.load_state_dict(state)  # strict: each parameter has its values
    return net


def read(net: nn.Module, like: Weights) -> Weights:
    """The net's parameters under Mocha's names."""
    state = net.state_dict()
    return {
        key: state[f"{key.split('/')[0]}.{_NAMES[key.split('/')[1]]}"].detach().contiguous().numpy().copy()
        for key in like
    }


def optimizer(net: nn.Module) -> torch.optim.SGD:
    """Momentum SGD as Mocha's layers have it: biases learn twice as fast, and only weights decay.

    Mocha's penalty is coef |w|^2, whose gradient is 2 coef w; PyTorch's decay is the factor of w.
    """
    weights = [p for name, p in net.named_parameters() if not name.endswith("bias")]
    biases = [p for name, p in net.named_parameters() if name.endswith("bias")]
    groups = [
        {"params": weights, "lr": LEARNING_RATE, "weight_decay": 2 * REGULARISATION},
        {"params": biases, "lr": 2 * LEARNING_RATE, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, momentum=MOMENTUM, fused=True)
