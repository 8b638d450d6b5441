"""Makes the pictures of the tutorials when the documentation is built: from what their programs left when they ran.

The folder `expected` of each example has the statistics of a whole training, and the pictures that a program makes
itself; the documentation does not train for hours. A line ``<!-- measured <file> <statistic> -->`` says where the
numbers of the table below it come from, for the tests to compare.
"""

import dataclasses
import re
import tempfile
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from mocha import read_statistics
from mocha.visual import plot_statistics

EXAMPLES = Path(__file__).parents[1] / "examples"
MEASURED = re.compile(r"^<!-- measured .* -->$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Plot:
    """A picture of curves.

    Attributes:
        runs: name of a training -> its statistics, in the folder of the examples.
        keys: which of them.
        smooth: records in a mean.
        log: whether the left axis is logarithmic.
    """

    runs: dict[str, str]
    keys: tuple[str, ...]
    smooth: int = 1
    log: bool = False


_ACCURACY = "test-accuracy-accuracy"
_LOSSES = ("obj_val", "loss-softmax-loss")
_CURVES = "learning-curves/expected"
_RATES = ("as-it-should-be", "too-slow", "too-fast")

PLOTS = {
    "mnist": Plot({"": "mnist/expected/statistics.h5"}, ("obj_val", _ACCURACY), 25, True),
    "dropout": Plot({"": "mnist-dropout/expected/statistics.h5"}, ("obj_val", _ACCURACY), 15, True),
    "cifar10": Plot(
        {"Mocha's net": "cifar10/expected/full.h5", "the quick net": "cifar10/expected/quick.h5"}, (_ACCURACY,)
    ),
    "denoising-autoencoder": Plot(
        {
            "pre-trained": "denoising-autoencoder/expected/pretrained.h5",
            "random": "denoising-autoencoder/expected/random.h5",
        },
        (_ACCURACY,),
    ),
    "denoising-autoencoder-small": Plot(
        {
            "pre-trained": "denoising-autoencoder/expected/small-pretrained.h5",
            "random": "denoising-autoencoder/expected/small-random.h5",
        },
        (_ACCURACY,),
    ),
    "variational-autoencoder": Plot(
        {"": "variational-autoencoder/expected/statistics.h5"}, ("obj_val", "bce-loss", "kl-loss"), 15
    ),
    "rates": Plot(
        {n: f"{_CURVES}/{n}.h5" for n in ("as-it-should-be", "too-slow", "too-fast")}, ("obj_val",), 25, True
    ),
    "as-it-should-be": Plot({"": f"{_CURVES}/as-it-should-be.h5"}, _LOSSES, 25, True),
    "few-digits": Plot({"": f"{_CURVES}/few-digits.h5"}, _LOSSES, 25, True),
}
"""Name of a picture -> what it shows."""

PICTURES = ("reconstructions.png", "samples.png")
"""What the program of the variational auto-encoder drew."""


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leave out what is for the tests."""
    return MEASURED.sub("", markdown)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pictures, as ``tutorial/pictures/<name>``."""
    with tempfile.TemporaryDirectory() as folder:
        for name, plot in PLOTS.items():
            runs = {run: read_statistics(EXAMPLES / path) for run, path in plot.runs.items()}
            drawn = plot_statistics(
                runs, Path(folder) / f"{name}.svg", keys=plot.keys, smooth=plot.smooth, log=plot.log
            )
            files.append(File.generated(config, f"tutorial/pictures/{name}.svg", content=drawn.read_bytes()))
    for name in PICTURES:
        content = (EXAMPLES / "variational-autoencoder" / "expected" / name).read_bytes()
        files.append(File.generated(config, f"tutorial/pictures/{name}", content=content))
    return files
