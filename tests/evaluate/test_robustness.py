from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from asking import scores
from glyphsight.codec import PUBLISHED, Profile, encode_batch, parse
from glyphsight.codec.formats import FORMATS, get_format
from glyphsight.codec.prepare import content_boxes
from glyphsight.dataset import Prompt, Record
from glyphsight.errors import DatasetError, FormatError, GlyphsightError
from glyphsight.evaluate import robustness as rewrite
from glyphsight.evaluate.robustness import PERTURBATIONS, robustness
from glyphsight.evaluate.study import pictures_at
from glyphsight.media import change
from glyphsight.models import load_model
from glyphsight.models.runs import Task
from glyphsight.sources import Batch
from sounds import tone


def rng():
    return np.random.default_rng(3)


def dot(count):
    pixels = np.zeros((count, 28, 28), dtype=np.uint8)
    pixels[:, 14, 14] = 255
    return pixels


# Pictures


@pytest.mark.parametrize(
    ("name", "nothing"),
    [
        *[("shift", 0), ("rotation", 0), ("scale", 1), ("thickness", 0)],
        *[("salt", 0), ("gaussian", 0), ("signed_constant", 0)],
    ],
)
def test_no_strength_is_no_change(name, nothing, validation):
    pixels = validation.pixels[:20]
    assert np.array_equal(getattr(change, name)(pixels, nothing, rng()), pixels)


@pytest.mark.parametrize("name", ["shift", "rotation", "scale", "thickness"])
def test_ink_on_paper_changes_as_light_on_dark_does(name, validation):
    pixels = validation.pixels[:20]
    function = getattr(change, name)
    assert np.array_equal(255 - function(255 - pixels, 1.5, rng()), function(pixels, 1.5, rng()))


def test_a_shift_goes_every_way_and_so_far():
    moved = change.shift(dot(40), 3, rng())
    found = {tuple(np.argwhere(picture)[0].tolist()) for picture in moved}
    assert found == {(11, 11), (11, 17), (17, 11), (17, 17)}


def test_a_shift_grows_with_the_picture():
    large = np.zeros((1, 280, 280), dtype=np.uint8)
    large[0, 140, 140] = 255
    [[_, row, _]] = np.argwhere(change.shift(large, 3, rng()))
    assert abs(row - 140) == 30


def test_a_rotation_turns_either_way(validation):
    pixels = validation.pixels[:20]
    turned = change.rotation(pixels, 90, rng())
    ways = set()
    for before, after in zip(pixels.astype(int), turned.astype(int), strict=True):
        [way] = [k for k in (1, 3) if np.abs(np.rot90(before, k) - after).max() <= 1]
        ways.add(way)
    assert ways == {1, 3}


def test_scale_is_a_factor_of_the_size():
    pixels = np.zeros((1, 28, 28), dtype=np.uint8)
    pixels[0, 9:19, 9:19] = 255
    for factor, size in ((0.6, 6), (1.4, 14)):
        top, bottom, left, right = content_boxes(change.scale(pixels, factor, rng()))[0]
        assert abs(bottom - top - size) <= 2
        assert abs(right - left - size) <= 2


def test_thickness_widens_and_narrows_a_stroke():
    pixels = np.zeros((1, 28, 28), dtype=np.uint8)
    pixels[0, :, 12:16] = 255
    assert (change.thickness(pixels, 1, rng())[0, 14] > 0).sum() == 6
    assert (change.thickness(pixels, -1, rng())[0, 14] > 0).sum() == 2


def test_salt_is_a_share_of_the_pixels():
    salted = change.salt(np.zeros((50, 28, 28), dtype=np.uint8), 0.1, rng())
    assert set(np.unique(salted)) == {0, 255}
    assert (salted == 255).mean() == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("eps", [0.01, 0.1, 0.3])
def test_gaussian_noise_stays_in_the_ball_and_its_deviation_is_that_of_lifts_test_digits(eps):
    noise = change.gaussian(np.full((200, 28, 28), 128, dtype=np.uint8), eps, rng()) - 128.0
    assert np.abs(noise).max() <= 255 * eps + 1  # cut down to whole gray values
    assert noise.std() == pytest.approx(255 * eps / 5.3826, rel=0.02, abs=0.4)


def test_gaussian_noise_does_not_depend_on_how_pictures_are_batched():
    gray = np.full((60, 28, 28), 128, dtype=np.uint8)
    whole = change.gaussian(gray, 0.3, rng())
    for size in (1, 7):
        drawn = rng()
        parts = [change.gaussian(gray[at : at + size], 0.3, drawn) for at in range(0, 60, size)]
        assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("eps", [0.01, 0.1, 0.3])
def test_signed_constant_noise_takes_two_values(eps):
    step = 255 * eps
    noisy = change.signed_constant(np.full((9, 28, 28), 100, dtype=np.uint8), eps, rng())
    assert set(np.unique(noisy)) == {int(100 - step), int(100 + step)}
    assert (noisy > 100).mean() == pytest.approx(0.5, abs=0.03)
    black = change.signed_constant(np.zeros((9, 28, 28), dtype=np.uint8), eps, rng())
    assert set(np.unique(black)) == {0, int(step)}


# Texts


@pytest.fixture(scope="module")
def written(validation):
    """A text of the published format and its grid."""
    [text] = encode_batch(validation.pixels[:1])
    return text, parse(text)


def test_other_glyphs_hold_the_same_grid(written):
    changed = rewrite.other_glyphs(*written, PUBLISHED, 0, rng())
    other = rewrite._other_palette(PUBLISHED.palette)
    assert not set(changed) & set("▓█")
    assert np.array_equal(parse(changed, other), written[1])


def test_without_tags_it_is_plain(written):
    assert rewrite.no_row_tags(*written, PUBLISHED, 0, rng()) == "".join(
        "".join(" ▓█"[level] for level in row) + "\n" for row in written[1]
    )


@pytest.mark.parametrize(("share", "lost"), [(0.01, 1), (0.2, 2), (0.4, 4), (1, 10)])
def test_rows_are_lost_with_their_tags_and_the_others_stay(written, share, lost):
    lines = written[0].splitlines()
    kept = rewrite.rows_dropped(*written, PUBLISHED, share, rng()).splitlines()
    assert len(kept) == 11 - lost
    assert [line for line in lines if line in kept] == kept


@pytest.mark.parametrize("pairs", [1, 2, 4])
def test_neighbouring_rows_are_exchanged_in_pairs(pairs):
    levels = (np.arange(11)[:, None] * np.ones(20, dtype=int) % 3).astype(np.uint8)
    swapped = parse(rewrite.rows_swapped("", levels, PUBLISHED, pairs, rng()))
    differ = np.flatnonzero((swapped != levels).any(axis=1))
    assert len(differ) == 2 * pairs
    for first, second in differ.reshape(-1, 2).tolist():
        assert second == first + 1
        assert np.array_equal(swapped[[first, second]], levels[[second, first]])


def test_salted_cells_are_the_brightest(written):
    salted = parse(rewrite.cell_salt(*written, PUBLISHED, 0.1, rng()))
    changed = salted != written[1]
    assert (salted[changed] == 2).all()
    assert 5 < changed.sum() < 40


REFUSED = {
    rewrite.other_glyphs: {"digits", "hex", "coords", "half", "quadrant", "braille"},
    rewrite.no_row_tags: set(FORMATS.names()) - {"seed", "rows"},
    rewrite.rows_dropped: {"coords"},
    rewrite.rows_swapped: set(),
    rewrite.cell_salt: set(),
}


@pytest.mark.parametrize("name", FORMATS.names())
def test_what_a_format_cannot_carry_is_refused_with_the_reason(name):
    form = get_format(name)
    tall, wide = form.cell
    profile = Profile(format=name, palette=" #")
    levels = np.random.default_rng(0).integers(0, 2, (6 * tall, 5 * wide)).astype(np.uint8)
    [text] = form.render_batch(levels[None], profile.palette)
    for function, refused in REFUSED.items():
        if name in refused:
            with pytest.raises(FormatError, match=f"format {name} "):
                function(text, levels, profile, 1, rng())
        else:
            assert function(text, levels, profile, 1, rng()) != text


# Conditions


@pytest.fixture(scope="module")
def nano():
    return load_model("nano-digits")


@pytest.fixture(scope="module")
def some(validation):
    return validation.take(np.arange(24))


@pytest.fixture(scope="module")
def conditions(nano, some):
    return robustness(nano, some, quiet=True)


@pytest.mark.slow
def test_every_strength_of_every_perturbation_has_a_share(conditions):
    expected = [(one.name, s) for one in PERTURBATIONS for s in one.strengths or (None,)]
    assert [(one.name, one.strength) for one in conditions] == [("clean", None), *expected]
    assert all(one.share.n == 24 and not one.skipped for one in conditions)
    published = {(o.name, o.strength): p for o in conditions for p in o.published.values()}
    assert published["Gaussian noise", 0.3] == 0.548
    assert published["signed constant noise", 0.01] == 0.8805
    assert len(published) == 6


@pytest.mark.slow
def test_strong_changes_hurt_and_the_profile_undoes_an_inversion(conditions):
    accuracy = {(one.name, one.strength): one.share.accuracy for one in conditions}
    clean = accuracy["clean", None]
    assert clean > 0.95
    assert accuracy["inversion", None] == clean
    for name, weak, strong in (
        *(("rotation", 10, 45), ("salt", 0.02, 0.2), ("rows dropped", 0.1, 0.4)),
        *(("salt on cells", 0.01, 0.1), ("rows swapped", 1, 4)),
    ):
        assert clean >= accuracy[name, weak] - 0.03
        assert accuracy[name, weak] > accuracy[name, strong]


@pytest.mark.slow
def test_a_condition_depends_neither_on_the_others_nor_on_the_batch(nano, some, conditions):
    names = ("salt", "rows dropped")
    again = robustness(nano, some, names=names, batch_size=7, quiet=True)
    assert again == [one for one in conditions if one.name in ("clean", *names)]
    other = robustness(nano, some, names=("rows dropped",), seed=1, quiet=True)
    assert [one.strength for one in other] == [None, 0.1, 0.2, 0.4]
    assert other != [one for one in conditions if one.name in ("clean", "rows dropped")]


@pytest.mark.slow
def test_clean_is_what_the_scorer_says(nano, some, conditions):
    asked = [Prompt().ask(text) for text in encode_batch(some.pixels)]
    best = scores(nano, asked, nano.run.labels).argmax(axis=1)
    right = sum(nano.run.labels[a] == b for a, b in zip(best, some.labels, strict=True))
    assert conditions[0].share.accuracy == right / 24


@pytest.mark.slow
def test_of_a_dataset_the_texts_alone_are_changed(nano, some, conditions):
    records = [
        Record(text, label, size="20")
        for text, label in zip(encode_batch(some.pixels), some.labels, strict=True)
    ]
    judged = {one.name: one for one in robustness(nano, records, quiet=True)}
    assert judged["rows dropped"] in conditions
    on = {one.name: one.on for one in PERTURBATIONS}
    for name, one in judged.items():
        if on.get(name) == "picture":
            assert one.share is None
            assert "a dataset holds texts, no pictures" in one.skipped
        else:
            assert one.share.n == 24


@pytest.mark.slow
def test_each_record_is_asked_its_own_question_with_its_own_labels(nano, some):
    odd = "Is it odd?"
    asked = replace(nano, run=replace(nano.run, tasks=(*nano.run.tasks, Task(odd, ("no", "yes")))))
    texts = encode_batch(some.pixels)
    own = [Record(text, "no", odd) for text in texts]
    [clean] = robustness(asked, own, names=(), quiet=True)
    prompts = [Prompt().ask(text, odd) for text in texts]
    right = int((scores(nano, prompts, ("no", "yes")).argmax(axis=1) == 0).sum())
    assert (clean.share.n, clean.share.accuracy) == (24, right / 24)
    digits = [Record(text, label) for text, label in zip(texts, some.labels, strict=True)]
    alone, both = (
        robustness(asked, records, names=("another hand",), quiet=True)
        for records in (digits, own + digits)
    )
    assert alone[0].share.accuracy == pytest.approx(2 * both[0].share.accuracy - right / 24)
    assert both[1].share.n == 48


@pytest.mark.slow
def test_pictures_of_several_sizes_come_in_batches(nano, some):
    large = np.kron(some.pixels[:5], np.ones((1, 3, 3), dtype=np.uint8))
    batches = [some.take(np.arange(5)), Batch(large, some.labels[:5], some.ids[:5])]
    names = ("shift", "rotation", "inversion", "salt on cells")
    for one in robustness(nano, batches, names=names, quiet=True):
        assert (one.share.n, one.skipped) == (10, "")


@pytest.mark.slow
def test_what_cannot_be_tried_is_named_with_the_reason(nano, some):
    tasks = (Task("", ("3", "x")),)
    run = replace(nano.run, profile=replace(PUBLISHED, format="plain"), tasks=tasks)
    few = some.take(np.flatnonzero(np.array(some.labels) == "3"))
    names = ("no row tags", "another hand", "salt on cells")
    found = {
        one.name: one for one in robustness(replace(nano, run=run), few, names=names, quiet=True)
    }
    assert "format plain has no row tags" in found["no row tags"].skipped
    assert "labels are 0 to 9" in found["another hand"].skipped
    assert found["no row tags"].share is found["another hand"].share is None
    assert found["salt on cells"].share.n == len(few)


@pytest.mark.slow
def test_a_text_too_long_for_the_model_is_left_out(nano, some):
    wide = replace(nano, run=replace(nano.run, profile=replace(PUBLISHED, width=110)))
    names = ("other glyphs", "salt on cells")
    found = {
        one.name: one for one in robustness(wide, some.take(np.arange(2)), names=names, quiet=True)
    }
    assert "exceed the 2048 tokens" in found["other glyphs"].skipped
    assert found["salt on cells"].share.n == 2


@pytest.mark.slow
def test_an_unknown_name_and_an_empty_list_are_refused(nano):
    with pytest.raises(
        GlyphsightError, match=r"no perturbation 'fog'; give one of shift, rotation"
    ):
        robustness(nano, [], names=["fog"])
    with pytest.raises(DatasetError, match="no pictures to judge"):
        robustness(nano, [])


def test_names_are_unique():
    assert len({one.name for one in PERTURBATIONS}) == len(PERTURBATIONS)


def test_sounds_are_changed_before_they_are_heard(nano, tmp_path, wav):
    for digit in (3, 7):
        wav(tmp_path / f"{digit}_ann_0.wav", tone(300 * digit, 0.3))
    spec, rows = f"fsdd:{tmp_path}", np.arange(2)
    again = partial(pictures_at, spec, "test", rows)
    judged = pictures_at(spec, "test", rows)
    names = ["hiss", "leading silence", "rows dropped"]
    found = robustness(nano, judged, names=names, again=again, quiet=True)
    assert [one.name for one in found] == ["clean", *["hiss"] * 3, *["leading silence"] * 2] + [
        "rows dropped"
    ] * 3
    assert all(one.share.n == 2 for one in found)
    with pytest.raises(GlyphsightError, match="no perturbation 'rotation'; give one of gain"):
        robustness(nano, judged, names=["rotation"], again=again)
