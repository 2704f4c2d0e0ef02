import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glyphsight.codec import Profile, encode_batch, parse
from glyphsight.codec.formats import FORMATS, get_format
from glyphsight.errors import FormatError

OWN = [
    *("seed", "plain", "trim", "rows", "digits", "spaced", "rle", "hex", "coords"),
    *("half", "quadrant", "braille"),
]
glyphs = st.characters(exclude_categories=["Cs"], exclude_characters="<>\n\r\0")
GRID = np.array([[0, 0, 2, 1], [1, 1, 0, 0], [2, 2, 2, 2]], dtype=np.uint8)


@st.composite
def batches(draw, name):
    """Three grids of one size, and a palette, that the format called ``name`` carries."""
    form = get_format(name)
    palette = draw(st.lists(glyphs, min_size=2, max_size=form.max_levels, unique=True).map("".join))
    if name == "rle" and set(palette[1:]) & set("0123456789 "):
        palette = " ░▒▓█abcdefghijk"[: len(palette)]
    tall, wide = form.cell
    rows = draw(st.integers(1, 40 // tall)) * tall
    columns = draw(st.integers(1, 40 // wide)) * wide
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    top = draw(st.integers(1, len(palette)))
    return palette, rng.integers(0, top, (3, rows, columns), dtype=np.uint8)


@pytest.mark.parametrize("name", OWN)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_every_format_reads_back_the_grid_it_wrote(name, data):
    palette, grids = data.draw(batches(name))
    form = get_format(name)
    texts = form.render_batch(grids, palette)
    assert texts == [form.render_batch(grid[None], palette)[0] for grid in grids]
    for grid, text in zip(grids, texts, strict=True):
        read = form.read(text, palette)
        np.testing.assert_array_equal(read, grid)
        assert read.dtype == np.uint8
        assert text.endswith("\n")


@pytest.mark.parametrize("name", OWN)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_text_with_one_character_changed_is_another_grid_or_a_format_error(name, data):
    palette, grids = data.draw(batches(name))
    form = get_format(name)
    text = form.render_batch(grids[:1], palette)[0]
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.text(max_size=2)) + text[at + 1 :]
    try:
        grid = form.read(changed, palette)
    except FormatError:
        return
    assert form.render_batch(grid[None], palette) == [changed]


@pytest.mark.parametrize("name", OWN)
@settings(deadline=None)
@given(text=st.text("0123456789x:, \n\r▓█<row:/>⣿▙▄\ud800"))
def test_no_text_ends_in_anything_but_a_grid_or_a_format_error(name, text):
    form = get_format(name)
    palette = " ▓█"[: form.max_levels]
    try:
        grid = form.read(text, palette)
    except FormatError:
        return
    assert form.render_batch(grid[None], palette) == [text]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("seed", "<row:1>  █▓</row:1>\n<row:2>▓▓  </row:2>\n<row:3>████</row:3>\n"),
        ("plain", "  █▓\n▓▓  \n████\n"),
        ("trim", "  █▓\n▓▓\n████\n"),
        ("rows", "1:  █▓\n2:▓▓  \n3:████\n"),
        ("digits", "0021\n1100\n2222\n"),
        ("spaced", "    █ ▓\n▓ ▓    \n█ █ █ █\n"),
        ("rle", "2 1█ 1▓\n2▓ 2\n4█\n"),
        ("hex", "4x3\n09\n50\naa\n"),
        ("coords", "4x3\n1: 3,0 0,1 1,1\n2: 2,0 0,2 1,2 2,2 3,2\n"),
    ],
)
def test_each_format_is_written_so(name, text):
    assert get_format(name).render_batch(GRID[None], " ▓█") == [text]


def test_each_block_format_is_written_so():
    pixels = np.array([[1, 0], [0, 0], [0, 1], [1, 1]], dtype=np.uint8)[None]
    assert get_format("braille").render_batch(pixels, " █") == ["⣡\n"]  # dots 1, 6, 7 and 8
    assert get_format("quadrant").render_batch(pixels, " █") == ["▘\n▟\n"]
    assert get_format("half").render_batch(pixels, " █") == ["▀ \n▄█\n"]


def test_a_profile_names_its_format_and_its_width_counts_glyphs():
    pixels = np.zeros((1, 28, 28), dtype=np.uint8)
    for name in OWN:
        text = encode_batch(pixels, Profile(palette=" █", format=name))[0]
        tall, wide = get_format(name).cell
        assert get_format(name).read(text, " █").shape == (11 * tall, 20 * wide)


@pytest.mark.parametrize("name", ["half", "quadrant", "braille"])
def test_levels_that_a_format_cannot_carry_are_refused(name):
    form = get_format(name)
    complaint = f"format {name} carries 2 levels, palette ' ▓█' has 3; give one of 2, "
    complaint += "such as ' █' (--palette)"
    with pytest.raises(FormatError) as caught:
        form.render_batch(np.zeros((1, 4, 2), dtype=np.uint8), " ▓█")
    assert str(caught.value) == complaint
    with pytest.raises(FormatError) as caught:
        form.read("⣿\n", " ▓█")
    assert str(caught.value) == complaint


def test_a_part_of_a_glyph_is_refused():
    with pytest.raises(FormatError, match="does not divide into the 4x2"):
        get_format("braille").render_batch(np.zeros((1, 4, 3), dtype=np.uint8), " █")


def test_rle_refuses_glyphs_that_look_like_lengths():
    for palette in ("01", "█ ", " ▓3"):
        with pytest.raises(FormatError, match="would be read as part of a run's length"):
            get_format("rle").render_batch(GRID[None] * 0, palette)


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("shape", [(1, 0, 4), (1, 4, 0)])
def test_a_grid_without_cells_is_refused(name, shape):
    with pytest.raises(FormatError, match="holds nothing to write"):
        get_format(name).render_batch(np.zeros(shape, dtype=np.uint8), " █")


@pytest.mark.parametrize("name", OWN)
def test_a_level_without_a_glyph_is_refused(name):
    with pytest.raises(FormatError, match="level 2 has no glyph"):
        get_format(name).render_batch(np.full((1, 4, 4), 2, dtype=np.uint8), " █")


@pytest.mark.parametrize("name", OWN)
def test_no_grids_give_no_texts(name):
    assert get_format(name).render_batch(np.zeros((0, 4, 4), dtype=np.uint8), " █") == []


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("trim", "  ▓\n▓ \n▓▓▓\n", "line 2: column 2: the row ends in ' '; leave it out"),
        ("trim", "▓▓\n▓▓▓\n▓▓\n", "line 2: column 3: 3 glyphs in the row, expected 2"),
        ("trim", "▓▓\n▓\n", "line 2: column 2: 1 glyphs in the row, expected 2"),
        ("trim", " " * 5000 + "\n" * 5000, "line 1: 5000x5000 cells are too many"),
        ("plain", "", "the text is empty"),
        ("plain", "▓▓", "line 1: column 3: the last line does not end in a newline"),
        ("plain", "▓▓\n▓\n", "line 2: column 2: 1 glyphs in the row, expected 2"),
        ("plain", "▓▓\n▓x\n", "line 2: column 2: glyph 'x' is not one of ' ▓█'"),
        ("plain", "▓▓\r\n", "line 1: column 3: a carriage return"),
        ("plain", "\n", "line 1: column 1: 0 glyphs in the row, expected at least 1"),
        ("rows", "1:▓▓\n3:▓▓\n", "line 2: column 1: not a 2:... line: '3:▓▓'"),
        ("rows", "1:▓▓\n2:▓x\n", "line 2: column 4: glyph 'x' is not one of"),
        ("digits", "0123\n", "line 1: column 4: glyph '3' is not one of '012'"),
        ("spaced", "▓ ▓\n▓x▓\n", "line 2: column 2: no space between two glyphs"),
        ("spaced", "▓ ▓ \n", "line 1: column 4: a gap ends the row"),
        ("rle", "2▓ 2\n2▓ x\n", "line 2: column 4: 'x' is no run of palette ' ▓█'"),
        ("rle", "2▓ 2▓\n", "line 1: column 4: run '2▓' is of the same level"),
        ("rle", "2▓ 2\n3▓\n", "line 2: column 2: 3 cells in the row, expected 4"),
        ("rle", "99999999\n", "line 1: 99999999x1 cells are too many"),
        ("hex", "4\n00\n", "line 1: column 1: '4' is no size"),
        ("hex", "4x2\n00\n", "line 1: column 1: 2 rows stated, 1 follow"),
        ("hex", "4x1\n000\n", "line 2: column 1: 3 digits in the row, 4 columns take 2"),
        ("hex", "3x1\n01\n", "line 2: column 2: level 1 in cell 4, beyond the last column"),
        ("hex", "4x1\n0f\n", "line 2: column 2: level 3 in cell 3, palette is ' ▓█'"),
        ("coords", "4x1\n1:\n", "line 1: column 1: 2 lines of points must follow"),
        ("coords", "4x1\n1: 4,0\n2:\n", "line 2: column 4: '4,0' is no point of a grid of 4x1"),
        ("coords", "4x1\n1: 1,0\n2: 0,0 1,0\n", "line 3: column 8: point 1,0 repeated"),
        ("coords", "4x1\n2:\n1:\n", "line 2: column 1: '2:' instead of 1:"),
        ("coords", "9999999x9999999\n1:\n2:\n", "line 1: 9999999x9999999 cells are too many"),
    ],
)
def test_errors_name_line_and_column(name, text, complaint):
    with pytest.raises(FormatError) as caught:
        get_format(name).read(text, " ▓█")
    assert str(caught.value).startswith(complaint)


FAKE = """
class Upside:
    name = "upside"
    cell = (1, 1)
    max_levels = 16

    def render_batch(self, levels, palette):
        return ["|".join("".join(palette[v] for v in row) for row in grid[::-1]) for grid in levels]

    def read(self, text, palette):
        import numpy as np

        return np.array([[palette.index(g) for g in row] for row in text.split("|")[::-1]], "u1")


class Half:
    name = "broken"
"""


@pytest.fixture
def fake_distribution(tmp_path, monkeypatch):
    """A package on the path that registers formats of its own."""
    info = tmp_path / "upside_down-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: upside-down\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[{FORMATS.group}]\nupside = fake_format:Upside\nbroken = fake_format:Half\n"
        "gone = no_such_module:Gone\nplain = fake_format:Upside\n"
    )
    (tmp_path / "fake_format.py").write_text(FAKE)
    monkeypatch.syspath_prepend(tmp_path)
    get_format.cache_clear()
    yield
    get_format.cache_clear()
    sys.modules.pop("fake_format", None)


@pytest.mark.usefixtures("fake_distribution")
def test_a_users_own_format_is_found_by_its_entry_point():
    assert FORMATS.names() == [*OWN, "upside", "broken", "gone"]
    form = get_format("upside")
    assert form.render_batch(GRID[None], " ▓█") == ["████|▓▓  |  █▓"]
    np.testing.assert_array_equal(form.read("████|▓▓  |  █▓", " ▓█"), GRID)
    assert "upside: From upside-down." in FORMATS.help()
    assert encode_batch(np.zeros((1, 4, 4), np.uint8), Profile(2, format="upside")) == ["  "]


@pytest.mark.usefixtures("fake_distribution")
def test_the_projects_own_name_is_never_taken():
    assert get_format("plain").render_batch(GRID[None], " ▓█")[0].endswith("\n")


@pytest.mark.usefixtures("fake_distribution")
@pytest.mark.parametrize(
    ("name", "complaint"),
    [("broken", "'broken' of upside-down has no cell"), ("gone", "upside-down cannot be loaded")],
)
def test_a_users_format_that_does_not_work_is_named(name, complaint):
    with pytest.raises(FormatError, match=complaint):
        get_format(name)


def test_help_has_a_line_for_each_format():
    lines = FORMATS.help().splitlines()
    assert [line.split(":")[0] for line in lines[: len(OWN)]] == OWN
    assert all(line.endswith(".") for line in lines)


def test_an_unknown_format_is_refused_with_the_names_there_are():
    with pytest.raises(FormatError, match="unknown format 'ascii'; give one of seed, plain, trim"):
        get_format("ascii")


def test_seed_is_the_published_format(golden):
    five = (golden / "five.txt").read_text("utf-8")
    assert get_format("seed").render_batch(parse(five)[None], " ▓█") == [five]
