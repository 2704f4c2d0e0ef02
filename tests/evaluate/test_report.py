"""The page that tells a study."""

import html
import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from outcomes import answers, evaluation, some_digits
from PIL import Image

from glyphsight.errors import DatasetError, GlyphsightError
from glyphsight.evaluate import report
from glyphsight.evaluate.attribution import Attribution
from glyphsight.evaluate.baselines import Baseline
from glyphsight.evaluate.compare import read_entry
from glyphsight.evaluate.plots import confusion_png
from glyphsight.evaluate.report import confusions, record_study
from glyphsight.evaluate.result import SAMPLES_FILE, SampleFile, Share
from glyphsight.evaluate.robustness import Condition
from glyphsight.evaluate.statistics import paired
from glyphsight.evaluate.study import SHOWN, describe
from glyphsight.files import JsonLog

SECTIONS = ["seen", "good", "sure", "fails", "why", "breaks", "made"]
_EMPTY = {"meta", "img", "br"}


class Page(HTMLParser):
    """What is open, and what was met, of a page."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.sections, self.links, self.cards = [], [], [], [], Counter()
        self.section = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "section":
            self.section = given["id"]
            self.sections.append(given["id"])
        if tag == "a":
            self.links.append(given["href"])
        if given.get("class") == "card":
            self.cards[self.section] += 1
        if tag not in _EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def made(validation):
    texts, truth = some_digits(validation, 400)
    said = answers(truth, set(range(0, 400, 3)), sorted(set(truth)))
    return evaluation(texts, truth, said, model="<b>nano</b>", generated=[*said[:99], "<i>?"] * 4)


@pytest.fixture(scope="module")
def whole(made):
    found = describe(made)
    cells = np.linspace(-1, 1, 220, dtype=np.float32).reshape(11, 20)
    truth = [one.truth for one in made.samples]
    right = [one.truth == one.answer for one in made.samples]
    learner = Baseline("cnn", "two convolutions", Share.of(396, 400), 9.0, 60_000, True, truth)
    return replace(
        found,
        baselines=[learner],
        against={"cnn": paired(right, [True] * 400)},
        robustness=[
            Condition("clean", None, made.score),
            *(
                Condition("Gaussian noise", at, Share.of(count, 400), {"LIFT/GPT-3": 0.9828})
                for at, count in ((0.01, 250), (0.1, 200))
            ),
            Condition("inversion", None, Share.of(40, 400)),
            Condition("another hand", None, None, {}, "not installed: scikit-learn"),
        ],
        attributions=[
            (sample, Attribution(method, sample.answer, cells))
            for sample in [*found.shown, *found.mistakes]
            for method in ("occlusion", "gradient")
        ],
        notes=["gradients left out: because"],
        seconds={"evaluate": 1.0},
    )


@pytest.fixture(scope="module")
def page(whole, tmp_path_factory):
    place = tmp_path_factory.mktemp("report")
    record_study(whole, place, run=None)
    return (place / "report.html").read_text("utf-8")


def test_it_loads_nothing_and_is_well_formed(page):
    assert not re.search(r'(src|href)="(?!data:|#)|url\((?!#)|@import|<script src', page)
    parsed = Page(page)
    assert parsed.open == []
    assert not [name for name, count in Counter(parsed.ids).items() if count > 1]


def test_the_contents_lead_to_every_section_in_order(page):
    parsed = Page(page)
    assert parsed.sections == SECTIONS
    assert parsed.links == [f"#{name}" for name in SECTIONS]


def test_a_section_shows_a_dozen_cards_at_most(page, made):
    cards = Page(page).cards
    assert cards == {"seen": 10, "fails": SHOWN, "why": SHOWN}
    assert "The 12 it was surest of, of 134." in page
    assert made.score.n == 400


def test_what_a_study_holds_is_told(page, whole):
    assert f"{100 * whole.of_ceiling(whole.ceiling):.2f} %" in page
    assert f"{100 * whole.calibration.error:.2f}" in page
    assert f"{100 * whole.against['cnn'].difference:+.2f}" in page
    assert "LIFT/GPT-3 98.28 %" in page
    assert "left out: not installed: scikit-learn" in page
    assert "Mind: gradients left out: because." in page
    assert "4 malformed" in page


def test_a_sound_has_a_player_beside_its_picture_and_text(whole, tmp_path):
    [sample, *_] = whole.shown
    heard = report.Shown(sample, np.zeros((64, 32), np.uint8), sound="data:audio/flac;base64,AA==")
    record_study(whole, tmp_path, run=None, heard=[heard])
    page = (tmp_path / "report.html").read_text("utf-8")
    parsed = Page(page)
    assert parsed.open == []
    assert parsed.sections == [*SECTIONS[:-1], "heard", "made"]
    assert parsed.cards["heard"] == 1
    section = page[page.index('<section id="heard">') :]
    assert re.search('<audio controls [^>]*src="data:audio/flac;base64,AA=="', section)
    assert html.escape(sample.ascii_image) in section
    assert "aspect-ratio: 0.5" in section
    assert "<audio" not in page[: page.index('<section id="heard">')]


def test_drawings_stand_in_rows_with_their_titles(whole, tmp_path):
    rows = [("Drawn", [np.zeros((8, 8), np.uint8)] * 10), ("Real", [np.zeros((8, 8), np.uint8)])]
    record_study(whole, tmp_path, run=None, drawn=rows)
    page = (tmp_path / "report.html").read_text("utf-8")
    parsed = Page(page)
    assert parsed.open == []
    assert parsed.sections == [*SECTIONS[:-1], "drawn", "made"]
    section = page[page.index('<section id="drawn">') : page.index('<section id="made">')]
    assert section.count('<img src="data:image/png;base64,') == 11
    assert section.index("Drawn, number 10 of 10") < section.index("Real, number 1 of 1")


def test_names_and_replies_are_shown_as_they_are_written(page):
    assert "<b>nano</b>" not in page
    assert "&lt;b&gt;nano&lt;/b&gt;" in page
    assert "&lt;i&gt;?" in page


def test_a_quick_study_has_no_empty_section(made, tmp_path):
    record_study(describe(made), tmp_path, run=None)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert Page(page).sections == ["seen", "good", "sure", "fails", "made"]
    assert "baseline" not in page
    assert not (tmp_path / "attributions.jsonl").exists()


def test_attributions_are_kept_as_numbers_until_there_are_none(whole, made, tmp_path):
    record_study(whole, tmp_path, run=None)
    lines = (tmp_path / "attributions.jsonl").read_text("utf-8").splitlines()
    assert len(lines) == len(whole.attributions)
    record_study(describe(made), tmp_path, run=None)
    assert not (tmp_path / "attributions.jsonl").exists()


def test_hundreds_of_labels_make_no_larger_page(validation, tmp_path):
    texts, _ = some_digits(validation, 300)
    truth = [f"label {place}" for place in range(300)]
    made = evaluation(texts, truth, [*truth[1:], truth[0]])
    record_study(describe(made), tmp_path, run=None)
    assert (tmp_path / "report.html").stat().st_size < 200_000
    assert (tmp_path / "confusion.png").stat().st_size < 1_000_000


def test_the_commonest_confusions_come_first(made):
    found = confusions(made)
    assert len(found) == 10
    assert [count for count, *_ in found] == sorted((count for count, *_ in found), reverse=True)
    count, truth, answer = found[0]
    pairs = [(one.truth, one.answer) for one in made.samples]
    assert pairs.count((truth, answer)) == count


def test_labels_of_any_letters_stand_at_the_confusion_matrix(tmp_path):
    labels = ["$\\frac$", "$", "a_b^c", "七"]
    confusion_png(np.eye(4, dtype=int).tolist(), labels, tmp_path / "confusion.png")
    with Image.open(tmp_path / "confusion.png") as picture:
        assert picture.format == "PNG"


def test_a_model_without_mistakes_has_no_cards_of_them(validation, tmp_path):
    texts, truth = some_digits(validation, 30)
    record_study(describe(evaluation(texts, truth, truth)), tmp_path, run=None)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Nowhere: every answer is right." in page
    assert "surest mistakes" not in page


def test_an_evaluation_killed_before_its_page_is_written_is_unfinished(made, tmp_path, monkeypatch):
    log = JsonLog(tmp_path / SAMPLES_FILE, {})
    log.append(one.as_json() for one in made.samples)
    samples = SampleFile(log.path, log.count)
    with pytest.raises(GlyphsightError, match="another evaluation is writing here"):
        record_study(describe(replace(made, samples=samples)), tmp_path, run=None)
    log.close()
    whole = describe(replace(made, samples=samples))
    with monkeypatch.context() as patched:
        patched.setattr(report, "_page", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            record_study(whole, tmp_path, run=None)
    with JsonLog(tmp_path / SAMPLES_FILE, {}) as again:
        assert again.count == len(made.samples)  # no answer is lost
    with pytest.raises(DatasetError, match="an unfinished evaluation"):
        read_entry(tmp_path, "killed")
    record_study(whole, tmp_path, run=None)
    assert read_entry(tmp_path, "done").metrics == json.loads(json.dumps(whole.as_json()))
