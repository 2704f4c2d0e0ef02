from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from glyphsight.cli.app import app
from glyphsight.codec import Profile
from glyphsight.errors import ModelError
from glyphsight.media.change import Augmentation
from glyphsight.models import RunRecord
from glyphsight.train.recipe import Recipe, RecipeDataset, read_recipe
from glyphsight.train.settings import resolve_settings

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_committed_recipe_can_be_followed(path):
    recipe = read_recipe(path)
    assert resolve_settings(recipe.model, recipe.train).values


def test_a_recipe_is_read(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("model: nano\nprofile: {width: 16, format: trim}\ntrain: {epochs: 2}\n")
    only = {"data": RecipeDataset()}
    assert read_recipe(path) == Recipe("nano", Profile(16, format="trim"), only, {"epochs": 2})


def test_a_recipe_says_how_copies_are_changed(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("model: nano\ndataset: {copies: 2, augmentation: {mirror: 0.5, shift: 1}}\n")
    changes = Augmentation(mirror=0.5, shift=1)
    assert read_recipe(path).datasets["data"].build == {"copies": 2, "augmentation": changes}


SEVERAL = """
model: nano
profile: {width: 24}
datasets:
  fine: {dataset: {validation: 50}}
  coarse: {dataset: {hold_out: fine}, names: {"9": nine}}
"""


def test_a_recipe_may_have_several_datasets(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(SEVERAL)
    recipe = read_recipe(path)
    assert recipe.profile == Profile(24)
    assert recipe.datasets == {
        "fine": RecipeDataset({"validation": 50}),
        "coarse": RecipeDataset({"hold_out": "fine"}, {"9": "nine"}),
    }
    assert recipe.sources(["coarse=idx:a=b", "fine=bundled"]) == {
        "coarse": "idx:a=b",
        "fine": "bundled",
    }


@pytest.mark.parametrize(
    "given", [["bundled"], ["fine=bundled"], ["fine=a", "coarse="], ["fine=a", "fine=b"]]
)
def test_each_dataset_wants_its_source(tmp_path, given):
    path = tmp_path / "r.yaml"
    path.write_text(SEVERAL)
    with pytest.raises(ModelError, match=r"give --source fine=SPEC --source coarse=SPEC"):
        read_recipe(path).sources(given)


def test_a_dataset_goes_by_its_name_where_it_is_the_only_one(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("model: nano\ndatasets: {data: {}}\n")
    assert read_recipe(path).sources(["data=bundled"]) == {"data": "bundled"}
    with pytest.raises(ModelError, match="give --source data=SPEC"):
        read_recipe(path).sources(["bundled"])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("model: [", "cannot be read as YAML"),
        ("train: {}", "a recipe names at least its model"),
        (
            "model: nano\nspeed: 3",
            "a recipe has no speed; give some of dataset, datasets, draw, model, names, profile",
        ),
        ("model: nano\ndatasets: {a: {}}\nnames: {a: b}", "put names into each of the datasets"),
        ("model: nano\ndatasets: {}", "datasets: names no dataset"),
        ("model: nano\ndatasets: {a/b: {}}", "datasets: 'a/b' is no name; use letters"),
        ("model: nano\ndatasets: {a: {train: {}}}", "datasets: a has no train"),
        ("model: nano\ndatasets: {a: {dataset: {hold_out: b}}}", "hold_out: 'b' is none of the"),
        ("model: nano\ndatasets: {a: {dataset: {hold_out: }}}", "hold_out: None is none of the"),
        ("model: nano\ndataset: {hold_out: a}", "hold_out: 'a' is none of the datasets"),
        ("model: nano\ndataset: {source: x}", "dataset has no source"),
        ("model: nano\nprofile: {wide: 3}", "profile: "),
        ("model: nano\nprofile: {width: 0}", "profile: width is 0; give a whole number"),
        ("model: nano\ndataset: {augmentation: 1}", "dataset: augmentation holds 1; give settings"),
        ("model: nano\ndataset: {augmentation: {turn: 1}}", "dataset: augmentation: "),
        ("model: nano\nnames: {'1': 2}", "names: 2 is no text"),
        ("model: nano\ndraw: 3", "draw is 3; give true or false"),
        ("model: nano\ntrain: 3", "train holds 3; give settings by name"),
        ("model: nano\ntrain: {1: 2}", "train: 1 is no name of a setting"),
        ("model: nano\nprofile: {width: '20'}", "profile: width is '20'; give a whole number"),
    ],
)
def test_a_recipe_that_cannot_be_followed_says_why(tmp_path, text, complaint):
    path = tmp_path / "r.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=r"r\.yaml: ") as caught:
        read_recipe(path)
    assert complaint in str(caught.value)


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"none.yaml: cannot be read"):
        read_recipe(tmp_path / "none.yaml")


def train(*arguments):
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "give --data, or --recipe with --source"),
        (["--recipe", "r.yaml"], "give --recipe and --source together"),
        (["--data", "d", "--source", "bundled"], "give --recipe and --source together"),
        (["--data", "d", "--recipe", "r.yaml"], "give --data, or --recipe with --source"),
    ],
)
def test_data_and_recipe_exclude_each_other(options, complaint):
    result = train("--out", "run", *options)
    assert result.exit_code == 2
    assert complaint in result.stderr


@pytest.mark.slow
def test_a_recipe_builds_its_dataset_and_trains_its_model(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "model: nano\nprofile: {width: 16}\ndataset: {limit: 40}\ndraw: true\n"
        "names: {'7': seven}\ntrain: {max_steps: 2}\n",
        encoding="utf-8",
    )
    run = tmp_path / "run"
    options = ("--recipe", recipe, "--source", "bundled", "--out", run, "--seed", 5)
    result = train(*options)
    assert result.exit_code == 0
    record = RunRecord.load(run)
    assert record is not None
    assert (record.profile, record.seed) == (Profile(16), 5)
    assert record.training["steps"] == 2
    assert record.draws == record.tasks[0].labels == tuple("0123456789")
    assert record.tasks[0].names == {"7": "seven"}
    assert (run / "data" / "train.json").is_file()
    again = train(*options, "--resume")
    assert again.exit_code == 0


@pytest.mark.slow
def test_a_picture_that_a_recipe_cannot_read_is_named(tmp_path):
    folder = tmp_path / "pictures" / "a"
    folder.mkdir(parents=True)
    for number in range(12):
        Image.effect_noise((20, 20), 90).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes((folder / "0.png").read_bytes()[:60])
    (tmp_path / "r.yaml").write_text("model: nano\ntrain: {max_steps: 1}\n", encoding="utf-8")
    source = f"folder:{tmp_path / 'pictures'}"
    result = train("--recipe", tmp_path / "r.yaml", "--source", source, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert "broken.png: damaged or cut off" in result.stderr
    assert (tmp_path / "run" / "model.safetensors").is_file()
