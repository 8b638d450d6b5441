"""What NVIDIA's compiler and libraries do without a GPU, where they are installed."""

import numpy as np
import pytest

from mocha.backends import Numerics
from mocha.errors import BackendUnavailable, MochaError

pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-bindings is not installed")

from mocha.backends.cuda.nvrtc import KERNELS, compile_kernels
from mocha.backends.cuda.products.spec import PLAIN, Unsupported
from mocha.testing.cuda import cubins
from mocha.testing.cuda.cubins import ARCHITECTURES, compile_all
from mocha.testing.cuda.plans import NETS, described_gpu, training_products


def compiler_or_skip():
    try:
        compile_kernels("", "empty", 90)
    except BackendUnavailable as error:
        pytest.skip(f"NVIDIA's run-time compiler is not there: {error}")


def target_or_skip():
    try:
        return described_gpu()
    except BackendUnavailable as error:
        pytest.skip(f"cuDNN is not there: {error}")


def test_every_kernel_compiles_for_gpus():
    compiler_or_skip()
    made = list(compile_all())
    assert {(cubin.family, cubin.architecture) for cubin in made} == {
        (path.stem, architecture) for path in KERNELS.glob("*.cu") for architecture in ARCHITECTURES
    }
    assert all(cubin.kernels and cubin.nbytes for cubin in made)
    assert len({sum(c.kernels for c in made if c.architecture == a) for a in ARCHITECTURES}) == 1


def test_types_are_compiled_one_by_one_in_several_processes(tmp_path, monkeypatch):
    compiler_or_skip()
    monkeypatch.setenv("MOCHA_CACHE", str(tmp_path))
    monkeypatch.setattr(cubins, "SUFFIXES", ("f32",))
    families = {path.stem for path in KERNELS.glob("*.cu")}
    assert cubins.compile_for(90, 2) == len(families)
    assert {path.name.rpartition("-")[0] for path in (tmp_path / "kernels").glob("*.cubin")} == families


def test_a_source_that_does_not_compile_tells_why():
    compiler_or_skip()
    with pytest.raises(MochaError, match=r"the kernels of wrong\.cu do not compile:(.|\n)*identifier \"nonsense\""):
        compile_kernels("__global__ void f() { nonsense; }", "wrong", 90)


def test_a_type_alone_is_less_code():
    compiler_or_skip()
    source = (KERNELS / "filters.cu").read_text()
    assert len(compile_kernels(source, "filters", 90, "f32")) < len(compile_kernels(source, "filters", 90))


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16", "float16"])
@pytest.mark.parametrize("net", NETS)
def test_every_convolution_of_a_net_has_a_plan(net, precision):
    from mocha.backends.cuda.products.convolutions import find_plan
    from mocha.backends.cuda.products.spec import ConvolutionProduct

    target = target_or_skip()
    products = training_products(net, Numerics(precision), NETS[net])
    convolutions = [product for product in products if isinstance(product, ConvolutionProduct)]
    assert len(convolutions) >= 5
    for product in convolutions:
        try:
            plan = find_plan(product, target)
        except Unsupported:
            assert product.epilogue != PLAIN
            plan = find_plan(product.plain, target)
        assert 0 <= plan.workspace < 4 << 30
        assert plan.name.startswith("eng")


def test_what_cudnn_refuses_is_unsupported_with_its_reason():
    import dataclasses

    from mocha.backends.cuda.products.convolutions import find_plan
    from mocha.backends.cuda.products.spec import ConvolutionProduct

    target = target_or_skip()
    products = training_products("lenet", Numerics("tf32"), 4)
    product = next(p for p in products if isinstance(p, ConvolutionProduct))
    wrong = dataclasses.replace(product, geometry=product.geometry._replace(out_h=3), epilogue=PLAIN)
    with pytest.raises(Unsupported, match="cuDNN cannot do"):
        find_plan(wrong, target)
    assert np.isfinite(target.architecture)
