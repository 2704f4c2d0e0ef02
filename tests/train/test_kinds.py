"""One run that is taught several kinds of pictures, each in a text of its own."""

import shutil

import pytest
import torch
from typer.testing import CliRunner

from glyphsight.cli.app import app
from glyphsight.codec import Profile
from glyphsight.dataset import BuildSettings, build_dataset
from glyphsight.errors import ModelError
from glyphsight.evaluate import EvaluateSettings, evaluate
from glyphsight.inference.see import see
from glyphsight.models import RunRecord, load_model
from glyphsight.models.runs import copy_records, records_of
from glyphsight.train.history import read_history
from glyphsight.train.kinds import kind_name
from glyphsight.train.run import train
from glyphsight.train.settings import resolve_settings

pytestmark = pytest.mark.slow
COARSE = Profile(10, format="plain")
SETTINGS = {"batch_size": 16, "evaluations": 2, "validation_records": 20, "max_steps": 4}
NINE = {"9": "nine"}


@pytest.fixture(scope="module")
def coarse(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "coarse"
    build_dataset("bundled", path, BuildSettings(limit=40, profile=COARSE), quiet=True)
    return path


@pytest.fixture(scope="module")
def both(digits, coarse, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "both"
    given = resolve_settings("nano", SETTINGS)
    report = train([digits, coarse], "nano", run, given, names=[None, NINE], quiet=True)
    return run, report


def test_a_run_of_two_kinds_tells_the_accuracy_of_each(both, digits):
    run, report = both
    assert report.records == 120 + 40
    assert set(report.accuracies) == {digits.name, "coarse"}
    assert report.validation_accuracy == pytest.approx(sum(report.accuracies.values()) / 2)
    judged = [line for line in read_history(run / "history.jsonl") if "of_kind" in line]
    assert judged[-1]["of_kind"] == report.accuracies


def test_each_kind_is_asked_in_its_own_text_with_the_same_weights(both, golden):
    run, _ = both
    first, other = load_model(run), load_model(run / "kinds" / "coarse")
    assert first.run.profile != other.run.profile == COARSE
    pairs = zip(first.model.parameters(), other.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert see(golden / "five.png", other).ascii_image.count("\n") == COARSE.rows(28, 28)
    assert other.run.names == NINE
    assert first.run.names == {}


def test_a_finished_run_of_two_kinds_is_left_as_it_is(both, digits, coarse):
    run, report = both
    again = train(
        [digits, coarse], "nano", run, resolve_settings("nano", {}), resume=True, quiet=True
    )
    assert again == report


def test_what_goes_on_from_it_keeps_the_names_of_each_kind(both, digits, coarse, tmp_path):
    run, _ = both
    train([digits, coarse], str(run), tmp_path / "on", resolve_settings("nano", SETTINGS))
    assert RunRecord.load(tmp_path / "on" / "kinds" / "coarse").names == NINE
    assert RunRecord.load(tmp_path / "on").names == {}


def test_a_kind_is_gone_on_from_too(both, coarse, tmp_path):
    run, _ = both
    kind = f"{run}/kinds/coarse"
    told = CliRunner().invoke(
        app,
        ["train", "--from", kind, "--data", str(coarse), "--out", str(tmp_path / "on")]
        + [f"--set={name}={value}" for name, value in SETTINGS.items()],
    )
    assert told.exit_code == 0, told.stderr
    assert RunRecord.load(tmp_path / "on").names == NINE
    assert RunRecord.load(tmp_path / "on").weights == ""


def test_a_kind_without_its_run_says_what_is_missing(both, tmp_path):
    run, _ = both
    alone = tmp_path / "coarse"
    shutil.copytree(run / "kinds" / "coarse", alone)
    with pytest.raises(ModelError, match=r"its weights are those of a run in .*copy the whole run"):
        load_model(alone)


def test_two_datasets_of_one_name_are_refused(digits, coarse, tmp_path):
    twin = tmp_path / "coarse"
    shutil.copytree(digits, twin)
    with pytest.raises(ModelError, match="are both called coarse"):
        train([coarse, twin], "nano", tmp_path / "run", resolve_settings("nano", SETTINGS))


def test_a_recipe_of_two_kinds_holds_out_the_same_digits(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "model: nano\n"
        "kinds:\n"
        "  fine: {profile: {width: 16}, dataset: {limit: 40, validation: 20}}\n"
        "  coarse: {profile: {width: 10}, dataset: {limit: 40, hold_out: fine}}\n"
        "train: {max_steps: 2}\n"
    )
    source = f"folder:{_folder(tmp_path)}"
    run = tmp_path / "run"
    sources = ["--source", f"fine={source}", "--source", f"coarse={source}"]
    told = CliRunner().invoke(app, ["train", "--recipe", str(recipe), "--out", str(run), *sources])
    assert told.exit_code == 0, told.stderr
    assert f"--model {run}/kinds/coarse --data {run}/data/coarse" in told.stdout
    held_out = [
        (run / "data" / kind / "validation.sources.txt").read_text() for kind in ("fine", "coarse")
    ]
    assert held_out[0] == held_out[1] != ""


def _folder(path):
    """A few real digits as files, a directory a label."""
    from PIL import Image

    from glyphsight.sources import load_split, open_source

    some = load_split(open_source("bundled"), "validation")
    for number, (pixels, label) in enumerate(zip(some.pixels[:80], some.labels[:80], strict=True)):
        place = path / "pictures" / label
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{number}.png")
    return path / "pictures"


def test_a_kind_that_was_taught_is_told_so_where_it_is_judged_on_it(both, coarse):
    run, _ = both
    judged = evaluate(
        run / "kinds" / "coarse",
        str(coarse / "train.json"),
        EvaluateSettings(generate=0, zero_shot=0),
        quiet=True,
    )
    assert any("the model was trained on these records" in warning for warning in judged.warnings)


def test_a_report_of_a_kind_shows_what_that_kind_learnt(both, coarse, tmp_path):
    run, _ = both
    what = ["--model", f"{run}/kinds/coarse", "--data", str(coarse), "--split", "validation"]
    how = ["--limit", "10", "--generate", "0", "--out", str(tmp_path / "judged")]
    told = CliRunner().invoke(app, ["evaluate", *what, *how])
    assert told.exit_code == 0, told.stderr
    page = (tmp_path / "judged" / "report.html").read_text()
    assert "validation accuracy against records seen" in page
    assert "learning_rate" in page


def test_an_adapter_on_a_kind_of_a_whole_run_finds_its_base(both, coarse, tmp_path):
    run, _ = both
    given = resolve_settings("nano", SETTINGS | {"method": "lora", "lora_rank": 2})
    train(coarse, f"{run}/kinds/coarse", tmp_path / "on", given, quiet=True)
    assert load_model(tmp_path / "on").run.names == NINE


def test_kinds_go_by_their_names_whatever_their_order(both, digits, coarse, tmp_path):
    run, _ = both
    train([coarse, digits], str(run), tmp_path / "on", resolve_settings("nano", SETTINGS))
    assert RunRecord.load(tmp_path / "on").names == NINE
    assert RunRecord.load(tmp_path / "on" / "kinds" / digits.name).names == {}


def test_a_killed_run_of_two_kinds_ends_in_the_same_weights(both, digits, coarse, tmp_path):
    run, report = both
    cut = tmp_path / "cut"
    shutil.copytree(run, cut)
    for file in ("glyphsight.json", "model.safetensors", "config.json"):
        (cut / file).unlink()
    shutil.rmtree(cut / "kinds")
    shutil.rmtree(max((cut / "checkpoints").glob("*"), key=lambda one: int(one.name[11:])))
    resumed = train(
        [digits, coarse], "nano", cut, resolve_settings("nano", {}), resume=True, quiet=True
    )
    assert resumed.accuracies == report.accuracies
    pairs = zip(load_model(run).model.parameters(), load_model(cut).model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert (cut / "kinds" / "coarse" / "glyphsight.json").is_file()


def test_another_kind_cannot_be_resumed_with(both, digits, coarse, tmp_path):
    run, _ = both
    cut = tmp_path / "cut"
    shutil.copytree(run, cut)
    (cut / "glyphsight.json").unlink()
    renamed = tmp_path / "renamed"
    shutil.copytree(coarse, renamed)
    with pytest.raises(ModelError, match="started with another kinds"):
        train([digits, renamed], "nano", cut, resolve_settings("nano", {}), resume=True)


def test_a_linked_dataset_goes_by_the_name_of_the_link(coarse, tmp_path):
    link = tmp_path / "icons"
    link.symlink_to(coarse)
    assert kind_name(link) == kind_name(tmp_path / "icons" / ".") == "icons"
    assert kind_name(coarse / "train.json") == "train"


def test_names_are_given_of_each_dataset(digits, coarse, tmp_path):
    given = resolve_settings("nano", SETTINGS)
    with pytest.raises(ModelError, match="names: give those of each of 2 datasets"):
        train([digits, coarse], "nano", tmp_path / "run", given, names=[NINE], quiet=True)


def test_a_run_that_is_copied_takes_all_its_kinds_along(both, digits, tmp_path):
    run, _ = both
    copy_records(run, RunRecord.load(run), tmp_path)
    assert records_of(tmp_path) == records_of(run)
    assert list(records_of(run)) == [digits.name, "coarse"]


def test_a_kind_without_validation_has_no_accuracy(digits, coarse, tmp_path):
    given = resolve_settings("nano", SETTINGS)
    report = train([digits, coarse / "train.json"], "nano", tmp_path / "run", given, quiet=True)
    assert set(report.accuracies) == {digits.name}
    assert report.validation_accuracy == report.accuracies[digits.name]
    told = records_of(tmp_path / "run")["train"].training
    assert (told["validation_accuracy"], told["validation_records"]) == (None, 0)
