import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import glyphsight
from glyphsight.codec import PUBLISHED
from glyphsight.dataset import BuildSettings, build_dataset, load_dataset, write_records
from glyphsight.errors import DatasetError, GlyphsightError, ModelError
from glyphsight.evaluate import evaluate
from glyphsight.evaluate import selection as judged_module
from glyphsight.evaluate import stream as stream_module
from glyphsight.evaluate.compare import read_entry
from glyphsight.evaluate.measure import run_study
from glyphsight.evaluate.report.record import record_study
from glyphsight.evaluate.result import SAMPLES_FILE, STATE_FILE, Sample, SampleFile
from glyphsight.evaluate.sample_log import SampleLog
from glyphsight.evaluate.selection import Picker, Reading, look_at
from glyphsight.inference import Model
from glyphsight.inference import model as model_module
from glyphsight.models import load_model
from glyphsight.parallel import Workers
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
    judged = look_at(str(digits), "test", 20, 7, PUBLISHED)
    expected = stratified_sample([record.answer for record in records], 20, 7)
    assert judged.places.tolist() == expected.tolist()
    assert [judged.labels[code] for code in judged.codes] == [
        records[place].answer for place in expected
    ]
    assert judged.labels == sorted({record.answer for record in records})


@pytest.mark.parametrize("layout", ["json", "jsonl", "parquet", "source"])
def test_records_are_picked_in_any_order_from_any_layout(tmp_path, layout):
    if layout == "parquet":
        pytest.importorskip("pyarrow")
    data = "bundled"
    if layout != "source":
        data = str(tmp_path / layout)
        build_dataset(
            "bundled", data, BuildSettings(limit=60, output=layout, shard_size=7), quiet=True
        )
    judged = look_at(data, "test", None, 0, PUBLISHED)
    held = judged.held
    picker = judged.picker()
    places = np.array([3, 4, 9, 30, 59])
    for wanted in (places, places, places[2:]):
        assert picker.take(wanted) == [held[place] for place in wanted]


def test_data_that_shrinks_meanwhile_is_said(tmp_path):
    file = tmp_path / "data.jsonl"
    file.write_text('{"size": "1", "ASCII_image": "x", "Response": "a"}\n')
    picker = Picker(Reading(str(file), "test", PUBLISHED), [2])
    with pytest.raises(DatasetError, match=r"data\.jsonl: changed while it was read"):
        picker.take(np.array([1]))


def test_many_records_are_not_held(digits, monkeypatch):
    monkeypatch.setattr(judged_module, "_HELD", 59)
    assert look_at(str(digits), "test", None, 0, PUBLISHED).held is None


def test_another_record_or_profile_is_other_data(tmp_path):
    file = tmp_path / "data.jsonl"
    record = {"size": "1", "ASCII_image": "x", "Response": "a"}
    digests = set()
    for change in ({}, {"ASCII_image": "y"}, {"Response": "b"}):
        file.write_text(json.dumps(record | change) + "\n")
        digests.add(look_at(str(file), "test", None, 0, PUBLISHED).digest)
    assert len(digests) == 3


def test_outcomes_of_the_same_settings_are_kept_and_a_torn_end_is_cut(tmp_path):
    log = SampleLog(tmp_path, {"seed": 1})
    log.append([sample(0), sample(1)], 2.5)
    log.close()
    with (tmp_path / SAMPLES_FILE).open("a") as stream:
        stream.write(sample(2).as_line() + sample(3).as_line()[:9])
    again = SampleLog(tmp_path, {"seed": 1})
    assert (again.count, again.seconds) == (2, 2.5)
    assert list(again.samples) == [sample(0), sample(1)]
    again.append([sample(4)], 1.0)
    again.close()
    assert list(again.samples) == [sample(0), sample(1), sample(4)]
    other = SampleLog(tmp_path, {"seed": 2})
    other.close()
    assert other.count == (tmp_path / SAMPLES_FILE).stat().st_size == 0


def test_a_directory_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(GlyphsightError, match="cannot be written"):
        SampleLog(tmp_path / "file" / "out", {})


def test_a_directory_is_one_evaluations_at_a_time(tmp_path):
    log = SampleLog(tmp_path, {"seed": 1})
    log.append([sample(0)], 1.0)
    for settings in ({"seed": 1}, {"seed": 2}):
        with pytest.raises(GlyphsightError, match="another evaluation is writing here; wait"):
            SampleLog(tmp_path, settings)
    log.append([sample(1)], 1.0)
    log.close()
    again = SampleLog(tmp_path, {"seed": 1})
    assert list(again.samples) == [sample(0), sample(1)]
    again.close()


def test_a_damaged_line_of_outcomes_is_named(tmp_path):
    file = tmp_path / SAMPLES_FILE
    file.write_text(sample(0).as_line() + "{}\n")
    with pytest.raises(DatasetError, match=r"samples\.jsonl: line 2: cannot be read"):
        list(SampleFile(file, 2))


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(stream_module, "CHUNK", 16)


@pytest.mark.slow
def test_figures_and_outcomes_are_those_of_memory(nano_run, digits, tmp_path, small_chunks):
    ask = partial(evaluate, str(nano_run), str(digits), generate=9, zero_shot=7, quiet=True)
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


@pytest.mark.slow
def test_what_is_read_twice_is_judged_as_what_is_held(nano_run, digits, monkeypatch, small_chunks):
    ask = partial(evaluate, str(nano_run), str(digits), limit=40, generate=0, zero_shot=0)
    held = ask(quiet=True)
    monkeypatch.setattr(judged_module, "_HELD", 5)
    assert ask(quiet=True).samples == held.samples


@pytest.fixture(scope="module")
def alone(nano_run, digits):
    """The whole of it, by this process, in chunks of 8."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stream_module, "CHUNK", 8)
        return evaluate(str(nano_run), str(digits), generate=9, zero_shot=0, quiet=True)


def loads(monkeypatch):
    """Names of the models that this process loads from now on."""
    found = []

    def noted(name, **options):
        found.append(str(name))
        return load_model(name, **options)

    monkeypatch.setattr(model_module, "load_model", noted)
    return found


@pytest.mark.slow
def test_workers_give_the_same_outcomes_and_go_on_from_some(
    nano_run, digits, alone, tmp_path, monkeypatch
):
    monkeypatch.setattr(stream_module, "CHUNK", 8)
    loaded = loads(monkeypatch)
    ask = partial(
        *(run_study, str(nano_run), str(digits)),
        **{"generate": 9, "zero_shot": 0, "quiet": True},
        **{"where": Workers("local", 2), "directory": tmp_path},
    )
    append, done = SampleLog.append, []

    def interrupted(log, samples, seconds):
        append(log, samples, seconds)
        done.append(len(samples))
        if len(done) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SampleLog, "append", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ask()
    assert done == [8, 8, 8]
    state = json.loads((tmp_path / STATE_FILE).read_text())
    assert state["count"] == 24
    start = time.monotonic()
    together = ask().evaluation
    took = time.monotonic() - start
    assert_alike(figures(together), figures(alone))
    assert_alike(list(together.samples), alone.samples)
    assert loaded == [str(nano_run)] * 2  # once a call; workers load it for themselves
    assert together.scoring_seconds - state["seconds"] < took / 2  # without their start


@pytest.mark.slow
def test_a_loaded_model_is_sent_to_workers_as_it_is(nano_run, digits, alone, monkeypatch):
    monkeypatch.setattr(stream_module, "CHUNK", 8)
    changed = replace(load_model(nano_run), name="of no directory")
    options = {"generate": 9, "zero_shot": 0, "quiet": True, "where": Workers("local", 2)}
    assert_alike(evaluate(changed, str(digits), **options).samples, alone.samples)


@pytest.mark.slow
def test_a_model_goes_to_workers_by_name_and_dtype(nano_run):
    model = Model(nano_run, dtype="bfloat16")
    assert model.dtype == "bfloat16"
    packed = pickle.dumps(model)
    assert len(packed) < 1000
    assert pickle.loads(packed).dtype == "bfloat16"


@pytest.mark.slow
@pytest.mark.parametrize("where", [Workers(workers=1), Workers("local", 2)])
def test_a_record_too_long_to_read_counts_as_wrong(nano_run, digits, tmp_path, monkeypatch, where):
    monkeypatch.setattr(stream_module, "CHUNK", 4)
    records = load_dataset(digits, "test")[:10]
    long = replace(records[6], pictures=records[6].picture * 200)
    file = tmp_path / "data.json"
    write_records([*records[:6], long, *records[7:], long], file)
    options = {"zero_shot": 11, "quiet": True, "where": where, "directory": tmp_path / "out"}
    found = run_study(str(nano_run), str(file), **options)
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
    write_records([replace(record, pictures=record.picture * 200)], file)
    with pytest.raises(ModelError, match=r"data\.json: record 1: exceeds the .* all records"):
        evaluate(str(nano_run), str(file), quiet=True)


@pytest.mark.parametrize("layout", ["jsonl", "parquet", "source"])
def test_a_record_is_named_by_its_file_and_its_number_there(tmp_path, layout):
    if layout == "source":
        assert (
            look_at("bundled", "test", 5, 0, PUBLISHED)
            .name(0)
            .startswith("bundled: split test: record ")
        )
        return
    if layout == "parquet":
        pytest.importorskip("pyarrow")
    build_dataset(
        "bundled", tmp_path, BuildSettings(limit=20, output=layout, shard_size=7), quiet=True
    )
    judged = look_at(str(tmp_path), "test", None, 0, PUBLISHED)
    files = judged.reading.files
    if len(files) == 1:
        assert judged.name(9) == f"{files[0]}: record 10"
    else:
        assert judged.name(9) == f"{files[1]}: record 3"


KILLED = """
import sys
from pathlib import Path
from glyphsight.evaluate import evaluate
from glyphsight.evaluate import stream
stream.CHUNK = 8
done = evaluate(
    sys.argv[1], sys.argv[2], directory=Path(sys.argv[3]), generate=20, zero_shot=0, quiet=True
)
done.save(Path(sys.argv[3]))
"""


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(nano_run, digits, tmp_path):
    home = str(Path(glyphsight.__file__).parents[1])

    def start(out):
        command = [sys.executable, "-c", KILLED, str(nano_run), str(digits), str(out)]
        environment = os.environ | {"PYTHONPATH": home}
        return subprocess.Popen(command, env=environment)

    whole, out = tmp_path / "whole", tmp_path / "out"
    assert start(whole).wait() == 0
    expected = (whole / SAMPLES_FILE).read_bytes()
    file, state = out / SAMPLES_FILE, out / STATE_FILE
    moments = random.Random(4)
    kept = 0
    for _ in range(2):
        run = start(out)
        while run.poll() is None and not (
            state.exists() and json.loads(state.read_text())["bytes"] > kept
        ):
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.05))  # anywhere in a chunk
        run.send_signal(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL
        now = json.loads(state.read_text())["bytes"]
        assert kept < now < len(expected)
        assert expected.startswith(file.read_bytes()[:now])
        kept = now
        with file.open("ab") as stream:
            stream.write(b'{"ascii_ima')  # a torn line
    assert start(out).wait() == 0
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
from glyphsight.cli.see_lines import answer_lines
from glyphsight.evaluate import evaluate
from glyphsight.evaluate import stream
from glyphsight.parallel import Workers

model, data, pictures, out = sys.argv[1:]
stream.CHUNK = 16
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
where = Workers("ray", None, cluster.address)
options = {"generate": 9, "zero_shot": 0, "quiet": True}
evaluate(model, data, directory=Path(out) / "ray", where=where, **options).save(Path(out) / "ray")
answer_lines(
    [pictures], None, model, out=Path(out) / "ray.jsonl", show=False, engine="ray", workers=None,
    ray_address=cluster.address,
)
__import__("ray").shutdown()
cluster.shutdown()
evaluate(model, data, directory=Path(out) / "here", **options).save(Path(out) / "here")
answer_lines(
    [pictures], None, model, out=Path(out) / "here.jsonl", show=False, engine="local",
    workers=None, ray_address=None,
)
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
