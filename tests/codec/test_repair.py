import html
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import glyphsight
from glyphsight.codec import PUBLISHED, Profile
from glyphsight.codec.formats import FORMATS, get_format
from glyphsight.codec.repair import MAX_COLUMNS, MAX_ROWS, repair
from glyphsight.errors import FormatError

ROWS = ["<row:1>▓▓ </row:1>", "<row:2> ██</row:2>", "<row:3>▓ █</row:3>"]
GRID = np.array([[1, 1, 0], [0, 2, 2], [1, 0, 2]], dtype=np.uint8)
FLAWLESS = "".join(f"{row}\n" for row in ROWS)


def test_a_flawless_text_is_read_as_it_is(golden):
    five = (golden / "five.txt").read_text("utf-8")
    assert repair(five).repairs == ()
    np.testing.assert_array_equal(glyphsight.decode(five), glyphsight.decode(five, strict=True))


@pytest.mark.parametrize("name", ["five.json", "as-published.json"])
def test_the_published_dataset_file_is_taken(golden, name):
    reading = repair((golden / name).read_text("utf-8"))
    np.testing.assert_array_equal(
        reading.levels, repair((golden / "five.txt").read_text("utf-8")).levels
    )
    assert reading.repairs == ("ASCII_image taken out of a JSON record",)


@pytest.mark.parametrize(
    ("text", "repaired"),
    [
        (f"\n\n  {FLAWLESS}  \n", "whitespace around the rows"),
        (FLAWLESS[:-1], "whitespace around the rows"),
        ("\n".join(f"   {row}  " for row in ROWS), "whitespace around the rows"),
        (f"\ufeff{FLAWLESS}", "text around the rows dropped"),
        (f"Here it is:\n```\n{FLAWLESS}```\nA five.", "text around the rows dropped"),
        (f"```text\n{FLAWLESS}", "text around the rows dropped"),
        (html.escape(FLAWLESS), "HTML escapes undone"),
        (f"<pre>{html.escape(FLAWLESS)}</pre>", "HTML escapes undone"),
        (html.escape(FLAWLESS).replace(" ", "&nbsp;"), "no-break spaces taken as spaces"),
        (FLAWLESS.replace("\n", "\r\n"), "carriage returns dropped"),
        ("".join(ROWS), "whitespace around the rows"),
        (json.dumps({"ASCII_image": FLAWLESS}), "out of a JSON record"),
        (json.dumps([{"ASCII_image": FLAWLESS}] * 3), "out of the first of 3 JSON records"),
        (f"```json\n{json.dumps({'ASCII_image': FLAWLESS})},\n```", "out of a JSON record"),
        (json.dumps({"ASCII_image": FLAWLESS}, ensure_ascii=False)[:-12], "around the rows"),
        (FLAWLESS + FLAWLESS, "3 repeated rows left out, the first of each kept"),
        (FLAWLESS + "<row:2>███</row:2>\n", "1 repeated row left out"),
        ("\n".join(ROWS[::-1]), "rows put into the order of their numbers"),
        (FLAWLESS.replace("</row:2>", ""), "1 closing tag added"),
        (FLAWLESS.replace("</row:2>", "</row:3>"), "1 closing tag of another number changed"),
        (FLAWLESS.replace("row:2>", "row:02>"), "zeros before their numbers"),
        (FLAWLESS.replace("▓▓ <", "▓▓<"), "1 row filled with dark to 3 glyphs"),
        (FLAWLESS.replace("██<", "██▓▓<"), "1 row cut to 3 glyphs"),
        (FLAWLESS + "<row:0>█</row:0>", "1 row left out, numbered outside 1 to 4096"),
        (FLAWLESS + "<row:999999999>█</row:999999999>", "1 row left out, numbered outside"),
    ],
)
def test_flaws_are_repaired_and_said(text, repaired):
    reading = repair(text)
    np.testing.assert_array_equal(reading.levels, GRID)
    assert any(repaired in said for said in reading.repairs), reading.repairs
    assert glyphsight.decode(text).shape == (3, 3)
    with pytest.raises(FormatError):
        glyphsight.decode(text, strict=True)


def test_missing_rows_are_dark():
    reading = repair(f"{ROWS[0]}\n{ROWS[2]}\n<row:6>███</row:6>")
    assert reading.levels.tolist() == [[1, 1, 0], [0, 0, 0], [1, 0, 2]] + [[0] * 3] * 2 + [[2] * 3]
    assert reading.repairs == ("3 missing rows filled with dark",)


@pytest.mark.parametrize("name", [name for name in FORMATS.names() if name != "seed"])
def test_every_format_is_taken_out_of_what_stands_around_it(name):
    form = get_format(name)
    grid = np.random.default_rng(0).integers(0, 2, (8, 8), dtype=np.uint8)
    text = form.render_batch(grid[None], " █")[0]
    profile = Profile(palette=" █", format=name)
    for flawed in (
        text[:-1],
        f"\n\n{text}\n\n",
        text.replace("\n", "\r\n"),
        f"Look:\n```text\n{text}```\nSeen?",
        json.dumps([{"size": "8", "ASCII_image": text}]),
        f"\ufeff{text}",
    ):
        reading = repair(flawed, profile)
        np.testing.assert_array_equal(reading.levels, grid)
        assert reading.repairs
    with pytest.raises(FormatError):
        repair("hello", profile)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "the text is empty"),
        (" \n ", "the text is empty"),
        ("hello", "no <row:N>...</row:N> with N from 1 to 4096 in 'hello'"),
        ("<row:5000>█</row:5000>", "no <row:N>"),
        ("<row:1></row:1>", "no row holds a glyph"),
        ("<row:2>█x</row:2>", "row 2: glyph 'x', cell 2, is not in palette ' ▓█'; give the"),
        (f"<row:2>{'█' * (MAX_COLUMNS + 1)}</row:2>", "rows of 4097 glyphs are too wide to repair"),
    ],
)
def test_what_cannot_be_repaired_is_refused(text, complaint):
    with pytest.raises(FormatError) as caught:
        repair(text)
    assert str(caught.value).startswith(complaint)


def test_the_largest_that_is_filled_up_is_bounded():
    text = f"<row:{MAX_ROWS}>{'█' * MAX_COLUMNS}</row:{MAX_ROWS}>"
    assert repair(text).levels.shape == (MAX_ROWS, MAX_COLUMNS)


PIECES = [
    *("<row:", "</row:", ">", "<", "1", "2", "4096", "٣", "▓", "█", " ", "\n", "\r", "```", "\\n"),
    *('{"ASCII_image": "', '"ASCII_image"', '"', "}", "[", "]", ",", "&lt;row:1&gt;", "&#", "&"),
    *("<row:1>", "</row:1>", "<row:3>▓█</row:3>", "\u00a0", "&nbsp;", "\ud800", "\0", "x", ":"),
]


@settings(deadline=None, max_examples=400)
@given(text=st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=40).map("".join))
def test_any_text_is_a_grid_or_a_format_error(text):
    for name in ("seed", "plain", "rle", "coords"):
        try:
            levels = repair(text, Profile(format=name)).levels
        except FormatError:
            continue
        rows, columns = levels.shape
        assert rows >= 1
        assert columns >= 1
        assert int(levels.max()) < 3


@settings(deadline=None)
@given(st.lists(st.sampled_from([*ROWS, "\n", "prose"]), min_size=1, max_size=9).map("".join))
def test_what_was_repaired_is_flawless(text):
    try:
        reading = repair(text)
    except FormatError:
        return
    written = get_format("seed").render_batch(reading.levels[None], PUBLISHED.palette)[0]
    assert repair(written).repairs == ()
    np.testing.assert_array_equal(repair(written).levels, reading.levels)


@pytest.mark.parametrize(
    "piece", ['"ASCII_image":', "<row:1>", "<row:", "&lt;row:1", "```\n", "[{"]
)
def test_long_nonsense_takes_no_long_time(piece):
    text = piece * (1_000_000 // len(piece))
    for name in ("seed", "plain"):
        with pytest.raises(FormatError):
            repair(text, Profile(format=name))
