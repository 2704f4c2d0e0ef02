import json
import shlex

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from glyphsight.cli.app import app
from glyphsight.codec import Profile
from glyphsight.dataset import BuildSettings, build_dataset, load_dataset
from glyphsight.errors import DatasetError

CROPPED = Profile(width=12, height=7, format="plain", crop=0.0)


def build(out, spec="bundled", **options):
    return build_dataset(spec, out, BuildSettings(**options), quiet=True)


def sources(dataset, split):
    return [record.source for record in load_dataset(dataset, split)]


@pytest.fixture(scope="module")
def digits(tmp_path_factory, validation):
    """Twelve of each digit in folders, without a validation split of their own."""
    path = tmp_path_factory.mktemp("digits")
    seen = dict.fromkeys("0123456789", 0)
    for pixels, label in zip(validation.pixels, validation.labels, strict=True):
        if seen[label] < 12:
            seen[label] += 1
            file = path / label / f"{seen[label]}.png"
            file.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(file)
    return f"folder:{path}"


@pytest.fixture(scope="module")
def first(digits, tmp_path_factory):
    out = tmp_path_factory.mktemp("first") / "data"
    build(out, digits, validation=20)
    return out


def test_another_profile_holds_out_the_same_pictures(digits, first, tmp_path):
    build(tmp_path / "by-itself", digits, validation=20, profile=CROPPED, seed=1)
    assert sources(tmp_path / "by-itself", "validation") != sources(first, "validation")
    report = build(tmp_path / "same", digits, hold_out=str(first), profile=CROPPED, seed=1)
    held = sources(tmp_path / "same", "validation")
    assert held == sources(first, "validation")
    assert not set(held) & set(sources(tmp_path / "same", "train"))
    left_out = sum(report.likeness["removed"].get("train", {}).values())
    assert report.records == {"train": 100 - left_out, "validation": 20}


def test_what_looks_like_them_leaves_the_training_split(digits, first, tmp_path):
    coarse = Profile(width=4, height=3, format="plain")
    report = build(tmp_path, digits, hold_out=str(first), profile=coarse)
    texts = {r.picture for r in load_dataset(tmp_path, "validation")}
    assert not texts & {r.picture for r in load_dataset(tmp_path, "train")}
    removed = sum(report.likeness["removed"]["train"].values())
    assert removed > 0
    assert report.records["train"] == 100 - removed


def test_it_is_built_anew_when_the_other_dataset_holds_out_others(digits, tmp_path):
    other, out = tmp_path / "other", tmp_path / "x"
    build(other, digits, validation=20)
    build(out, digits, hold_out=str(other))
    assert build(out, digits, hold_out=str(other)).found
    build(other, digits, validation=20, seed=1)
    assert not build(out, digits, hold_out=str(other)).found
    assert sources(out, "validation") == sources(other, "validation")


def test_the_command_in_the_manifest_builds_the_same(digits, first, tmp_path):
    build(tmp_path / "a", digits, hold_out=str(first))
    words = shlex.split(json.loads((tmp_path / "a" / "manifest.json").read_bytes())["command"])[1:]
    words[words.index("DIR")] = str(tmp_path / "b")
    assert CliRunner().invoke(app, words).exit_code == 0
    for name in ("train.json", "validation.json", "manifest.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_split_built_alone_is_the_split_built_with_the_others(digits, first, tmp_path):
    build(tmp_path / "all", digits, hold_out=str(first))
    for split in ("train", "validation"):
        build(tmp_path / split, digits, hold_out=str(first), split=split)
        assert load_dataset(tmp_path / split, split) == load_dataset(tmp_path / "all", split)


def test_pictures_of_another_source_are_refused(first, digits, tmp_path):
    fewer = tmp_path / "fewer"
    (fewer / "1").mkdir(parents=True)
    Image.new("L", (9, 9)).save(fewer / "1" / "other.png")
    with pytest.raises(DatasetError, match=r"20 of the 20 pictures to be held out are not in its"):
        build(tmp_path / "x", f"folder:{fewer}", hold_out=str(first))
    assert not (tmp_path / "x").exists()


def test_the_same_names_with_other_answers_are_of_another_source(tmp_path):
    """Two sets of pictures may call theirs by the same numbers, as MNIST and Fashion-MNIST do."""
    for name, answers in (("digits", "abab"), ("clothes", "aabb")):
        folder = tmp_path / name
        folder.mkdir()
        for number, shade in enumerate((40, 120, 180, 240)):
            pixels = np.zeros((8, 8), dtype=np.uint8)
            pixels[number : number + 4, 2:6] = shade
            Image.fromarray(pixels).save(folder / f"{number}.png")
        lines = [f"{number}.png,{answer}" for number, answer in enumerate(answers)]
        (folder / "metadata.csv").write_text("\n".join(["file_name,caption", *lines]), "utf-8")
    options = {"keep_duplicates": True, "profile": Profile(width=8)}
    build(tmp_path / "first", f"folder:{tmp_path / 'digits'}", validation=3, **options)
    there = str(tmp_path / "first")
    with pytest.raises(
        DatasetError, match=r"the answer to [12]\.png is '[ab]', in the dataset that"
    ):
        build(tmp_path / "x", f"folder:{tmp_path / 'clothes'}", hold_out=there, **options)
    build(tmp_path / "x", f"folder:{tmp_path / 'digits'}", hold_out=there, **options)


def test_a_dataset_that_does_not_say_what_it_holds_is_refused(digits, first, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "validation.json").write_bytes((first / "validation.json").read_bytes())
    with pytest.raises(DatasetError, match="does not say which pictures it holds out"):
        build(tmp_path / "x", digits, hold_out=str(other))


def test_held_out_pictures_that_look_like_test_pictures_are_left_out_and_counted(
    validation, tmp_path
):
    def digits(split, places):
        for place in places:
            file = tmp_path / "digits" / split / validation.labels[place] / f"{place}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(validation.pixels[place]).save(file)

    digits("train", range(60))
    digits("test", range(60, 90))
    spec = f"folder:{tmp_path / 'digits'}"
    fine, coarse = tmp_path / "fine", Profile(width=4, height=3, format="plain")
    build(fine, spec, validation=30)
    report = build(tmp_path / "coarse", spec, hold_out=str(fine), profile=coarse)
    left_out = sum(report.likeness["removed"]["validation"].values())
    assert left_out > 0
    assert report.records["validation"] == 30 - left_out
    texts = {record.picture for record in load_dataset(tmp_path / "coarse", "test")}
    for split, count in (("train", 30), ("validation", 30)):
        records = load_dataset(tmp_path / "coarse", split)
        assert not texts & {record.picture for record in records}
        assert len(records) + sum(report.likeness["removed"][split].values()) == count


def test_what_contradicts_it_is_refused(digits, first, tmp_path):
    with pytest.raises(DatasetError, match="hold_out and validation: give one of them"):
        build(tmp_path / "x", digits, hold_out=str(first), validation=5)
    with pytest.raises(DatasetError, match="is --out itself; give another"):
        build(first, digits, hold_out=str(first))
    for place in (first / "validation.json", "s3://bucket/digits"):
        with pytest.raises(DatasetError, match="give --hold-out a dataset's directory"):
            build(tmp_path / "x", digits, hold_out=str(place))
    with pytest.raises(DatasetError, match="has the splits train, validation, test"):
        build(tmp_path / "x", hold_out=str(first))
