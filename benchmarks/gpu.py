"""`python -m benchmarks.gpu`: training on a GPU beside PyTorch on the same one, in one run.

Data lie in the host's memory as whole batches and are copied to the GPU each step, by all contestants: PyTorch from
pinned memory, without waiting. A round measures each contestant once; what is told is the median of the rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator

from benchmarks.works import LEARNING_RATE, MOMENTUM, REGULARISATION, WORKS, Work

BATCHES = {"lenet": 64, "cifar": 100, "caffenet": 256, "googlenet": 128, "resnet50": 256}
ROUNDS, SECONDS = 3, 1.5
"""Rounds, and the seconds of one measurement."""


def ours(work: Work, batch: int, precision: str) -> Iterator[Callable[[], None]]:
    """Mocha: yields a step, then what waits for all steps and gives the loss; memory is told at the end."""
    from mocha import SGD, LRPolicy, MomPolicy, Net, Solver, make_solver_parameters
    from mocha.backends import CudaBackend, Numerics

    with (
        CudaBackend(numerics=Numerics(precision)) as backend,
        Net(work.name, backend, work.layers(batch), seed=1) as net,
    ):
        method = SGD()
        params = make_solver_parameters(
            method, max_iter=10**9, lr_policy=LRPolicy.Fixed(LEARNING_RATE), mom_policy=MomPolicy.Fixed(MOMENTUM),
            regu_coef=REGULARISATION / 2,
        )  # fmt: skip
        solver = Solver(method, params)
        state = solver.init_solve(net)
        yield lambda: solver.step(net, state)
        yield lambda: state.obj_val
        solver.finalize_solve(net, state)


def pytorch(work: Work, batch: int, precision: str, *, compiled: bool) -> Iterator[Callable[[], None]]:
    """PyTorch: channels last, fused SGD; automatic mixed precision for types of 16 bits."""
    import torch
    from torch.nn import functional

    from benchmarks import torch_nets

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "float32"
    torch.backends.cudnn.benchmark = True
    kind = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(precision)
    net = torch_nets.build(work.name, None).cuda().to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(
        net.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, weight_decay=REGULARISATION, fused=True
    )
    scaler = torch.amp.GradScaler("cuda", enabled=kind is torch.float16)
    model = torch.compile(net, mode="max-autotune" if compiled else None) if compiled else net
    data, labels = work.examples
    batches = [
        (torch.from_numpy(data[i : i + batch]).pin_memory(), torch.from_numpy(labels[i : i + batch]).pin_memory())
        for i in range(0, len(data), batch)
    ]
    stream = itertools.cycle(batches)
    last = [torch.zeros((), device="cuda")]

    def step() -> None:
        x, y = (tensor.cuda(non_blocking=True) for tensor in next(stream))
        if x.ndim == 4:
            x = x.to(memory_format=torch.channels_last)
        optimizer.zero_grad(set_to_none=True)
        context = torch.autocast("cuda", kind) if kind else contextlib.nullcontext()
        with context:
            loss = functional.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        last[0] = loss.detach()

    yield step
    yield lambda: last[0].item()


def contestants(precisions: list[str], *, compile_too: bool) -> Iterator[tuple[str, Callable[..., Iterator]]]:
    """Name -> what makes its step."""
    for precision in precisions:
        yield f"mocha {precision}", lambda w, b, p=precision: ours(w, b, p)
        yield f"pytorch {precision}", lambda w, b, p=precision: pytorch(w, b, p, compiled=False)
        if compile_too:
            yield f"pytorch {precision} compiled", lambda w, b, p=precision: pytorch(w, b, p, compiled=True)


def measure(make: Iterator[Callable[[], None]], seconds: float) -> tuple[float, float, float]:
    """Steps a second, the median of the rounds; the loss at the end; GiB of the GPU's memory that were in use."""
    step, wait = next(make), next(make)
    for _ in range(8):  # libraries load, plans are found, graphs are captured
        step()
    wait()
    start = time.perf_counter()
    for _ in range(5):
        step()
    loss = wait()
    count = max(int(seconds * 5 / (time.perf_counter() - start)), 3)
    rates = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(count):
            step()
        wait()
        rates.append(count / (time.perf_counter() - start))
    used = _memory_in_use()
    next(make, None)
    return statistics.median(rates), float(loss), used


def _memory_in_use() -> float:
    from mocha.backends.cuda.driver import start_driver

    free, total = start_driver()("cuMemGetInfo")
    return (total - free) / 2**30


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--work", default=",".join(BATCHES), help="nets, separated by commas; default: all")
    parser.add_argument("--precision", default="tf32,bfloat16", help="default: tf32,bfloat16")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of a measurement; {SECONDS}")
    parser.add_argument("--one", nargs=2, metavar=("NET", "CONTESTANT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    from mocha.backends import CudaBackend

    known = dict(contestants(options.precision.split(","), compile_too=not options.no_compile))
    if options.one:
        name, who = options.one
        batch = BATCHES[name]
        work = dataclasses.replace(WORKS[name], batch=batch, batches=2)
        rate, loss, used = measure(known[who](work, batch), options.seconds)
        speeds = f"{rate:9.1f} steps/s {rate * batch:10.0f} images/s"
        print(f"{name:10} {who:26} {speeds}  {used:5.1f} GiB  loss {loss:.3f}")
        return
    print(f"{CudaBackend.describe()}; batch: {BATCHES}")
    failed = 0
    for name in options.work.split(","):
        for who in known:
            failed += _apart(name, who, options)
    sys.exit(bool(failed))


def _apart(name: str, who: str, options: argparse.Namespace) -> bool:
    """Measure in a process of its own, so that nobody's memory or crash is another one's. Whether it failed."""
    import subprocess

    arguments = ["--precision", options.precision, "--seconds", str(options.seconds), "--one", name, who]
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "benchmarks.gpu", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    except subprocess.TimeoutExpired:
        print(f"{name:10} {who:26} stopped after 120 s", flush=True)
        return not who.startswith("pytorch")
    if ran.returncode:
        reason = (ran.stderr.strip().splitlines() or ["no message"])[-1]
        print(f"{name:10} {who:26} failed: {reason[:160]}", flush=True)
        return not who.startswith("pytorch")
    print(ran.stdout.strip().splitlines()[-1], flush=True)
    return False


if __name__ == "__main__":
    main()
