"""Files: written as a whole, read with suspicion."""

from mocha.io.atomic import atomic_path
from mocha.io.hdf5 import open_hdf5, read_model, write_model
from mocha.io.snapshots import (
    Snapshot,
    newest_snapshot,
    read_snapshot,
    set_aside_snapshots,
    snapshot_path,
    write_snapshot,
)

__all__ = [
    "Snapshot", "atomic_path", "newest_snapshot", "open_hdf5", "read_model", "read_snapshot", "set_aside_snapshots",
    "snapshot_path",
    "write_model", "write_snapshot",
]  # fmt: skip
