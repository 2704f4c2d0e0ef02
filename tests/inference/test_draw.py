from dataclasses import replace

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel
from tokenizers.models import BPE, WordLevel

from glyphsight.codec import Profile, encode_batch
from glyphsight.codec.formats import get_format
from glyphsight.codec.layout import layout_of
from glyphsight.errors import FormatError, ModelError
from glyphsight.inference import DrawSettings, Model
from glyphsight.inference.draw import Grammar, write_drawings
from glyphsight.models import LoadedModel, RunRecord
from glyphsight.models.nano import MadeFor, make_nano
from glyphsight.models.tokens import load_tokenizer

PROFILE = Profile(width=10, palette=" ▓█")
EACH = [
    replace(PROFILE, format=form, palette=palette)
    for form, palette in (
        ("seed", " ▓█"), ("plain", "digits"), ("rows", " .:-=+*#%@"), ("spaced", "01"),
        ("braille", " █"),
    )
]  # fmt: skip


def untrained(profile):
    """A nano that knows nothing, but may draw two labels."""
    model, tokenizer = make_nano(0, made_for=MadeFor(profile))
    run = RunRecord("nano", profile=profile, draws=("7", "8"))
    return Model(LoadedModel(model.eval(), tokenizer, "untrained", run))


@pytest.fixture(scope="module")
def model():
    return untrained(PROFILE)


def levels(text, profile=PROFILE):
    return get_format(profile.format).read(text, profile.palette)


@pytest.mark.parametrize("profile", EACH, ids=lambda one: f"{one.format} {one.palette[:3]!r}")
def test_a_drawing_is_well_formed_whatever_the_model_knows(profile):
    for one in untrained(profile).draw("7", DrawSettings(n=2, temperature=1.5, seed=0)):
        tall, wide = get_format(profile.format).cell
        assert levels(one.ascii_image, profile).shape == (5 * tall, 10 * wide)
        [again] = encode_batch(one.picture()[None], profile)
        assert len(again) == len(one.ascii_image)


class Random:
    """A model that knows nothing, with the tokens of SmolLM2."""

    def __init__(self, size):
        self.random, self.size = np.random.default_rng(0), size

    def advance(self, new, states):
        rows = self.random.standard_normal((len(new), self.size)).astype(np.float32)
        return [(row - np.log(np.exp(row).sum()), None) for row in rows]


@pytest.mark.parametrize("form", ["seed", "plain"])
def test_tokens_that_end_inside_a_glyph_fit_too(form):
    tokenizer, places = load_tokenizer(), layout_of(replace(PROFILE, format=form))
    grammar = Grammar.of(Wrapped(tokenizer), places)
    random = Random(grammar.size)
    settings = DrawSettings(n=4, temperature=1, seed=1)
    texts = write_drawings(random.advance, [1], grammar, settings, gap=False)
    for ids, _ in texts:
        assert levels(tokenizer.decode(ids), replace(PROFILE, format=form)).shape == (5, 10)


def test_where_no_token_goes_on_another_model_is_named():
    words = Tokenizer(WordLevel({"a": 0, "b": 1}, unk_token="a"))
    few = Tokenizer(BPE({"a": 0, "b": 1}, []))
    few.decoder = ByteLevel()
    for tokenizer in (object(), Wrapped(words), Wrapped(few)):
        with pytest.raises(ModelError, match=r"no grammar for this tokenizer.*another model"):
            write_drawings(
                Random(2).advance, [1], Grammar.of(tokenizer, "bc"), DrawSettings(), gap=False
            )


def test_a_drawing_ends_at_the_window(model, monkeypatch):
    [whole] = model.draw("7", DrawSettings(seed=0))
    tokens = model.tokenizer(whole.ascii_image, add_special_tokens=False)["input_ids"]
    monkeypatch.setattr(Model, "window", len(tokens))
    with pytest.raises(ModelError, match=r"tokens that the model has left.*fewer columns"):
        model.draw("7", DrawSettings(seed=0))


def test_a_drawing_is_ended_between_two_tokens(model):
    def step():
        left.pop()

    left = [None] * 5
    with pytest.raises(IndexError):
        model.draw("7", step=step)


class Wrapped:
    """A tokenizer as the engines hold it."""

    eos_token_id = 0

    def __init__(self, backend):
        self.backend_tokenizer = backend


def test_a_seed_gives_the_same_drawings_however_many(model):
    two, three = (model.draw("7", DrawSettings(n=n, seed=5)) for n in (2, 3))
    assert two == three[:2]
    assert two[0] != two[1]
    assert model.draw("7", DrawSettings(seed=6))[0] != two[0]
    [cold, same] = model.draw("7", DrawSettings(n=2, temperature=0))
    assert cold == same


def test_what_is_given_stays_and_the_rest_is_drawn(model):
    [whole] = model.draw("7", DrawSettings(seed=1))
    rows = whole.ascii_image.splitlines(keepends=True)
    glyph = rows[4].replace("█", "?", 1)
    for given in ("".join(rows[:3]), "".join(rows[:1] + rows[2:]), "".join([*rows[:4], glyph])):
        for one in model.draw("8", DrawSettings(n=2, seed=3), given):
            drawn = one.ascii_image.splitlines(keepends=True)
            assert len(drawn) == 5
            tags = [int(row[5]) - 1 for row in given.splitlines()]
            for at, row in zip(tags, given.splitlines(keepends=True), strict=True):
                pairs = zip(row, drawn[at], strict=True)
                assert all(
                    want == got or (want, got in " ▓█") == ("?", True) for want, got in pairs
                )


def test_rows_are_taken_as_windows_and_editors_leave_them():
    plain = untrained(replace(PROFILE, format="plain"))
    [one] = plain.draw("7", given="\r\n  █\r\n     ▓▓▓▓▓\r\n", settings=DrawSettings(seed=0))
    assert one.ascii_image.splitlines()[1:3] == ["  █       ", "     ▓▓▓▓▓"]


def test_without_a_label_the_likeliest_of_what_is_given_is_drawn():
    model = Model("draw")
    for label in ("1", "0"):
        [whole] = model.draw(label, DrawSettings(seed=1))
        half = "".join(whole.ascii_image.splitlines(keepends=True)[:8])
        [one] = model.draw(given=half, settings=DrawSettings(seed=0))
        assert one.label == label


@pytest.mark.parametrize(
    ("label", "given", "error", "told"),
    [
        ("9", "", ModelError, "7, 8"),
        (None, "", ModelError, "7, 8"),
        ("7", "<row:1>  </row:1>\n", FormatError, "line 1: .*there are 5, of 10 glyphs"),
        ("7", "<row:2>          </row:2>\n<row:1>          </row:1>\n", FormatError, "line 2"),
    ],
)
def test_what_cannot_be_drawn_is_named_with_the_fix(model, label, given, error, told):
    with pytest.raises(error, match=told):
        model.draw(label, given=given)


def test_a_model_that_only_sees_says_what_draws():
    with pytest.raises(ModelError, match="nano-digits: was not trained to draw; give draw"):
        Model("nano-digits").draw("7")


@pytest.mark.parametrize("form", ["trim", "rle", "hex"])
def test_a_format_without_a_place_for_each_glyph_is_refused(form):
    with pytest.raises(FormatError, match="take seed or plain"):
        layout_of(Profile(format=form))
