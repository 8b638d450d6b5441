"""Small files in the form of CIFAR-10's binary version, for tests."""

import io
import tarfile

import numpy as np

from mocha.data.converters.cifar10 import CLASSES, FILES

NAMES = [name for names in FILES.values() for name in names]
META = "\n".join(CLASSES) + "\n\n"


def raw_files(records=4, **others):
    """Name -> bytes, as the binary version has them."""
    rng = np.random.default_rng(0)
    files = {}
    for number, name in enumerate(NAMES):
        table = rng.integers(0, 256, (records, 3073), dtype=np.uint8)
        table[:, 0] = (np.arange(records) + number) % 10
        files[name] = table.tobytes()
    return {**files, "batches.meta.txt": META.encode(), **others}


def write_folder(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
    return folder


def write_archive(path, files, mode="w:gz", prefix="cifar-10-batches-bin/"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:
        for name, raw in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(raw)
            tar.addfile(member, io.BytesIO(raw))
    return path
