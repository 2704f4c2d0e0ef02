"""The page at / and its routes: the text while one draws, the answer, corrections."""

import io
import runpy
import shutil
from base64 import b64decode
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from serving import png_of
from starlette.testclient import TestClient

from glyphsight import encode
from glyphsight.codec import Profile
from glyphsight.dataset import Record, check_dataset, load_dataset
from glyphsight.dataset.storage import profile_of, read_manifest
from glyphsight.errors import DatasetError
from glyphsight.inference import Model
from glyphsight.models.tokens import count_tokens
from glyphsight.serve.app import create_app
from glyphsight.serve.page import sample_picture
from glyphsight.serve.samples import Samples
from glyphsight.serve.settings import ServeSettings

ROOT = Path(__file__).parents[2]
FILES = ("/", "/page/page.css", "/page/page.js", "/page/pad.js", "/page/cells.woff")


@pytest.fixture(scope="module")
def model():
    return Model("nano-digits")


@pytest.fixture(scope="module")
def seven():
    return png_of(sample_picture(7))


@pytest.fixture
def serve():
    opened = []

    def client(**settings):
        app = create_app(ServeSettings(**{"model": "nano-digits"} | settings))
        opened.append(app.state.eye)
        return TestClient(app, base_url="http://127.0.0.1:8000")

    yield client
    for eye in opened:
        eye.close()


def test_the_page_is_light_and_its_policy_names_this_server_alone(serve):
    client = serve()
    replies = [client.get(path) for path in FILES]
    assert all(reply.status_code == 200 for reply in replies)
    assert sum(len(reply.content) for reply in replies) < 100_000
    policy = replies[0].headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert not any("set-cookie" in reply.headers for reply in replies)


def test_the_text_is_exactly_that_which_the_model_reads(serve, model, seven):
    read = serve().post("/page/read", content=seven).json()
    [answer] = model.see([sample_picture(7)])
    assert read["text"] == answer.ascii_image
    assert read["tokens"] == count_tokens([read["text"]], model.tokenizer)[0]
    assert (read["size"], read["rows"]) == ("20", 11)


def test_settings_of_the_query_change_the_text(serve, seven):
    query = {"width": 30, "levels": 4, "palette": "ascii", "format": "plain"}
    read = serve().post("/page/read", content=seven, params=query).json()
    assert read["text"] == encode(
        sample_picture(7), width=30, palette=" -*@", format="plain", invert="auto", centre=True
    )
    assert read["profile"]["palette"] == " -*@"


def test_see_gives_the_answer_with_every_probability(serve, seven):
    seen = serve().post("/page/see", content=seven).json()
    answer = seen["answer"]
    assert (seen["height"], seen["width"]) == (28, 28)
    assert (answer["label"], answer["known"], answer["parts"]) == ("7", True, [])
    assert sum(one["probability"] for one in answer["probabilities"]) == pytest.approx(1, abs=1e-3)
    assert answer["read"]["text"] == serve().post("/page/read", content=seven).json()["text"]


def test_what_is_found_is_told_in_pixels_of_the_picture(serve):
    sheet = png_of(sample_picture(10))
    top, bottom, left, right = serve().post("/page/read", content=sheet).json()["box"]
    assert 0 <= top < bottom <= 180
    assert 0 <= left < right <= 300


def test_beside_an_upstream_the_text_is_that_which_the_upstream_reads(serve, seven):
    client = serve(upstream="http://127.0.0.1:9", tokens=128)
    offer = client.get("/page/profiles").json()
    assert offer["auto"]
    read = client.post("/page/read", content=seven).json()
    again, tokens = client.app.state.eye.text_of(sample_picture(7))
    assert (read["text"], read["tokens"]) == (again, tokens)
    assert 64 < tokens <= 128
    assert int(read["size"]) == len(again.splitlines()[0])


def test_where_no_model_looks_there_is_text_alone(serve, seven):
    client = serve(upstream="http://127.0.0.1:9", show="text")
    assert client.get("/page/profiles").json()["model"] is None
    assert client.post("/page/see", content=seven).json()["answer"] is None
    assert client.post("/page/read", content=seven).json()["tokens"] <= 256


def test_with_a_key_the_page_opens_and_asks_for_it(serve, seven):
    client = serve(api_key="secret")
    assert [client.get(path).status_code for path in FILES] == [200] * len(FILES)
    for path in ("read", "see", "hear", "correct"):
        assert client.post(f"/page/{path}", content=seven).status_code == 401
    assert client.get("/page/profiles").status_code == 401
    key = {"X-Glyphsight-Key": "secret"}
    assert client.post("/page/read", content=seven, headers=key).status_code == 200


def test_a_body_over_the_limit_is_refused(serve):
    reply = serve(max_body=2000).post("/page/read", content=bytes(2001))
    assert reply.status_code == 413


def test_another_sites_page_cannot_correct(serve, seven, tmp_path):
    client = serve(samples=tmp_path / "samples")
    reply = client.post(
        "/page/correct?label=7", content=seven, headers={"Origin": "http://other.example"}
    )
    assert reply.status_code == 403
    assert not (tmp_path / "samples").exists()


def test_an_empty_sheet_is_nothing_known(serve):
    blank = png_of(np.full((64, 64), 255, np.uint8))
    answer = serve().post("/page/see", content=blank).json()["answer"]
    assert (answer["known"], answer["empty"], answer["label"]) == (False, True, "unknown")


def test_a_sound_is_text_though_the_model_does_not_hear(serve, wav, tmp_path):
    time = np.arange(8000) / 8000
    sound = wav(tmp_path / "tone.wav", np.sin(2 * np.pi * 440 * time) * time).read_bytes()
    heard = serve().post("/page/hear", content=sound).json()
    assert heard["answer"] is None
    assert len(set(heard["text"])) > 3
    spectrum = Image.open(io.BytesIO(b64decode(heard["picture"].partition(",")[2])))
    assert spectrum.size == (heard["width"], 64)
    assert not serve().get("/page/profiles").json()["hears"]
    listening = serve(sound_model="nano-digits")
    assert listening.get("/page/profiles").json()["hears"]
    assert listening.post("/page/hear", content=sound).json()["answer"]["probabilities"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("read?width=0", "width"),
        ("read?width=201", "1 to 200"),
        ("read?width=2.5", "whole number"),
        ("read?levels=17", "2 to 16"),
        ("read?levels=12&palette=ascii", "digits"),
        ("read?palette=xx", "repeats"),
        ("read?format=morse", "format"),
        ("read?format=braille", "levels"),
        ("read?colour=red", "width, levels, palette, format"),
        ("see?question=Why", "not trained"),
        ("correct?label=", "label"),
        ("correct?label=a%0Ab", "label"),
        ("correct?label=7&part=3", "0"),
        ("correct?label=7&part=x", "part"),
    ],
)
def test_what_cannot_be_is_refused_with_the_fix(serve, seven, tmp_path, path, words):
    reply = serve(samples=tmp_path / "samples").post(f"/page/{path}", content=seven)
    assert reply.status_code == 400
    assert words in reply.json()["error"]["message"]
    assert not (tmp_path / "samples").exists()


@pytest.mark.parametrize("path", ["read", "see", "hear", "correct?label=7"])
@pytest.mark.parametrize("body", [b"", b"no picture", b"\x89PNG\r\n\x1a\ncut"])
def test_a_damaged_body_is_refused_without_a_path(serve, tmp_path, path, body):
    reply = serve(samples=tmp_path / "samples").post(f"/page/{path}", content=body)
    assert reply.status_code == 400
    assert "/" not in reply.json()["error"]["message"]


def test_a_picture_of_too_many_pixels_or_cells_is_refused(serve, seven):
    reply = serve(max_pixels=100).post("/page/read", content=seven)
    assert reply.status_code == 400
    assert "784 pixels" in reply.json()["error"]["message"]
    tall = png_of(np.zeros((40_000, 1), np.uint8))
    reply = serve().post("/page/read", content=tall)
    assert "fewer columns" in reply.json()["error"]["message"]


def test_samples_end_with_the_sheet(serve):
    client = serve()
    assert client.get("/page/profiles").json()["pictures"] == 11
    assert Image.open(io.BytesIO(client.get("/page/sample/10.png").content)).size == (300, 180)
    for other in ("11", "-1", "9" * 5000, "x"):
        assert client.get(f"/page/sample/{other}.png").status_code == 404


def test_each_thing_in_a_picture_has_its_answer_and_its_text(serve, tmp_path):
    client, sheet = serve(samples=tmp_path / "samples"), png_of(sample_picture(10))
    parts = client.post("/page/see", content=sheet).json()["answer"]["parts"]
    assert [part["label"] for part in parts] == ["4", "2", "7"]
    kept = client.post("/page/correct?label=2&part=2", content=sheet).json()["record"]
    assert kept["ASCII_image"] == parts[1]["read"]["text"]


def test_the_ink_of_a_picture_is_sought_once_for_text_answer_and_correction(
    serve, tmp_path, monkeypatch
):
    codec = import_module("glyphsight.codec.prepare")
    sought, find = [], codec.find_inks
    monkeypatch.setattr(codec, "find_inks", lambda pixels: sought.append(1) or find(pixels))
    sheet = png_of(255 - sample_picture(10))  # that no other test has sent
    client = serve(samples=tmp_path / "samples")
    for path in ("read", "see", "correct?label=2&part=2"):
        assert client.post(f"/page/{path}", content=sheet).status_code == 200
    assert sought == [1]


def test_a_thing_that_the_model_parted_is_corrected_alone(serve, tmp_path):
    drawn = 255 - np.pad(sample_picture(7).repeat(4, 0).repeat(4, 1), 20)
    sheet = png_of(np.concatenate([drawn, drawn], axis=1))
    client = serve(model="nano-names", samples=tmp_path / "samples")
    parts = client.post("/page/see", content=sheet).json()["answer"]["parts"]
    assert [one["label"] for one in parts] == ["7", "7"]
    kept = client.post("/page/correct?label=1&part=2", content=sheet).json()["record"]
    assert kept["ASCII_image"] == parts[1]["read"]["text"]
    assert client.post("/page/correct?label=1&part=3", content=sheet).status_code == 400


def test_without_a_directory_nothing_is_kept_and_the_server_says_so(serve, seven):
    client = serve()
    assert client.get("/page/profiles").json()["samples"] is False
    reply = client.post("/page/correct?label=7", content=seven)
    assert reply.status_code == 403
    assert "--samples DIR" in reply.json()["error"]["message"]


@pytest.fixture
def corrected(serve, tmp_path, seven):
    """A directory of samples after corrections before and after a restart of the server."""
    where = tmp_path / "samples"
    for number in (3, 4, 7):
        drawn = png_of(sample_picture(number))
        kept = serve(samples=where).post(f"/page/correct?label={number}", content=drawn).json()
    assert kept["records"] == 3
    assert kept["record"]["Response"] == "7"
    return where


def test_corrections_are_a_dataset_that_check_takes(corrected, model):
    report = check_dataset(corrected, profile_of(corrected))
    assert (report.found, report.notes) == ({}, [])
    assert sum(report.records.values()) == 3
    records = load_dataset(corrected)
    assert [record.answer for record in records] == ["3", "4", "7"]
    assert records[2].picture == model.see([sample_picture(7)])[0].ascii_image


@pytest.mark.slow
def test_corrections_are_a_dataset_that_train_takes(corrected, tmp_path):
    from glyphsight.train.run import train
    from glyphsight.train.settings import resolve_settings

    few = resolve_settings("nano", {"max_steps": 2, "batch_size": 2})
    report = train(corrected, "nano-digits", tmp_path / "run", few, quiet=True)
    assert report.records == 3
    assert Model(tmp_path / "run").run.profile == Model("nano-digits").run.profile


def test_a_second_correction_takes_the_place_of_the_first(corrected, serve, seven):
    reply = serve(samples=corrected).post("/page/correct?label=1", content=seven)
    assert reply.json()["records"] == 3
    assert [record.answer for record in load_dataset(corrected)] == ["3", "4", "1"]


def add_some(where, first):
    samples = Samples(where, Profile())
    for number in range(first, first + 8):
        samples.add(Record((f"<row:1>{'█' * number:20}</row:1>\n",), "7", size="20"))


def test_processes_that_correct_at_once_lose_nothing(tmp_path):
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        list(pool.map(add_some, [tmp_path / "samples"] * 2, (0, 8)))
    assert len(load_dataset(tmp_path / "samples")) == 16


def test_a_first_record_while_another_process_opens_is_no_other_dataset(tmp_path, monkeypatch):
    def read_then_added(directory):
        known = read_manifest(directory)
        monkeypatch.undo()
        Samples(directory, Profile()).add(Record(("<row:1>█</row:1>\n",), "1", size="1"))
        return known

    monkeypatch.setattr("glyphsight.serve.samples.read_manifest", read_then_added)
    Samples(tmp_path, Profile())
    assert len(load_dataset(tmp_path)) == 1


@pytest.mark.parametrize("held", ["train.json", "train.jsonl", "notes.txt"])
def test_another_dataset_is_left_alone(tmp_path, held):
    (tmp_path / held).touch()
    with pytest.raises(DatasetError, match="another dataset; give --samples a new directory"):
        Samples(tmp_path, Profile())


def test_samples_have_one_profile(tmp_path):
    Samples(tmp_path, Profile()).add(Record(("<row:1>█</row:1>\n",), "1", size="1"))
    with pytest.raises(DatasetError, match="profile of another model"):
        Samples(tmp_path, Profile(width=16))


# In a browser


@pytest.fixture(scope="module")
def pictures():
    """The script that makes the page's pictures: its server and its hand."""
    pytest.importorskip("playwright", reason="playwright is not installed")
    if shutil.which("chromium") is None:
        pytest.skip("no chromium here; apt-get install chromium")
    return runpy.run_path(str(ROOT / "scripts" / "page_pictures.py"))


@pytest.fixture(scope="module")
def address(pictures, tmp_path_factory):
    settings = ServeSettings(model="nano-digits", samples=tmp_path_factory.mktemp("kept") / "it")
    with pictures["serving"](settings) as found:
        yield found


@pytest.fixture(scope="module")
def browser(pictures):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
        )
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, address):
    """Open the page; no fault may stand in its console, no request leave for another origin."""
    asked, said, opened = [], [], []

    def make(**how):
        context = browser.new_context(**how)
        opened.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda line: said.append(line.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(address)
        page.wait_for_selector("#samples img")
        return page

    yield make
    for context in opened:
        context.close()
    assert said == []
    assert {url for url in asked if not url.startswith((address, "data:", "blob:"))} == set()


@pytest.fixture
def expect(pictures):
    from playwright.sync_api import expect

    return expect


def test_the_text_appears_while_one_draws_then_the_answer(open_page, expect, pictures):
    page = open_page()
    box = page.locator("#pad").bounding_box()
    page.mouse.move(box["x"] + 80, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 80, steps=10)
    expect(page.locator("#text")).to_contain_text("█")
    page.mouse.up()
    page.click("#clear")
    expect(page.locator("#text")).to_be_empty()
    pictures["draw"](page)
    expect(page.locator("#answer-says")).to_contain_text("Answer: 7")
    expect(page.locator("#bars li.best")).to_contain_text("7")
    assert page.locator("#text").text_content().startswith("<row:1>")
    assert page.locator("#marks rect").count() == 1


PASTE = """async (bytes) => {
  const given = new DataTransfer();
  given.items.add(new File([new Uint8Array(bytes)], "four.png", {type: "image/png"}));
  dispatchEvent(new ClipboardEvent("paste", {clipboardData: given, bubbles: true}));
}"""


def test_a_pasted_picture_is_answered_and_corrected(open_page, expect, address):
    page = open_page()
    four = png_of(np.kron(sample_picture(4), np.ones((4, 4), np.uint8)))
    page.evaluate(PASTE, list(four))
    expect(page.locator("#label")).to_contain_text("4")
    for count in ("1 sample", "1 sample"):
        page.fill("#truth", "9")
        page.keyboard.press("Enter")
        expect(page.locator("#kept")).to_contain_text(count)
        expect(page.locator("#truth")).to_have_value("")


def test_the_page_works_without_a_mouse(open_page, expect):
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.locator("#pad").focus()
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Space")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowDown")
    expect(page.locator("#answer-says")).to_contain_text("Answer: 1")
    page.keyboard.press("Escape")
    expect(page.locator("#text")).to_be_empty()
    page.locator("#samples button").nth(3).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#answer-says")).to_contain_text("Answer: 3")


def test_sliders_change_the_text_and_its_tokens(open_page, expect):
    page = open_page()
    page.click("#samples button:nth-child(6)")
    count = page.locator("#count")
    expect(count).to_contain_text("20 × 11")
    page.locator("#width").fill("40")
    expect(count).to_contain_text("40 × 22")
    page.select_option("#format", "braille")
    expect(page.locator("#levels-says")).to_have_text("2")
    expect(page.locator("#text")).to_contain_text("⠀")
    expect(page.locator("#text-note")).to_contain_text("still answers")
    page.click("#own")
    expect(count).to_contain_text("20 × 11")


def test_the_text_is_copied_as_it_is_as_a_record_and_as_curl(open_page, expect):
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.click("#samples button:nth-child(8)")
    expect(page.locator("#label")).to_contain_text("7")
    clip = "navigator.clipboard.readText()"
    for name, held in (("text", "<row:1>"), ("record", '"size": "20"'), ("curl", "curl http")):
        page.click(f"[data-copy={name}]")
        expect(page.locator("#copied")).to_have_text("Copied")
        assert held in page.evaluate(clip)
        page.locator("#copied").evaluate("one => { one.textContent = ''; }")
    assert "data:image/png;base64," in page.evaluate(clip)


def test_a_question_about_the_drawing_is_answered(open_page, expect):
    page = open_page()
    page.click("#samples button:nth-child(8)")
    page.click("#ask-it")
    expect(page.locator("#reply")).to_have_text("7")


def test_a_recording_is_text_and_the_page_says_that_the_model_does_not_hear(open_page, expect):
    page = open_page(permissions=["microphone"])
    page.click("#record")
    expect(page.locator("#record")).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(700)
    page.click("#record")
    expect(page.locator("#text-note")).to_contain_text("does not hear")
    expect(page.locator("#text")).to_contain_text("▓")
    expect(page.locator("#shown")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_page(open_page, expect, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_page(color_scheme=scheme, reduced_motion="reduce")
    for answered in (False, True):
        if answered:
            page.click("#samples button:nth-child(11)")
            expect(page.locator("#answer-says")).not_to_be_empty()
        for width in (360, 1300):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            found = axe.run(page)
            assert found.violations_count == 0, found.generate_report()
