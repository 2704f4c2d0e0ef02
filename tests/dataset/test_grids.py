import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyphsight.codec import PUBLISHED, Profile
from glyphsight.codec.formats import FORMATS, get_format
from glyphsight.dataset.inspect.grids import GridReader, read_profile
from glyphsight.errors import DatasetError, FormatError


def palette_of(name):
    return " #" if get_format(name).max_levels == 2 else " abc"


@pytest.mark.parametrize("name", FORMATS.names())
def test_texts_of_any_format_are_read_as_the_format_reads_them(name):
    form, palette = get_format(name), palette_of(name)
    rng = np.random.default_rng(0)
    texts, grids = [], []
    for rows, columns in ((8, 6), (4, 2), (8, 12)):
        some = rng.integers(0, len(palette), (40, rows, columns)).astype(np.uint8)
        texts += form.render_batch(some, palette)
        grids += list(some)
    reader = GridReader(Profile(palette=palette, format=name))
    order = rng.permutation(len(texts)).tolist()
    for part in (order[:60], order[60:]):
        found = reader.read([texts[place] for place in part])
        assert all(np.array_equal(grid, grids[p]) for grid, p in zip(found, part, strict=True))
        assert [reader.columns(grid) for grid in found] == [
            grids[p].shape[1] // form.cell[1] for p in part
        ]


@pytest.mark.parametrize("name", ["seed", "plain", "spaced", "digits", "rows", "hex", "braille"])
@given(st.integers(0, 200), st.characters())
def test_a_flaw_anywhere_is_found_as_the_format_finds_it(name, place, glyph):
    form, palette = get_format(name), palette_of(name)
    levels = np.random.default_rng(1).integers(0, len(palette), (3, 8, 6)).astype(np.uint8)
    texts = form.render_batch(levels, palette)
    place %= len(texts[1])
    texts[1] = texts[1][:place] + glyph + texts[1][place + 1 :]
    found = GridReader(Profile(palette=palette, format=name)).read(texts)
    for text, grid in zip(texts, found, strict=True):
        if isinstance(grid, FormatError):
            with pytest.raises(FormatError) as caught:
                form.read(text, palette)
            assert str(grid) == str(caught.value)
        else:
            assert np.array_equal(grid, form.read(text, palette))


def test_what_cannot_be_read_first_does_not_spoil_what_comes_after():
    good = get_format("plain").render_batch(np.ones((1, 2, 3), dtype=np.uint8), " #")[0]
    reader = GridReader(Profile(palette=" #", format="plain"))
    first, second = reader.read(["x" * len(good), good])
    assert isinstance(first, FormatError)
    assert np.array_equal(second, np.ones((2, 3)))
    assert reader.read([]) == []


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
    with pytest.raises(FormatError, match="unknown format 'jpeg'"):
        read_profile(tmp_path, "jpeg", "ascii")
