import json

import numpy as np
import pytest

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.codec.formats import FORMATS, get_format
from glyphsight.dataset.inspect.items import read_grids, read_profile, text_width
from glyphsight.errors import DatasetError, FormatError


def palette_of(name):
    return " #" if get_format(name).max_levels == 2 else " abc"


@pytest.mark.parametrize("name", FORMATS.names())
def test_texts_of_any_format_are_read_as_the_format_reads_them(name):
    form, palette = get_format(name), palette_of(name)
    rng = np.random.default_rng(0)
    profile = Profile(palette=palette, format=name)
    for rows, columns in ((8, 6), (4, 2), (8, 12)):
        grids = rng.integers(0, len(palette), (9, rows, columns)).astype(np.uint8)
        found = list(read_grids(form.render_batch(grids, palette), profile))
        assert np.array_equal(np.stack(found), grids)
        assert {text_width(grid, profile) for grid in found} == {columns // form.cell[1]}


def test_a_text_that_cannot_be_read_does_not_spoil_what_comes_after():
    form = get_format("plain")
    good = form.render_batch(np.ones((1, 2, 3), dtype=np.uint8), " #")[0]
    first, second = read_grids(["x" * len(good), good], Profile(palette=" #", format="plain"))
    with pytest.raises(FormatError) as caught:
        form.read("x" * len(good), " #")
    assert str(first) == str(caught.value)
    assert np.array_equal(second, np.ones((2, 3)))


def test_the_profile_is_the_callers_then_the_manifests_then_the_published_one(tmp_path):
    (tmp_path / "data").mkdir()
    file, shard = tmp_path / "train.json", tmp_path / "data" / "train-00000-of-00001.parquet"
    assert read_profile(tmp_path) == read_profile(file) == PUBLISHED
    told = {"width": 9, "format": "plain", "palette": " .#", "threshold": [10, 200]}
    (tmp_path / "manifest.json").write_text(json.dumps({"profile": told}))
    for path in (tmp_path, file, shard):
        assert read_profile(path) == Profile(9, " .#", "plain")
    assert read_profile(tmp_path, "rle") == Profile(9, " .#", "rle")
    assert read_profile(tmp_path, None, "blocks") == Profile(9, " ░▒▓█", "plain")
    (tmp_path / "manifest.json").write_text('{"profile": {"widht": 9}}')
    with pytest.raises(DatasetError, match="profile in its manifest: damaged"):
        read_profile(tmp_path, "seed")
    assert read_profile(tmp_path, "plain", "ascii").palette == " .:-=+*#%@"
    with pytest.raises(FormatError, match=r"format is 'jpeg'; give one of"):
        read_profile(tmp_path, "jpeg", "ascii")
