"""Coffee: the lounge where statistics gather, and the breaks."""

from mocha.coffee.breaks import EarlyStopping, Snapshot, TrainingSummary, ValidationPerformance, setup_decay
from mocha.coffee.lounge import read_statistics, setup_coffee_lounge, write_statistics
from mocha.coffee.progress import ProgressBar

__all__ = [
    "EarlyStopping", "ProgressBar", "Snapshot", "TrainingSummary", "ValidationPerformance", "read_statistics",
    "setup_coffee_lounge", "setup_decay", "write_statistics",
]  # fmt: skip
