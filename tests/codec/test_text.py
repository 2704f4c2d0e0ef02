import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glyphsight.codec import PUBLISHED, Profile, decode, parse
from glyphsight.codec.formats import get_format
from glyphsight.codec.levels import quantize
from glyphsight.errors import FormatError

render_batch = get_format("seed").render_batch


def render(grid, palette=PUBLISHED.palette):
    return render_batch(grid[None], palette)[0]


glyphs = st.characters(
    exclude_categories=["Cs", "Cc", "Cf", "Mn", "Mc", "Me", "Zl", "Zp"],
    exclude_characters="<>"
    + "".join(map(chr, [*range(0x1F3FB, 0x1F400), *range(0x1F1E6, 0x1F200)])),
)
palettes = st.lists(glyphs, min_size=2, max_size=16, unique=True).map("".join)


@st.composite
def grids(draw, count=1):
    """A palette and level grids of one size for it."""
    palette = draw(palettes)
    shape = count, draw(st.integers(1, 12)), draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return palette, rng.integers(0, len(palette), shape, dtype=np.uint8)


@settings(deadline=None)
@given(grids())
def test_what_is_rendered_parses_to_the_same_grid(drawn):
    palette, (grid,) = drawn
    text = render(grid, palette)
    np.testing.assert_array_equal(parse(text, palette), grid)
    assert parse(text, palette).dtype == np.uint8


@settings(deadline=None)
@given(grids(count=3))
def test_a_batch_renders_as_its_grids_do_one_by_one(drawn):
    palette, levels = drawn
    assert render_batch(levels, palette) == [render(grid, palette) for grid in levels]


@settings(deadline=None)
@given(grids())
def test_decoded_gray_cut_into_levels_again_is_the_same_grid(drawn):
    palette, (grid,) = drawn
    gray = decode(render(grid, palette), Profile(palette=palette))
    np.testing.assert_array_equal(quantize(gray, len(palette)), grid)


def test_the_text_is_written_as_published(golden):
    text = (golden / "five.txt").read_text(encoding="utf-8")
    assert render(parse(text)) == text
    assert parse(text).shape == (11, 20)
    assert np.unique(decode(text)).tolist() == [0, 128, 255]


def test_row_numbers_may_have_many_digits():
    grid = np.zeros((1234, 1), dtype=np.uint8)
    text = render(grid)
    assert text.endswith("<row:1234> </row:1234>\n")
    np.testing.assert_array_equal(parse(text), grid)


@pytest.mark.parametrize(
    ("text", "line", "complaint"),
    [
        ("<row:1>▓▓</row:1>\n<row:2>▓▓</row:2>", 2, "does not end in a newline"),
        ("\n", 1, "not a <row:1>...</row:1> line: ''"),
        ("<row:1>▓▓</row:1>\n\n<row:2>▓▓</row:2>\n", 2, "not a <row:2>"),
        ("<row:1>▓▓</row:1>\n<row:2>▓▓</row:2>\n\n", 3, "not a <row:3>"),
        ("hello\n", 1, "not a <row:1>...</row:1> line: 'hello'"),
        ("<row:1>▓▓</row:1> \n", 1, "not a <row:1>"),
        ("<row:1>▓▓\n", 1, "not a <row:1>"),
        (
            "<row:1>▓▓</row:1>\n<row:3>▓▓</row:3>\n",
            2,
            "not a <row:2>...</row:2> line: '<row:3>▓",
        ),
        ("<row:0>▓▓</row:0>\n", 1, "not a <row:1>...</row:1> line: '<row:0>"),
        ("<row:1>▓▓</row:2>\n", 1, "not a <row:1>...</row:1> line"),
        ("<row:01>▓▓</row:01>\n", 1, "not a <row:1>...</row:1> line"),
        ("<row:١>▓▓</row:١>\n", 1, "not a <row:1>...</row:1> line"),
        ("<row:1>▓▓</row:1>\n<row:2>▓▓▓</row:2>\n", 2, "3 glyphs in the row, expected 2"),
        ("<row:1></row:1>\n", 1, "0 glyphs in the row, expected at least 1"),
        ("<row:1>▓▓</row:1>\n<row:2>▓x</row:2>\n", 2, "column 9: glyph 'x' is not one of ' ▓█'"),
        ("<row:1>▓▓</row:1></row:1>\n", 1, "column 10: glyph '<' is not one of"),
        ("<row:1>▓▓</row:1>\r\n", 1, "a carriage return"),
        ("\ufeff<row:1>▓▓</row:1>\n", 1, "not a <row:1>"),
    ],
)
def test_malformed_text_is_refused_by_line(text, line, complaint):
    with pytest.raises(FormatError, match=f"^line {line}: ") as caught:
        parse(text)
    assert caught.value.line == line
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_empty_text_is_refused():
    with pytest.raises(FormatError, match="the text is empty") as caught:
        parse("")
    assert caught.value.line == 0


@given(st.text("<row:12>/ ▓█x\n\r"))
def test_no_text_at_all_ends_in_anything_but_a_grid_or_a_format_error(text):
    try:
        grid = parse(text)
    except FormatError:
        return
    assert render(grid) == text


def test_a_level_without_a_glyph_is_refused():
    with pytest.raises(FormatError, match="level 3 has no glyph in palette ' ▓█'"):
        render(np.array([[0, 3]], dtype=np.uint8))


@pytest.mark.parametrize("shape", [(0, 20), (11, 0)])
def test_a_grid_without_cells_is_refused(shape):
    with pytest.raises(FormatError, match="holds nothing to write"):
        render(np.zeros(shape, dtype=np.uint8))


@pytest.mark.parametrize(
    ("palette", "complaint"),
    [
        ("", "palette '' has 0 glyphs; give 2 to 16"),
        ("█", "palette '█' has 1 glyphs; give 2 to 16"),
        ("0123456789abcdefg", "has 17"),
        (" ██", "repeats a glyph"),
        (" <", "glyph '<' would break the row tags"),
        (" >", "glyph '>' would break the row tags"),
        (" \n", "would break the row tags"),
        (" \r", "would break the row tags"),
        (" \0", "would break the row tags"),
        (" \udcff", "is no character"),
    ],
)
def test_a_palette_that_could_not_be_read_back_is_refused(palette, complaint):
    with pytest.raises(FormatError) as caught:
        Profile(palette=palette)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("width", [0, -1])
def test_a_profile_has_at_least_one_column(width):
    with pytest.raises(FormatError, match=f"width is {width}; give a whole number, at least 1"):
        Profile(width=width)


def test_the_default_profile_is_the_published_one():
    assert Profile() == Profile(width=20, palette=" ▓█")
    assert Profile().levels == 3
