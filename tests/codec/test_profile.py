import json
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from glyphsight.codec import Profile
from glyphsight.codec.profile import PALETTES, palette_of_levels, parse_thresholds
from glyphsight.errors import FormatError
from glyphsight.settings import settings_of


@pytest.mark.parametrize(
    "profile",
    [
        Profile(),
        Profile(height=3, aspect=1.0, invert="auto", crop=0.1, contrast=True, edges="dog"),
        Profile(palette="ascii", threshold=(1, 2, 3, 4, 5, 6, 7, 8, 9)),
    ],
)
def test_a_profile_survives_json(profile):
    assert Profile(**json.loads(json.dumps(asdict(profile)))) == profile
    assert hash(Profile(**json.loads(json.dumps(asdict(profile))))) == hash(profile)


def test_a_profile_of_an_older_version_is_read():
    assert Profile(**{"width": 20, "palette": " ▓█"}) == Profile()


def test_every_setting_is_documented_once_for_the_command_line_too():
    settings = settings_of(Profile)
    assert list(settings) == [field.name for field in fields(Profile)]
    assert settings["width"].line() == "Number of columns. [at least 1; default: 20]"
    assert all(one.help.endswith(".") and "  " not in one.help for one in settings.values())


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"height": 0}, "height is 0; give a whole number, at least 1"),
        ({"aspect": 0.0}, "give a number, above 0"),
        ({"aspect": float("nan")}, "give a number, above 0"),
        ({"crop": -0.1}, "crop is -0.1; give a number, 0 to 1"),
        ({"invert": "maybe"}, "invert is 'maybe'; give one of no, yes, auto"),
        ({"dither": "bayer"}, "dither is 'bayer'; give one of none, ordered, floyd-steinberg"),
        ({"edges": "canny"}, "edges is 'canny'; give one of none, sobel, dog"),
        ({"threshold": "half"}, "threshold 'half'; give one of equal, otsu, adaptive, or numbers"),
        ({"threshold": (80,)}, "do not fit 3 levels; give 2 increasing"),
        ({"threshold": (160, 80)}, "increasing whole numbers 1 to 255"),
        ({"threshold": (80, 80)}, "increasing whole numbers 1 to 255"),
        ({"threshold": (0, 80)}, "increasing whole numbers 1 to 255"),
        ({"threshold": (80, 256)}, "increasing whole numbers 1 to 255"),
        ({"threshold": "otsu", "dither": "ordered"}, "equal levels only"),
        ({"palette": " e\u0301"}, "U+0301, a combining mark"),
        ({"palette": "☀\ufe0f☁"}, "U+FE0F, a variation selector"),
        ({"palette": " 👩\u200d🚀"}, "U+200D, part of an emoji sequence"),
        ({"palette": " 👍🏽"}, "U+1F3FD, part of an emoji sequence"),
        ({"palette": " 🇫🇷"}, "U+1F1EB, part of an emoji sequence"),
        ({"palette": " \t"}, "U+0009 is a control character"),
        ({"palette": " \u2028"}, "U+2028 is a control character"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(settings, complaint):
    with pytest.raises(FormatError) as caught:
        Profile(**settings)
    assert complaint in str(caught.value)


def test_palettes_go_by_name_and_wide_glyphs_are_taken():
    for name, glyphs in PALETTES.items():
        assert Profile(palette=name) == Profile(palette=glyphs)
    assert Profile(palette="⬛🟥⬜").levels == 3


@pytest.mark.parametrize("levels", range(2, 17))
def test_there_is_a_palette_of_any_number_of_levels(levels):
    glyphs = palette_of_levels(levels)
    assert Profile(palette=glyphs).levels == levels


def test_levels_pick_evenly_from_a_named_palette():
    assert palette_of_levels(3) == Profile().palette
    assert palette_of_levels(2) == " █"
    assert palette_of_levels(3, "ascii") == " +@"
    assert palette_of_levels(8, "digits") == "01234567"
    assert palette_of_levels(3, "abc") == "abc"
    for levels, palette in [(1, None), (17, None), (4, "abc"), (6, "blocks")]:
        with pytest.raises(FormatError, match="levels"):
            palette_of_levels(levels, palette)


def test_thresholds_are_read_from_text():
    assert parse_thresholds("80, 160") == (80, 160)
    assert parse_thresholds("7") == (7,)
    assert parse_thresholds("otsu") == "otsu"


def test_height_and_aspect_decide_the_rows():
    assert Profile().rows(28, 28) == 11
    assert Profile(aspect=1.0).rows(28, 28) == 20
    assert Profile(height=7).rows(28, 28) == 7


def test_a_wide_picture_has_the_columns_that_keep_its_shape():
    profile = Profile(width=16, height=9, widest=48)
    assert [profile.columns(40, wide) for wide in (10, 40, 75, 85, 100, 400)] == [
        16,
        16,
        16,
        35,
        41,
        48,
    ]
    assert profile.has_columns(16)
    assert not profile.has_columns(20)
    assert not profile.has_columns(49)
    assert Profile(width=16, height=9).columns(40, 400) == 16


@pytest.mark.parametrize("given", [{"widest": 48}, {"widest": 20, "height": 9, "width": 16}])
def test_widest_needs_a_height_and_room(given):
    with pytest.raises(FormatError, match=r"widest.*leave widest out"):
        Profile(**given)


def test_the_document_says_what_the_profile_says():
    document = Path(__file__).parents[2] / "docs" / "formats-and-options.md"
    text = document.read_text(encoding="utf-8")
    for name, one in settings_of(Profile).items():
        assert f"| `{name}` |" in text
        assert f"| {one.line()} |" in text
    for name, glyphs in PALETTES.items():
        assert f"| `{name}` | {len(glyphs)} | `{glyphs}` |" in text
