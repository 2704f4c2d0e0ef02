"""A picture becomes the same text whoever reads it."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import glyphsight
from glyphsight.cli.app import app
from glyphsight.codec import PUBLISHED, Profile
from glyphsight.dataset import BuildSettings, build_dataset, load_dataset
from glyphsight.evaluate.settings import EvaluateSettings
from glyphsight.evaluate.tasks.records import records_task
from glyphsight.models import RunRecord
from glyphsight.models.runs import SHIPPED_RUNS

PROFILES = {name: RunRecord.load(run).profile for name, run in SHIPPED_RUNS.items()} | {
    "published": PUBLISHED,
    "icons": Profile(16, " ·█", "plain", height=9, invert="auto", crop=0.0),
}


@pytest.fixture(scope="module")
def pictures(validation, tmp_path_factory):
    """A folder of pictures, each a class of its own, and their files by class."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    digit = validation.pixels[3]
    drawn = np.full((150, 200), 250, dtype=np.uint8)
    drawn[20:132, 70:182] -= np.kron(digit, np.ones((4, 4), dtype=np.uint8)) // 2
    light = np.linspace(40, 220, 120)[:, None, None] + rng.normal(0, 20, (120, 90, 3))
    shape = np.zeros((40, 60, 4), dtype=np.uint8)
    shape[5:30, 20:35] = (200, 30, 10, 255)
    shape[10:20, 30:55] = (255, 255, 255, 120)
    made = {
        "bright.png": digit,
        "dark.png": 255 - digit,
        "off-centre.png": np.pad(digit, ((30, 0), (0, 50))),
        "drawn.png": drawn,
        "drawn-bright.png": 255 - drawn,
        "photograph.jpg": np.clip(light, 0, 255).astype(np.uint8),
        "photograph-negative.png": 255 - np.clip(light, 0, 255).astype(np.uint8),
        "transparent.png": shape,
        "transparent-negative.png": shape ^ np.array([255, 255, 255, 0], dtype=np.uint8),
    }
    files = {}
    for name, pixels in made.items():
        label = name.partition(".")[0]
        files[label] = folder / "train" / label / name
        files[label].parent.mkdir(parents=True)
        Image.fromarray(pixels).save(files[label])
    return folder, files


@pytest.mark.parametrize("name", PROFILES)
def test_a_dataset_and_an_evaluation_hold_what_encode_gives(name, pictures, tmp_path):
    folder, files = pictures
    profile, spec = PROFILES[name], f"folder:{folder}"
    encoded = {label: glyphsight.encode(file, profile) for label, file in files.items()}
    build_dataset(
        spec,
        tmp_path,
        BuildSettings(profile=profile, validation=0, keep_duplicates=True, copies=0),
        quiet=True,
    )
    built = {record.answer: record.picture for record in load_dataset(tmp_path)}
    assert built == encoded
    judged = records_task(spec, None, EvaluateSettings(split="train"), profile)
    assert {item.answers[0]: item.ascii_image for item in judged.items} == encoded
    if profile.invert == "auto":
        assert encoded["dark"] == encoded["bright"]
        assert encoded["drawn"] == encoded["drawn-bright"]


def test_a_sound_is_the_same_text_wherever_it_is_read(spoken, tmp_path):
    profile = PROFILES["hearing"]
    files = sorted(spoken.glob("*_theo_0.flac"))
    encoded = {file.name: glyphsight.encode(file, profile) for file in files}
    spec, built = f"fsdd:{spoken}", tmp_path / "built"
    settings = BuildSettings(profile=profile, split="test", keep_duplicates=True)
    build_dataset(spec, built, settings, quiet=True)
    told = {
        record.source.rpartition(" ")[2]: record.picture for record in load_dataset(built, "test")
    }
    assert {name: told[name] for name in encoded} == encoded
    judged = records_task(spec, None, EvaluateSettings(split="test"), profile)
    assert {item.ascii_image for item in judged.items} == set(told.values())
    done = CliRunner().invoke(app, ["hear", *map(str, files), "--json"])
    assert [row["ascii_image"] for row in json.loads(done.stdout)] == list(encoded.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SHIPPED_RUNS if name != "hearing"])
def test_a_model_is_asked_what_encode_gives(name, pictures):
    _, files = pictures
    paths = [str(file) for file in files.values()]
    encoded = [glyphsight.encode(path, PROFILES[name]) for path in paths]
    assert [glyphsight.see(path, name).ascii_image for path in paths] == encoded
    done = CliRunner().invoke(app, ["see", *paths, "--json", "--model", name])
    assert [row["ascii_image"] for row in json.loads(done.stdout)] == encoded
    done = CliRunner().invoke(app, ["see", *paths, "--jsonl", "--show", "--model", name])
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["ascii_image"] for row in rows] == encoded
