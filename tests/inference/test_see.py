import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import glyphsight
from asking import see
from glyphsight.codec import Profile, encode_batch
from glyphsight.dataset import BuildSettings, build_dataset
from glyphsight.errors import ModelError, PictureError
from glyphsight.inference import Model
from glyphsight.inference.reading import to_text, turned
from glyphsight.models import load_model
from glyphsight.train.run import train
from glyphsight.train.settings import resolve_settings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(nano_run):
    return load_model(nano_run)


def test_a_picture_is_answered_either_way_round(run, validation):
    digit = validation.pixels[0]
    bright, dark = see(digit, run), see(255 - digit, run)
    assert not bright.inverted
    assert dark.inverted
    assert bright.ascii_image == dark.ascii_image
    assert sum(bright.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert bright.label == next(iter(bright.probabilities))


def test_pictures_are_asked_as_the_profile_of_their_dataset_says(run, validation, tmp_path):
    clothes = np.random.default_rng(0).integers(100, 256, (40, 28, 28), dtype=np.uint8)
    for name, pixels in (("digits", validation.pixels[:40]), ("clothes", clothes)):
        for number, picture in enumerate(pixels):
            path = tmp_path / name / "train" / str(number % 2) / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)
    asked = {}
    for name in ("digits", "clothes"):
        data, out = tmp_path / f"{name}-data", tmp_path / f"{name}-run"
        profile = Profile(invert="auto", centre=True) if name == "digits" else Profile()
        build_dataset(
            f"folder:{tmp_path / name}",
            data,
            BuildSettings(profile=profile, validation=0),
            quiet=True,
        )
        given = resolve_settings("nano", {"max_steps": 1, "batch_size": 4})
        train(data, "nano", out, given, quiet=True)
        asked[name] = see(255 - clothes[0], load_model(out))
    assert load_model(tmp_path / "digits-run").run.profile.centre
    assert asked["clothes"].ascii_image == encode_batch(255 - clothes[:1])[0]
    assert not asked["clothes"].inverted
    assert not asked["clothes"].cropped
    assert asked["digits"].inverted


def test_an_answer_says_what_its_label_stands_for(run, validation):
    answer = see(validation.pixels[0], run)
    assert answer.name == answer.label
    task = replace(run.run.tasks[0], names={answer.label: "a digit"})
    named = replace(run, run=replace(run.run, tasks=(task,)))
    again = see(validation.pixels[0], named)
    assert (again.label, again.name) == (answer.label, "a digit")


def test_a_model_whose_labels_are_not_known_cannot_be_asked(validation):
    with pytest.raises(ModelError, match="not trained with glyphsight"):
        see(validation.pixels[0], load_model("nano"))


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_empty_picture_gets_no_answer(run, level):
    answer = see(np.full((28, 28), level, dtype=np.uint8), run)
    assert answer.empty
    assert not answer.known
    assert (answer.label, answer.name) == ("unknown", "nothing I know")
    assert answer.probability is None


def test_a_digit_is_not_empty(run, validation):
    answers = [see(pixels, run) for pixels in validation.pixels[:5]]
    assert all(answer.known and not answer.empty for answer in answers)


def test_a_class_named_unknown_is_what_the_model_does_not_know(run, validation):
    task = replace(run.run.tasks[0], labels=("unknown",))
    answer = see(validation.pixels[0], replace(run, run=replace(run.run, tasks=(task,))))
    assert not answer.known
    assert (answer.label, answer.name) == ("unknown", "nothing I know")
    assert answer.probability == 1.0


def test_a_picture_of_which_the_model_is_not_sure_is_read_turned_too(validation):
    run = Model("nano-digits")
    texts = [to_text(pixels, run.trained.profile) for pixels in validation.pixels[:60]]
    once = run.answers([replace(text, pixels=None) for text in texts])
    sure = [one.probability >= 0.98 for one in once]
    assert any(sure)
    assert not all(sure)
    for text, alone, answer in zip(texts, once, run.answers(texts), strict=True):
        if alone.probability >= 0.98:
            assert answer == alone
            continue
        again = turned(text, run.trained.profile, run.trained.turned_by)
        asked = [replace(text, ascii_image=one, pixels=None) for one in again]
        read = [alone, *run.answers(asked)]
        assert answer.ascii_image == text.ascii_image
        assert answer.label == next(iter(answer.probabilities))
        for label, chance in answer.probabilities.items():
            mean = sum(one.probabilities[label] for one in read) / 3
            assert chance == pytest.approx(mean, abs=1e-4)


def test_only_centred_pictures_are_turned_and_keep_their_ground(validation):
    digit = validation.pixels[0]
    centred = Profile(invert="no", centre=True)
    plain = Profile(invert="auto")
    assert turned(to_text(digit, plain), plain, 6) == []
    bright, dark = to_text(digit, centred), to_text(255 - digit, centred)
    assert len({bright.ascii_image, *turned(bright, centred, 6)}) == 3
    paper = {text.splitlines()[0] for text in (dark.ascii_image, *turned(dark, centred, 6))}
    assert paper == {"<row:1>" + 20 * "█" + "</row:1>"}


def test_ink_is_found_told_and_framed(run):
    page = np.full((300, 200), 230, np.uint8)
    page[100:220, 90:102] = 40
    asked = replace(run, run=replace(run.run, profile=replace(run.run.profile, ink=True)))
    answer = see(page, asked)
    assert answer.found == "one dark mark on light paper"
    assert answer.parts == ()
    assert answer.box is not None
    assert np.abs(np.array(answer.box) - [100, 220, 90, 102]).max() <= 2
    assert see(page, run).box is None


def test_several_things_are_read_each_and_the_main_one_is_the_answer(run):
    page = np.full((200, 300), 230, np.uint8)
    page[40:160, 60:72] = page[30:170, 200:214] = 40
    asked = replace(run, run=replace(run.run, profile=replace(run.run.profile, ink=True)))
    answer = see(page, asked)
    assert answer.found == "2 dark marks on light paper"
    assert [part.box[2] for part in answer.parts] == [60, 200]
    assert answer.parts[1] == replace(answer, found="", parts=())  # the larger
    assert all(part.ascii_image and part.probabilities for part in answer.parts)
    assert not answer.parts[0].parts


def test_a_sound_for_a_model_of_pictures_is_refused_before_it_is_read(tmp_path):
    with pytest.raises(
        PictureError, match=r"x\.wav: a sound, .*trained on pictures; ask glyphsight hear"
    ):
        glyphsight.see(str(tmp_path / "x.wav"), "nano-digits")


@pytest.mark.parametrize("name", ["plain", "rle", "braille"])
def test_a_run_of_another_format_is_asked_in_it(run, validation, name):
    profile = Profile(format=name, palette=" █")
    other = replace(run, run=replace(run.run, profile=profile))
    answer = see(validation.pixels[0], other)
    assert answer.ascii_image == encode_batch(validation.pixels[:1], profile)[0]
    assert not answer.empty


def test_a_picture_too_tall_for_the_model_is_the_pictures_fault(run):
    with pytest.raises(PictureError, match=r"^300x1 pixels .* tokens .*; crop it$"):
        see(np.zeros((300, 1), dtype=np.uint8), run)


def test_a_model_trained_anew_is_loaded_anew(nano_run, validation, tmp_path):
    path = shutil.copytree(nano_run, tmp_path / "run")
    digit = validation.pixels[0]
    first = glyphsight.see(digit, path)
    assert glyphsight.see(digit, str(path)) == first
    other = load_model("nano", seed=9)
    with torch.no_grad():
        other.model.lm_head.weight.mul_(2)
    other.model.save_pretrained(path)
    assert glyphsight.see(digit, path) == first  # the record is what a finished run writes last
    record = path / "glyphsight.json"
    written = record.stat().st_mtime_ns + 1_000_000_000
    os.utime(record, ns=(written, written))
    assert glyphsight.see(digit, path).probabilities != first.probabilities
