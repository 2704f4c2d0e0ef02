import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyphsight.codec.formats import FORMATS, cell_offsets, get_format, row_lines
from glyphsight.errors import FormatError


def grid(rows, columns, levels, seed):
    return np.random.default_rng(seed).integers(0, levels, (rows, columns)).astype(np.uint8)


@given(
    name=st.sampled_from(["seed", "plain", "trim", "rows", "digits", "spaced"]),
    rows=st.integers(1, 12),
    columns=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_each_cell_is_written_at_its_offset(name, rows, columns, seed):
    palette = " ▓█"
    levels = grid(rows, columns, 3, seed)
    [text] = get_format(name).render_batch(levels[None], palette)
    offsets = cell_offsets(text, name, palette)
    glyphs = "012" if name == "digits" else palette
    for level, offset in zip(levels.flat, offsets.flat, strict=True):
        assert text[offset] == glyphs[level] if offset >= 0 else level == 0
    found = offsets[offsets >= 0]
    assert len(np.unique(found)) == len(found)
    assert name == "trim" or (offsets >= 0).all()


@pytest.mark.parametrize("name", ["half", "quadrant", "braille"])
def test_cells_that_share_a_glyph_share_its_offset(name):
    form = get_format(name)
    tall, wide = form.cell
    levels = grid(3 * tall, 5 * wide, 2, 0)
    [text] = form.render_batch(levels[None], " #")
    offsets = cell_offsets(text, name, " #")
    for row in range(3):
        for column in range(5):
            block = offsets[row * tall : (row + 1) * tall, column * wide : (column + 1) * wide]
            assert (block == row * 6 + column).all()


def test_a_format_without_offsets_names_those_that_have_them():
    with pytest.raises(FormatError, match=r"^format rle gives cells no .* seed, plain, trim, rows"):
        cell_offsets("20\n", "rle", " #")


@pytest.mark.parametrize("name", FORMATS.names())
def test_a_line_per_row(name):
    form = get_format(name)
    tall, wide = form.cell
    palette = " #"
    levels = grid(4 * tall, 6 * wide, 2, 1)
    [text] = form.render_batch(levels[None], palette)
    if name == "coords":
        with pytest.raises(FormatError, match="does not write a line per row"):
            row_lines(text, name)
        return
    before, lines = row_lines(text, name)
    assert "".join(before + lines) == text
    assert len(lines) == 4
    changed = levels.copy()
    changed[2 * tall : 3 * tall] = 1 - changed[2 * tall : 3 * tall]
    [other] = form.render_batch(changed[None], palette)
    differ = [a != b for a, b in zip(lines, row_lines(other, name)[1], strict=True)]
    assert differ == [False, False, True, False]
