import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image

from asking import scores, see
from glyphsight.cli.see import explanation_files
from glyphsight.codec import PUBLISHED, Profile, encode_batch, parse
from glyphsight.codec.formats import get_format
from glyphsight.dataset import Prompt
from glyphsight.errors import FormatError, ModelError
from glyphsight.evaluate import attribution as maps
from glyphsight.evaluate.attribution import Attribution, gradient, occlusion
from glyphsight.evaluate.explanation import (
    attribution_png,
    cells_picture,
    draw_explanation,
)
from glyphsight.inference import Model
from glyphsight.inference.score import probabilities
from glyphsight.models import LoadedModel, RunRecord, load_model
from glyphsight.models.load import without_peft_warning
from glyphsight.models.nano import make_tokenizer
from glyphsight.models.runs import Task
from glyphsight.models.tokens import load_tokenizer

BLUE, ORANGE = (47, 126, 216), (216, 128, 47)


def render(levels):
    return get_format("seed").render_batch(levels[None], PUBLISHED.palette)[0]


@pytest.fixture(scope="module")
def nano():
    """`nano-digits` without its threshold of `unknown`, which scores hold too."""
    return with_run(load_model("nano-digits"), unknown_above=0.5)


@pytest.fixture(scope="module")
def text(validation):
    return encode_batch(validation.pixels[:1])[0]


def log_odds(loaded, text, label):
    """By another way than the module's: from probabilities in double precision."""
    run = loaded.run
    found = scores(loaded, [run.prompt.ask(text)], run.labels, run.prompt)
    chances = probabilities(found.astype(np.float64))[0]
    chance = chances[run.labels.index(label)]
    return np.log(chance) - np.log(np.delete(chances, run.labels.index(label)).sum())


def with_run(loaded, **changes):
    return replace(loaded, run=replace(loaded.run, **changes))


# Occlusion


@pytest.mark.slow
def test_a_cell_counts_what_the_log_odds_lose_without_it(nano, text):
    found = occlusion(nano, text)
    assert (found.method, found.label, found.cells.shape) == ("occlusion", "3", (11, 20))
    grid = parse(text)
    assert (found.cells[grid == 0] == 0).all()
    for place in np.argwhere(grid)[::9]:
        changed = grid.copy()
        changed[tuple(place)] = 0
        lost = log_odds(nano, text, "3") - log_odds(nano, render(changed), "3")
        assert found.cells[tuple(place)] == pytest.approx(lost, abs=1e-3)


@pytest.mark.slow
def test_a_cell_counts_for_another_label_too(nano, text):
    grid = parse(text)
    found = occlusion(nano, text, "8")
    assert found.label == "8"
    place = tuple(np.argwhere(grid)[5])
    changed = grid.copy()
    changed[place] = 0
    lost = log_odds(nano, text, "8") - log_odds(nano, render(changed), "8")
    assert found.cells[place] == pytest.approx(lost, abs=1e-3)


ODD = "Is it odd?"


@pytest.fixture
def asked(nano):
    return with_run(nano, tasks=(*nano.run.tasks, Task(ODD, ("no", "yes")), Task("Write it.")))


@pytest.mark.slow
def test_cells_speak_for_the_answer_to_the_question_that_was_asked(asked, text):
    def odds(written):
        prompt = asked.run.prompt
        [found] = scores(asked, [prompt.ask(written, ODD)], ("no", "yes"), prompt)
        return float(found[1] - found[0])

    levels = get_format("seed").read(text, PUBLISHED.palette)
    row, column = np.argwhere(levels)[0]
    without = levels.copy()
    without[row, column] = 0
    found = occlusion(asked, text, "yes", question=ODD)
    expected = odds(text) - odds(render(without))
    assert found.cells[row, column] == pytest.approx(expected, abs=2e-3)
    by_slope = gradient(asked, text, "yes", question=ODD)
    assert by_slope.label == "yes"
    assert (by_slope.cells != gradient(asked, text).cells).any()
    for question, why in (("What?", "not trained to answer"), ("Write it.", "writes its answer")):
        with pytest.raises(ModelError, match=why):
            occlusion(asked, text, question=question)


@pytest.mark.slow
def test_an_answer_to_a_question_is_explained(asked, validation):
    pixels = validation.pixels[0]
    [answer] = Model(asked).see([pixels], ODD)
    assert answer.label in ("no", "yes")
    assert draw_explanation("a digit", pixels, answer, asked, ODD).startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_cells_that_matter_most_are_those_whose_loss_hurts_most(nano, validation):
    """Deletion test: a tenth of the ink, by either map, against a tenth at random."""
    rng = np.random.default_rng(0)
    lost = {"occlusion": [], "gradient": [], "random": []}
    for text in encode_batch(validation.pixels[:30]):
        grid = parse(text)
        ink = np.flatnonzero(grid)
        count = max(1, round(len(ink) / 10))
        by_map = occlusion(nano, text)
        label = by_map.label
        value = {
            "occlusion": by_map.cells.reshape(-1)[ink],
            "gradient": gradient(nano, text, label).cells.reshape(-1)[ink],
            "random": rng.random(len(ink)),
        }
        before = chance(nano, text, label)
        for name, each in value.items():
            without = grid.copy()
            without.reshape(-1)[ink[np.argsort(-each, kind="stable")[:count]]] = 0
            lost[name].append(before - chance(nano, render(without), label))
    mean = {name: np.mean(drops) for name, drops in lost.items()}
    assert mean["occlusion"] > 5 * mean["random"]
    assert mean["gradient"] > 2 * mean["random"]


def chance(loaded, text, label):
    return 1 / (1 + np.exp(-log_odds(loaded, text, label)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["trim", "rle", "coords", "hex"])
def test_occlusion_takes_every_format_and_gradient_those_with_places(nano, text, name):
    other = with_run(nano, profile=Profile(format=name))
    [written] = get_format(name).render_batch(parse(text)[None], PUBLISHED.palette)
    assert occlusion(other, written, "3").cells.any()
    if name == "trim":
        assert gradient(other, written, "3").cells.any()
    else:
        with pytest.raises(FormatError, match=rf"{name} gives cells no .* seed, plain, trim"):
            gradient(other, written, "3")


@pytest.mark.slow
def test_what_cannot_be_attributed_is_said(nano, text):
    with pytest.raises(ModelError, match="not trained with glyphsight"):
        occlusion(replace(nano, run=None), text)
    with pytest.raises(ModelError, match="label 'x' is none of the model's; give one of 0, 1"):
        gradient(nano, text, "x")
    with pytest.raises(ModelError, match="has one label alone"):
        occlusion(with_run(nano, tasks=(Task("", ("3",)),)), text)
    with pytest.raises(FormatError, match="column 1: not a <row:1>"):
        occlusion(nano, "no picture\n")


# Gradient


@pytest.mark.slow
@pytest.mark.parametrize("label", ["3", "three"])
def test_a_token_counts_the_slope_along_its_embedding(text, label):
    """Against numeric differences, computed another way."""
    loaded = load_model("nano-digits")
    model, tokenizer = loaded.model.double(), loaded.tokenizer  # but for the norms, in float32
    ids = tokenizer(Prompt().ask(text))["input_ids"]
    answer = tokenizer(f" {label}", add_special_tokens=False)["input_ids"]
    found = maps._token_scores(loaded, ids, answer)
    embedded = model.get_input_embeddings()(torch.tensor([ids + answer])).detach()
    away = embedded[0, : len(ids)] - embedded[0, : len(ids)].mean(dim=0)

    def odds(inputs):
        with torch.no_grad():
            logits = model(inputs_embeds=inputs).logits[0, len(ids) - 1 : -1]
        parts = logits.log_softmax(-1)[range(len(answer)), answer]
        likelihood = parts.sum()
        return float(likelihood - torch.log1p(-likelihood.exp()))

    step = 0.01
    for token in range(0, len(ids), 6):
        moved = [embedded.clone(), embedded.clone()]
        moved[0][0, token] += step * away[token]
        moved[1][0, token] -= step * away[token]
        slope = (odds(moved[0]) - odds(moved[1])) / (2 * step)
        assert found[token] == pytest.approx(slope, rel=0.02, abs=float(np.abs(found).max()) / 500)


def transformers_tokenizer(name):
    from transformers import PreTrainedTokenizerFast

    if name == "nano":
        return make_tokenizer()
    return PreTrainedTokenizerFast(tokenizer_object=load_tokenizer(name), eos_token="<|im_end|>")


@pytest.mark.parametrize("tokenizer", ["nano", "smollm2-135m"])
@pytest.mark.parametrize(
    ("name", "palette"),
    [(name, " ▓█") for name in ("seed", "plain", "trim", "rows", "digits", "spaced")]
    + [("seed", " ░é"), ("half", " █"), ("braille", " █")],
)
def test_what_a_token_gets_is_spread_over_its_cells_and_nothing_is_lost(
    tokenizer, name, palette, text, monkeypatch
):
    """Also of tokens that are a byte of a glyph, or a glyph and a half, or tags and glyphs."""
    profile = Profile(format=name, palette=palette, height=12)
    form = get_format(name)
    levels = np.random.default_rng(0).integers(0, len(palette), (12, 20)).astype(np.uint8)
    [written] = form.render_batch(levels[None], palette)
    run = RunRecord(
        "nano", 0, (Prompt(instruction="Read this."),), profile, (Task("", ("3", "8")),)
    )
    loaded = LoadedModel(None, transformers_tokenizer(tokenizer), "test", run)
    asked = run.prompt.ask(written)
    cut = loaded.tokenizer(asked, return_offsets_mapping=True)
    first = asked.index(written)
    places = maps.cell_offsets(written, profile.format, profile.palette)
    at = set((places[places >= 0] + first).tolist())
    holds = [bool(at & set(range(start, end))) for start, end in cut["offset_mapping"]]
    seen = []

    def scores(loaded, ids, answer):
        seen.append(ids)
        return np.arange(1, len(ids) + 1, dtype=np.float32)

    monkeypatch.setattr(maps, "_token_scores", scores)
    cells = gradient(loaded, written, "3").cells
    assert seen == [cut["input_ids"]]
    expected = sum(value for value, held in enumerate(holds, start=1) if held)
    assert cells.sum() == pytest.approx(expected, rel=1e-4)
    assert cells.shape == (12, 20)
    assert (cells[places < 0] == 0).all()
    assert (cells[places >= 0] > 0).all()


@pytest.mark.slow
def test_an_adapter_that_does_nothing_changes_nothing(text):
    from peft import LoraConfig, get_peft_model

    nano = load_model("nano-digits")
    whole = occlusion(nano, text), gradient(nano, text)
    settings = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    with without_peft_warning():
        adapted = replace(nano, model=get_peft_model(nano.model, settings).eval())
    for before, after in zip(
        whole, (occlusion(adapted, text), gradient(adapted, text)), strict=True
    ):
        assert before.label == after.label
        assert np.allclose(before.cells, after.cells, atol=1e-4)


def test_a_tokenizer_that_does_not_say_what_it_cut_is_refused(text):
    class Slow:
        is_fast = False

    run = RunRecord(
        "nano",
        tasks=(
            Task(
                "",
                (
                    "3",
                    "8",
                ),
            ),
        ),
    )
    with pytest.raises(ModelError, match="use occlusion"):
        gradient(LoadedModel(None, Slow(), "test", run), text, "3")


# Drawings


def corner(value):
    cells = np.zeros((4, 5), dtype=np.float32)
    cells[0, 0], cells[3, 4] = value, -value
    return Attribution("occlusion", "3", cells)


def near(pixel, colour):
    return np.abs(pixel.astype(int) - colour).max() <= 2


def drawn_over(picture, attribution):
    address = attribution_png(picture, attribution)
    assert len(address) < 4000
    png = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(png)))


def test_blue_speaks_for_and_orange_against():
    drawn = drawn_over(np.zeros((28, 28), dtype=np.uint8), corner(0.5))
    assert drawn.shape == (160, 160, 3)
    assert near(drawn[5, 5], BLUE)
    assert near(drawn[-5, -5], ORANGE)
    assert near(drawn[80, 80], (255, 255, 255))


def test_ink_shows_through_and_nothing_said_colours_nothing():
    drawn = drawn_over(np.full((10, 20), 255, dtype=np.uint8), corner(0))
    assert drawn.shape == (80, 160, 3)
    assert near(drawn[40, 80], (166, 166, 166))


def test_cells_have_their_true_shape(text):
    assert cells_picture(text, PUBLISHED).shape == (11 * 15, 20 * 8)
    braille = Profile(format="braille", palette=" #", width=4)
    [written] = get_format("braille").render_batch(np.ones((1, 8, 8), dtype=np.uint8), " #")
    height, width = cells_picture(written, braille).shape
    assert height / width == pytest.approx(1 / 0.55 / 2, rel=0.1)


@pytest.mark.slow
def test_an_explanation_is_drawn_where_one_map_is_missing(nano, validation):
    other = with_run(nano, profile=replace(PUBLISHED, format="hex"))
    pixels = validation.pixels[0]
    drawn = draw_explanation("a digit", pixels, see(pixels, other), other, None)
    with Image.open(io.BytesIO(drawn)) as picture:
        assert picture.width > 1000
        legends = np.asarray(picture.convert("RGB"))[-60:].reshape(-1, 3)
    assert any(near(pixel, BLUE) for pixel in legends)
    assert any(near(pixel, ORANGE) for pixel in legends)


@pytest.mark.slow
def test_names_and_labels_of_any_letters_are_drawn_as_they_are(nano, validation):
    labels = ["$\\frac$", "七", "a_b^c", *"3456789"]
    other = with_run(nano, tasks=(Task("", tuple(labels)),))
    pixels = validation.pixels[0]
    assert draw_explanation("$x$ 七.png", pixels, see(pixels, other), other, None)


# Where drawings go


def test_one_picture_is_drawn_into_a_png_or_a_directory(tmp_path):
    out = tmp_path / "out.png"
    assert explanation_files(None, ["a.jpg"]) == {}
    assert explanation_files(out, ["a.jpg"]) == {"a.jpg": out}
    assert explanation_files(out, ["a.jpg", "a.jpg"]) == {"a.jpg": out}
    assert explanation_files(tmp_path, ["-"]) == {"-": tmp_path / "stdin.png"}
    out.mkdir()
    assert explanation_files(out, ["x/a.jpg"]) == {"x/a.jpg": out / "a.png"}


def test_several_pictures_are_drawn_into_a_directory_and_none_over_another(tmp_path):
    found = explanation_files(tmp_path / "new", ["a.jpg", "x/a.png", "y/a.png", "a-2.gif"])
    names = [file.name for file in found.values()]
    assert names == ["a.png", "a-2.png", "a-3.png", "a-2-2.png"]


@pytest.mark.parametrize(("out", "images"), [("out.png", ["a", "b"]), ("out.svg", ["a"])])
def test_what_cannot_hold_them_is_refused(out, images):
    with pytest.raises(typer.BadParameter, match="directory"):
        explanation_files(Path(out), images)
