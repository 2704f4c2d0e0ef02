"""The demo, from start to report, on a few hundred digits."""

import json
import re
import shutil
import time

import pytest

from glyphsight import pipeline
from glyphsight.errors import GlyphsightError
from glyphsight.models import load_model
from glyphsight.pipeline import _affordable, _clear, run_demo, seconds_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "demo"
    run_demo(out, quick=True, quiet=True)
    return out


def test_it_leaves_figures_a_report_and_a_model_that_can_be_asked(demo):
    metrics = json.loads((demo / "metrics.json").read_text())
    assert set(metrics) >= {"accuracy", "n", "interval", "seconds", "smollm2_before_training"}
    assert metrics["n"] == 600
    assert metrics["smollm2_before_training"]["n"] == 10
    after = metrics["smollm2_after_training"]
    assert after["n"] == 10
    assert after["accuracy"] >= 0.8
    same = metrics["smollm2_on_the_pictures_shown"]
    assert same["n"] == 10
    assert same["after"] > same["before"]
    assert load_model(str(demo)).run.labels == [str(digit) for digit in range(10)]


def test_each_phase_has_a_share_of_what_the_phases_before_it_left():
    assert seconds_for("train", 30) == 324
    assert seconds_for("train", -1000) == 390
    assert seconds_for("measure", 400) == pytest.approx(0.65 * 170)
    assert seconds_for("ask", 10_000) == 20
    passed = 120.0  # a machine that is slow from the start
    for phase in ("train", "measure", "ask"):
        passed += seconds_for(phase, passed)
    assert passed < 570


def test_on_a_machine_that_is_late_every_phase_is_short_and_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(pipeline, "_QUICK", 220)
    monkeypatch.setattr(pipeline, "SIGHT", "nano-digits")  # the demo above asks SmolLM2
    small = {pipeline.smollm2.NAME: "nano-digits"}
    monkeypatch.setattr(pipeline, "load_model", lambda name: load_model(small.get(name, name)))
    out = tmp_path / "late"
    _, metrics = run_demo(out, quick=True, started=time.monotonic() - 10_000)
    assert 200 <= metrics["n"] <= 220
    assert metrics["seconds"] - 10_000 < 240
    assert metrics["smollm2_on_the_pictures_shown"]["n"] == 10
    err = capsys.readouterr().err
    assert [f"{n}/4" in err for n in (1, 2, 3, 4)] == [True] * 4
    assert err.count("20 s at most") == 3


def test_where_time_is_short_fewer_pictures_are_judged(demo, capsys):
    assert _affordable(demo, demo / "data", 600, 0.0) == 200
    said = capsys.readouterr().err
    assert "600 test digits would take" in said
    assert "200 of them are judged" in said


def test_the_report_shows_ten_pictures_with_both_answers(demo):
    page = (demo / "report.html").read_text("utf-8")
    section = page[page.index('<section id="seen">') : page.index('<section id="good">')]
    assert len(re.findall("<pre", section)) == 10
    assert section.count("smollm2-135m before any training:") == 10
    assert section.count("smollm2-135m with the adapter that ships:") == 10


def test_the_report_lets_six_recordings_be_heard_with_their_texts_and_answers(demo):
    page = (demo / "report.html").read_text("utf-8")
    section = page[page.index('<section id="heard">') : page.index('<section id="drawn">')]
    assert len(re.findall('<audio controls [^>]*src="data:audio/flac;base64,', section)) == 6
    assert len(re.findall("<pre", section)) == 6
    assert section.count('<b class="good">') == 6


def test_the_report_shows_ten_drawings_ten_real_digits_and_their_completions(demo):
    page = (demo / "report.html").read_text("utf-8")
    section = page[page.index('<section id="drawn">') : page.index('<section id="made">')]
    assert section.count('<img src="data:image/png;base64,') == 30


def test_it_removes_an_earlier_demo_and_nothing_else(demo, tmp_path):
    earlier = tmp_path / "earlier"
    shutil.copytree(demo, earlier)
    _clear(earlier)
    assert not earlier.exists()
    foreign = tmp_path / "mine"
    foreign.mkdir()
    (foreign / "settings.json").write_text("{}")
    with pytest.raises(GlyphsightError, match="no demo made"):
        run_demo(foreign, quick=True, quiet=True)
    assert (foreign / "settings.json").exists()
