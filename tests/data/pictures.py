"""Small images in files, for tests."""

import numpy as np
from PIL import Image


def write_image(path, seed, size=(6, 8), mode="RGB"):
    """A made-up image; the same seed gives the same one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (*size, 3) if mode == "RGB" else size
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def write_classes(folder, counts, **options):
    """A folder with one sub-folder a class: class -> number of images, some of them deeper."""
    for label, (name, count) in enumerate(counts.items()):
        for index in range(count):
            inner = folder / name / "deep" if index % 3 == 2 else folder / name
            write_image(inner / f"{index:03d}.png", 1000 * label + index, **options)
    return folder
