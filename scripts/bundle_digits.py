"""Make the digits that ship with the package from MNIST's four IDX files.

    python scripts/bundle_digits.py ../shared/data/mnist

20,000 training and 2,000 validation digits come from the training file: shuffled with a fixed seed,
the same share of every class, no digit in both. The test file is taken whole. The indices into
MNIST's own files are kept beside the pixels.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path

import numpy as np

from glyphsight.files import replacing
from glyphsight.sampling import stratified_sample
from glyphsight.sources import load_split
from glyphsight.sources.idx import IdxSource

SEED = 0
TARGET = Path(__file__).parents[1] / "src" / "glyphsight" / "assets" / "digits.npz"


def main(directory: str) -> None:
    """Write the package's digits from the IDX files in ``directory``."""
    source = IdxSource(directory)
    train, test = load_split(source, "train"), load_split(source, "test")
    chosen = stratified_sample(train.labels, 22_000, SEED)
    of_chosen = stratified_sample([train.labels[i] for i in chosen], 2_000, SEED)
    validation = np.sort(chosen[of_chosen])
    training = np.setdiff1d(chosen, validation)
    arrays = {}
    for split, pictures, indices in (
        ("train", train, training),
        ("validation", train, validation),
        ("test", test, np.arange(len(test))),
    ):
        taken = pictures.take(indices)
        arrays[f"{split}_pixels"] = taken.pixels
        arrays[f"{split}_labels"] = np.array([int(label) for label in taken.labels], np.uint8)
        arrays[f"{split}_indices"] = indices.astype(np.uint16)
    with (
        replacing(TARGET, "wb") as stream,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_LZMA) as archive,
    ):
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array)
            entry = zipfile.ZipInfo(f"{name}.npy", (1998, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_LZMA
            archive.writestr(entry, buffer.getvalue())
    print(f"{TARGET}: {TARGET.stat().st_size} bytes", {k: v.shape for k, v in arrays.items()})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", help="directory with the four IDX files")
    main(parser.parse_args().directory)
