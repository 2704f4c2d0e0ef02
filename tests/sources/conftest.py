import io

import numpy as np
import pytest
from PIL import Image

from glyphsight.sources import Failure, open_source


@pytest.fixture
def png():
    """Writes a flat gray picture; gives its bytes where no path is given."""

    def write(value, path=None, size=(4, 5), kind="PNG"):
        stream = io.BytesIO()
        Image.fromarray(np.full(size, value, dtype=np.uint8)).save(stream, kind)
        if path is None:
            return stream.getvalue()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stream.getvalue())
        return path

    return write


@pytest.fixture
def items():
    """Every item of a split: id, answer and first pixel; of a failure id and reason."""

    def read(spec, split="train"):
        source = open_source(spec) if isinstance(spec, str) else spec
        found = []
        for part in source.parts(split):
            for batch in source.read(part):
                if isinstance(batch, Failure):
                    found.append((batch.id, batch.reason))
                else:
                    first = batch.pixels[:, 0, 0].tolist()
                    found += zip(batch.ids, batch.labels, first, strict=True)
        ids = [item[0] for item in found]
        assert len(set(ids)) == len(ids)
        return found

    return read
