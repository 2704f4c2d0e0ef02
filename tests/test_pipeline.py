"""The demo, from start to report, on a few hundred digits."""

import json
import re
import shutil

import pytest

from glyphsight.errors import GlyphsightError
from glyphsight.models import load_model
from glyphsight.pipeline import _clear, run_demo, training_minutes

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
    assert load_model(str(demo)).run.labels == [str(digit) for digit in range(10)]


def test_training_gets_less_time_where_the_machine_is_slow():
    assert training_minutes(30) == training_minutes(60) == 6.5
    for seconds in (90, 150, 210):
        assert seconds / 60 * 2 + training_minutes(seconds) <= 9.5
    assert training_minutes(10_000) == 1


def test_the_report_shows_ten_pictures_with_both_answers(demo):
    page = (demo / "report.html").read_text("utf-8")
    section = page[page.index('<section id="seen">') : page.index('<section id="good">')]
    assert len(re.findall("<pre", section)) == 10
    assert section.count("smollm2-135m before any training:") == 10
    assert section.count("smollm2-135m with the adapter that ships:") == 10


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
