import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from contextvars import copy_context
from dataclasses import asdict, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import glyphsight
from forks import forking
from glyphsight.codec import PUBLISHED
from glyphsight.codec.formats import get_format
from glyphsight.dataset import BuildSettings, build_dataset, load_dataset, write_records
from glyphsight.errors import DatasetError, GlyphsightError, ModelError
from glyphsight.evaluate import EvaluateSettings, evaluate
from glyphsight.evaluate.compare import read_entry
from glyphsight.evaluate.report import record_study
from glyphsight.evaluate.result import SAMPLES_FILE, STATE_FILE, Sample, SampleFile
from glyphsight.evaluate.study import run_study
from glyphsight.evaluate.tasks import Item, Task, open_task
from glyphsight.files import JsonLog
from glyphsight.inference import Model
from glyphsight.inference import opened as model_module
from glyphsight.models import load_model
from glyphsight.parallel import Workers, same_processes
from glyphsight.sampling import stratified_sample

TIMES = ("scoring_seconds", "pictures_per_second")


def figures(evaluation):
    return {k: v for k, v in evaluation.as_json().items() if k not in TIMES}


def assert_alike(found, expected):
    """The same, but for the last digits of numbers, which another number of threads rounds."""
    if isinstance(expected, Sample):
        found, expected = asdict(found), asdict(expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_alike(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-4)
    else:
        assert found == expected


def sample(number):
    return Sample(f"text {number}", "a", "b", 0.75, {"a": 0.25, "b": 0.75}, None)


def test_a_limit_chooses_what_a_choice_from_all_labels_would(digits):
    records = load_dataset(digits, "test")
    task = open_task(str(digits), None, EvaluateSettings(limit=20, seed=7))
    expected = stratified_sample([record.answer for record in records], 20, 7).tolist()
    assert task.rows == expected
    assert task.truth == [records[row].answer for row in expected]
    assert [item.ascii_image for item in task.items] == [records[row].picture for row in expected]
    assert task.labels == sorted({record.answer for record in records})


def test_another_record_is_another_task(tmp_path):
    file = tmp_path / "data.jsonl"
    record = {"size": "1", "ASCII_image": "x", "Response": "a"}
    digests = set()
    for change in ({}, {"ASCII_image": "y"}, {"Response": "b"}, {"Question": "What?"}):
        file.write_text(json.dumps(record | change) + "\n")
        digests.add(open_task(str(file), None, EvaluateSettings()).digest())
    assert len(digests) == 4


def test_other_choices_are_another_task():
    items = [Item("x", ("a",), ("a", "b")), Item("y", ("a",), ("a", "c"))]
    turned = [
        replace(one, choices=two.choices) for one, two in zip(items, items[::-1], strict=True)
    ]
    first, second = (Task("art", own) for own in (items, turned))
    assert first.labels == second.labels
    assert first.digest() != second.digest()


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"chunk": 0}, {"seed": -1}, {"split": None}])
def test_a_setting_that_cannot_be_is_refused(wrong):
    with pytest.raises(GlyphsightError, match=f"^{next(iter(wrong))} is "):
        EvaluateSettings(**wrong)


@pytest.mark.slow
def test_answers_of_other_settings_are_not_kept(nano_run, digits, tmp_path):
    for seed in (1, 2):
        settings = EvaluateSettings(limit=4, seed=seed, generate=0, zero_shot=0)
        found = evaluate(str(nano_run), str(digits), settings, directory=tmp_path, quiet=True)
        assert len(found.samples) == len(list(found.samples)) == 4
    log = JsonLog(tmp_path / SAMPLES_FILE, {}, restart=True)
    with log, pytest.raises(GlyphsightError, match="another process is writing it; wait for it"):
        evaluate(str(nano_run), str(digits), settings, directory=tmp_path, quiet=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(GlyphsightError, match="choose another path"):
        evaluate(str(nano_run), str(digits), settings, directory=tmp_path / "file", quiet=True)


def test_a_damaged_line_of_outcomes_is_named(tmp_path):
    file = tmp_path / SAMPLES_FILE
    file.write_text(json.dumps(sample(0).as_json()) + "\n{}\n")
    with pytest.raises(DatasetError, match=r"samples\.jsonl: line 2: cannot be read"):
        list(SampleFile(file, 2))


SMALL = EvaluateSettings(generate=9, zero_shot=0, chunk=8)


@pytest.mark.slow
def test_figures_and_outcomes_are_those_of_memory(nano_run, digits, tmp_path):
    settings = replace(SMALL, zero_shot=7, chunk=16)
    ask = partial(evaluate, str(nano_run), str(digits), settings, quiet=True)
    memory = ask()
    streamed = ask(directory=tmp_path)
    assert figures(streamed) == figures(memory)
    assert isinstance(memory.samples, list)
    assert list(streamed.samples) == memory.samples
    assert len(streamed.samples) == memory.score.n
    assert sum(one.generated is not None for one in streamed.samples) == 9
    before = (tmp_path / SAMPLES_FILE).read_bytes()
    streamed.save(tmp_path)
    assert (tmp_path / SAMPLES_FILE).read_bytes() == before
    assert not (tmp_path / STATE_FILE).exists()
    memory.save(tmp_path / "other")
    assert (tmp_path / "other" / SAMPLES_FILE).read_bytes() == before


@pytest.fixture(scope="module")
def alone(nano_run, digits):
    """The whole of it, by this process, in chunks of 8."""
    return evaluate(str(nano_run), str(digits), SMALL, quiet=True)


@pytest.fixture(scope="module")
def started():
    """Calls a function, whose workers are kept for the next: they take seconds to start."""
    context, block = copy_context(), same_processes()
    context.run(block.__enter__)
    yield context.run
    context.run(block.__exit__, None, None, None)


def loads(monkeypatch):
    """Names of the models that this process loads from now on."""
    found = []

    def noted(name, **options):
        found.append(str(name))
        return load_model(name, **options)

    monkeypatch.setattr(model_module, "load_model", noted)
    return found


@pytest.mark.slow
def test_workers_give_the_same_outcomes_and_resume(
    nano_run, digits, alone, tmp_path, monkeypatch, started
):
    loaded = loads(monkeypatch)
    ask = partial(
        *(run_study, str(nano_run), str(digits), SMALL),
        **{"workers": Workers("local", 2), "directory": tmp_path, "quiet": True},
    )
    append, done = JsonLog.append, []

    def interrupted(log, values):
        values = list(values)
        append(log, values)
        done.append(len(values))
        if len(done) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(JsonLog, "append", interrupted)
        with pytest.raises(KeyboardInterrupt):
            started(ask)
    assert done == [8, 8, 8]
    lines = (tmp_path / SAMPLES_FILE).read_bytes().splitlines()
    assert len(lines) == 24
    together = started(ask).evaluation
    assert_alike(figures(together), figures(alone))
    assert_alike(list(together.samples), alone.samples)
    assert (tmp_path / SAMPLES_FILE).read_bytes().splitlines()[:24] == lines
    assert loaded == [str(nano_run)] * 2  # once a call; workers load it for themselves


@pytest.mark.slow
def test_a_loaded_model_is_sent_to_workers_as_it_is(nano_run, digits, alone, started):
    changed = replace(load_model(nano_run), name="of no directory")
    ask = partial(evaluate, changed, str(digits), SMALL, workers=Workers("local", 2), quiet=True)
    found = started(ask)
    assert_alike(found.samples, alone.samples)


@pytest.mark.slow
def test_a_model_goes_to_workers_by_name_and_dtype(nano_run):
    model = Model(nano_run, dtype="bfloat16")
    assert model.dtype == "bfloat16"
    packed = pickle.dumps(model)
    assert len(packed) < 1000
    assert pickle.loads(packed).dtype == "bfloat16"


@pytest.mark.slow
@pytest.mark.parametrize("workers", [Workers(workers=1), Workers("local", 2)])
def test_a_record_too_long_to_read_counts_as_wrong(nano_run, digits, tmp_path, workers, started):
    records = load_dataset(digits, "test")[:10]
    long = replace(records[6], pictures=records[6].picture * 200)
    file = tmp_path / "data.json"
    write_records([*records[:6], long, *records[7:], long], file)
    options = {"quiet": True, "workers": workers, "directory": tmp_path / "out"}
    settings = EvaluateSettings(zero_shot=11, chunk=4)
    found = started(partial(run_study, str(nano_run), str(file), settings, **options))
    result = found.evaluation
    assert (result.too_long, result.score.n, result.generation.n) == (2, 11, 11)
    assert result.zero_shot.n == 11
    assert sum(map(sum, result.confusion)) == 9
    assert {one.label: one.n for one in result.classes}[long.answer] >= 2
    warning = result.warnings[0]
    assert warning.startswith(f"{file}: record 7: exceeds the ")
    assert "2 of 11 records do and count as wrong" in warning
    samples = list(result.samples)
    assert [row for row, one in enumerate(samples) if one.too_long] == [6, 10]
    right = sum(one.answer == one.truth for one in samples)
    assert result.score.accuracy == right / 11
    assert (samples[6].answer, samples[6].probability, samples[6].generated) == ("", 0.0, "")
    assert sum(one.n for one in found.calibration.bins) == 9
    assert not any(one.too_long for one in (*found.shown, *found.mistakes))
    record_study(found, tmp_path / "out", run=nano_run)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["too_long"] == 2
    entry = read_entry(tmp_path / "out", "out")
    assert entry.calibration == found.calibration
    assert entry.share == result.score


@pytest.mark.slow
def test_records_that_are_all_too_long_are_an_error(nano_run, digits, tmp_path):
    [record] = load_dataset(digits, "test")[:1]
    file = tmp_path / "data.json"
    [tall] = get_format("seed").render_batch(np.zeros((1, 2200, 20), np.uint8), PUBLISHED.palette)
    write_records([replace(record, pictures=tall)], file)
    with pytest.raises(ModelError, match=r"data\.json: record 1: exceeds the .* all records"):
        evaluate(str(nano_run), str(file), quiet=True)


@pytest.mark.parametrize("layout", ["jsonl", "parquet", "source"])
def test_a_record_is_named_by_its_file_and_its_number_there(tmp_path, layout):
    if layout == "source":
        task = open_task("bundled", None, EvaluateSettings(limit=5))
        assert task.name(0).startswith("bundled: split test: record ")
        return
    if layout == "parquet":
        pytest.importorskip("pyarrow")
    build_dataset(
        "bundled", tmp_path, BuildSettings(limit=20, output=layout, shard_size=7), quiet=True
    )
    task = open_task(str(tmp_path), None, EvaluateSettings())
    if len(task.files) == 1:
        assert task.name(9) == f"{task.files[0]}: record 10"
    else:
        assert task.name(9) == f"{task.files[1]}: record 3"


KILLED = """
from pathlib import Path
from glyphsight.evaluate import EvaluateSettings, evaluate
from glyphsight.models import load_model

load_model("nano")  # imports torch
def work(model, data, out):
    settings = EvaluateSettings(generate=20, zero_shot=0, chunk=8)
    evaluate(model, data, settings, directory=Path(out), quiet=True).save(Path(out))
"""


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(nano_run, digits, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    file = out / SAMPLES_FILE
    moments = random.Random(4)
    kept = 0
    with forking(KILLED) as start:
        assert start(nano_run, digits, whole).wait() == 0
        expected = (whole / SAMPLES_FILE).read_bytes()
        for _ in range(2):
            run = start(nano_run, digits, out)
            while not (file.exists() and file.stat().st_size > kept):
                os.kill(run.pid, 0)  # it has not ended
                time.sleep(0.001)
            time.sleep(moments.uniform(0, 0.05))  # anywhere in a chunk
            run.kill()
            assert run.wait() == -signal.SIGKILL
            now = file.stat().st_size
            assert kept < now < len(expected)
            assert expected.startswith(file.read_bytes())
            kept = now
            with file.open("ab") as stream:
                stream.write(expected[now : now + 700])  # a part of a chunk, the last line torn
        assert start(nano_run, digits, out).wait() == 0
    assert file.read_bytes() == expected
    first, second = (json.loads((place / "metrics.json").read_text()) for place in (whole, out))
    for name in TIMES:
        first.pop(name)
        second.pop(name)
    assert first == second


CLUSTER = """
import json, sys
from pathlib import Path
from ray.cluster_utils import Cluster
from typer.testing import CliRunner
from glyphsight.cli.app import app
from glyphsight.evaluate import EvaluateSettings, evaluate
from glyphsight.parallel import Workers

model, data, pictures, out = sys.argv[1:]
settings = EvaluateSettings(generate=9, zero_shot=0, chunk=16)
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
workers = Workers("ray", None, cluster.address)
def measure(name, **options):
    folder = Path(out) / name
    evaluate(model, data, settings, directory=folder, quiet=True, **options).save(folder)
measure("ray", workers=workers)
see = ["see", pictures, "--model", model, "--jsonl", "--out"]
CliRunner().invoke(
    app, [*see, f"{out}/ray.jsonl", "--engine", "ray", "--ray-address", cluster.address]
)
__import__("ray").shutdown()
cluster.shutdown()
measure("here")
CliRunner().invoke(app, [*see, f"{out}/here.jsonl"])
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_two_ray_nodes_give_the_same_figures(nano_run, digits, validation, tmp_path):
    from PIL import Image

    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number, pixels in enumerate(validation.pixels[:70]):
        Image.fromarray(pixels).save(pictures / f"{number:02}.png")
    command = [sys.executable, "-c", CLUSTER, nano_run, digits, pictures, tmp_path]
    run = subprocess.Popen(
        list(map(str, command)),
        # Actors have one thread each; as many here, for the order of sums to be the same.
        env=os.environ
        | {"PYTHONPATH": str(Path(glyphsight.__file__).parents[1]), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = run.communicate(timeout=300)
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
    assert run.returncode == 0, said
    names = ("ray", "here")
    samples = [(tmp_path / name / SAMPLES_FILE).read_bytes() for name in names]
    assert samples[0] == samples[1]
    first, second = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in names)
    assert {**first, **dict.fromkeys(TIMES)} == {**second, **dict.fromkeys(TIMES)}
    lines = [(tmp_path / f"{name}.jsonl").read_text().splitlines() for name in names]
    assert len(lines[0]) == 70
    assert lines[0] == lines[1]
