"""Makes the pictures of the documentation when it is built, by what they show: a short training on real digits.

A page shows a picture as ``![...](../figures/<name>)``, and text or an element of a page in the place of a line
``<!-- figure <name> -->``.
"""

import dataclasses
import functools
import re
import tempfile
from pathlib import Path

import numpy as np
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from mocha import (
    SGD,
    AccuracyLayer,
    DataTransformers,
    DefaultBackend,
    InnerProductLayer,
    LRPolicy,
    MemoryDataLayer,
    MomPolicy,
    Net,
    Neurons,
    SoftmaxLossLayer,
    Solver,
    TrainingSummary,
    ValidationPerformance,
    make_solver_parameters,
)
from mocha.backends import AbstractBackend
from mocha.console import quiet
from mocha.data import load_digits
from mocha.layers import Layer
from mocha.models import find_model, lenet
from mocha.visual import Statistics, blob_sheet, filter_sheet, plot_statistics, save_image
from mocha.visual.braille import text_curves
from mocha.visual.curves import chosen, curves

INSERT = re.compile(r"^<!-- figure ([\w.-]+) -->$", re.MULTILINE)
RATES = (0.01, 0.03)


@dataclasses.dataclass(frozen=True)
class Figures:
    """All that pages show.

    Attributes:
        files: name -> picture.
        texts: name -> text, or element of a page.
    """

    files: dict[str, bytes]
    texts: dict[str, str]


# -- what mkdocs calls


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pictures."""
    for name, content in figures().files.items():
        files.append(File.generated(config, f"figures/{name}", content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Insert the texts."""
    return INSERT.sub(lambda found: figures().texts[found[1]], markdown)


# -- the pictures


@functools.cache
def figures() -> Figures:
    """Train, and draw."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        return drawn(Path(folder))


def drawn(folder: Path) -> Figures:
    """All pictures, by way of a folder for their files."""
    with DefaultBackend() as backend:
        model = find_model("lenet")
        with Net("LeNet", backend, model.training(*model.noise(64), batch=64)) as net:
            net.draw(folder / "lenet.svg")
        with points(backend) as net:
            net.freeze("hidden")
            net.draw(folder / "points.svg", direction="LR", blobs=True)
    with DefaultBackend() as backend:
        google = find_model("googlenet")
        with Net("GoogLeNet", backend, google.training(*google.noise(1), batch=1)) as large:
            large.draw(folder / "googlenet.svg")
    runs = {f"rate-{rate}.h5": trained_lenet(rate, folder) for rate in RATES}
    plot_statistics(runs, folder / "curves.svg", smooth=3)
    made = curves(runs, chosen(runs, ["obj_val"]))
    templates(folder / "templates.png")
    names = ("lenet.svg", "points.svg", "googlenet.svg", "curves.svg", "blob.png", "filters.png", "templates.png")
    first = next(iter(runs.values()))
    texts = {
        "curves.txt": f"```text\n{even(text_curves(made, width=76, height=18, log=True).plain)}\n```",
        "statistics.html": first._repr_html_(),
    }
    return Figures({name: (folder / name).read_bytes() for name in names}, texts)


def points(backend: AbstractBackend) -> Net:
    """The small net of the page."""
    layers = [
        MemoryDataLayer(name="points", data=[np.zeros((20, 2)), np.zeros(20)], batch_size=20),
        InnerProductLayer(name="hidden", output_dim=16, neuron=Neurons.Tanh(), bottoms=["data"], tops=["hidden"]),
        InnerProductLayer(name="score", output_dim=2, bottoms=["hidden"], tops=["score"]),
        SoftmaxLossLayer(name="loss", bottoms=["score", "label"]),
    ]
    return Net("points", backend, layers)


def even(text: str) -> str:
    """A text curve whose blanks are as wide as its dots, in whatever font a browser finds for these."""
    lines = []
    for line in text.splitlines():
        beside, axis, canvas = re.fullmatch(r"([^┤│]*)([┤│]?)(.*)", line).groups()
        lines.append(beside + axis + (canvas.replace(" ", "\N{BRAILLE PATTERN BLANK}") if axis else canvas))
    return "\n".join(lines)


def source(part: str, batch: int) -> MemoryDataLayer:
    """Digits of scikit-learn's, 28x28 pixels from 0 to 1."""
    digits = load_digits()
    images, labels = digits[f"{part}_images"], digits[f"{part}_labels"]
    scale = [("data", DataTransformers.Scale(1 / 256))]
    return MemoryDataLayer(
        name="digits", data=[images[:, None], labels], batch_size=batch, shuffle=part == "train", transformers=scale
    )


def trained(layers: list[Layer], scores: str, rate: float, iterations: int) -> tuple[Net, Statistics]:
    """A net after a short training, and its statistics."""
    backend = DefaultBackend()
    loss = SoftmaxLossLayer(name="loss", bottoms=[scores, "label"])
    net = Net("digits", backend, [source("train", 64), *layers, loss])
    accuracy = AccuracyLayer(name="test-accuracy", bottoms=[scores, "label"])
    test = Net("digits-test", backend, [source("test", 50), *layers, accuracy])
    method = SGD()
    policies = {"lr_policy": LRPolicy.Fixed(rate), "mom_policy": MomPolicy.Fixed(0.9)}
    solver = Solver(method, make_solver_parameters(method, max_iter=iterations, **policies))
    solver.add_coffee_break(TrainingSummary(), every_n_iter=2)
    solver.add_coffee_break(ValidationPerformance(test), every_n_iter=10)
    solver.solve(net)
    return net, solver.lounge.statistics


def trained_lenet(rate: float, folder: Path) -> Statistics:
    """The statistics of LeNet; its filters and a blob become pictures."""
    net, statistics = trained(lenet(), "ip2", rate, 80)
    save_image(folder / "filters.png", filter_sheet(net.params["conv1"]["filter"], columns=10, zoom=8))
    net.forward(phase="test")
    save_image(folder / "blob.png", blob_sheet(net.blobs["conv"][:3, :12], zoom=2, margin=3))
    return statistics


def templates(path: Path) -> None:
    """The weights of one inner product: what each class looks for in an image."""
    layer = InnerProductLayer(name="scores", output_dim=10, bottoms=["data"], tops=["scores"])
    net, _ = trained([layer], "scores", 0.05, 300)
    weights: np.ndarray = net.params["scores"]["weight"]
    save_image(path, filter_sheet(weights, shape=(28, 28), columns=5, zoom=3, margin=6))
