"""The documentation site: every page has its place, builds strictly, and its commands work."""

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain

import numpy as np
import pytest

from glyphsight.cli.app import VERBS
from glyphsight.codec import Profile, encode_batch
from pages import ROOT, blocks, commands


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("site_script", ROOT / "scripts" / "site.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_has_a_place_in_the_navigation_once(script):
    sections = [pages for one in script.settings()["nav"] for pages in one.values()]
    entries = [
        one if isinstance(one, str) else next(iter(one.values())) for one in chain(*sections)
    ]
    assert len(entries) == len(set(entries))
    pages = {one.relative_to(ROOT / "docs").as_posix() for one in ROOT.glob("docs/**/*.md")}
    made = {"index.md", "index.ko.md", "repository/LOG.md"}
    made |= {f"reference/{name}.md" for name in ("command-line", "python")}
    assert set(entries) == made | {one for one in pages if not one.startswith(script.LEFT_OUT)}


def test_the_reference_has_every_command_and_every_name(script):
    import glyphsight

    page = script.command_line()
    for verb in VERBS:
        assert f"\n## glyphsight {verb}\n" in page
    assert "\n## glyphsight dataset build\n" in page
    page = script.python()
    for name in glyphsight.__all__:
        assert re.search(rf"^::: glyphsight\.\S+\.{name}$", page, re.MULTILINE) or not callable(
            getattr(glyphsight, name)
        )


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("zensical"), reason="pip install zensical")
def test_the_site_builds_strictly(tmp_path, script, monkeypatch):
    monkeypatch.setattr(script, "BUILD", tmp_path)
    script.write_pages()
    script.build()
    home = (tmp_path / "site" / "index.html").read_text("utf-8")
    assert 'src="images/seven.png"' in home
    assert "encode_batch" in (tmp_path / "site" / "reference" / "python.html").read_text("utf-8")


def run(line, directory):
    """Run a command of a page in a directory."""
    name, *words = shlex.split(line)
    words = [str(ROOT / words[0]), *words[1:]] if name == "python" else ["-m", name, *words]
    done = subprocess.run(
        [sys.executable, *words], cwd=directory, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, (line, done.stderr)
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("curl"), reason="apt-get install curl")
def test_the_tutorial_leads_to_a_model_that_is_served(tmp_path):
    """Its commands in their order; one epoch in place of fifteen, which the README's test runs."""
    pytest.importorskip("starlette", reason="pip install 'glyphsight[serve]'")
    page = "docs/tutorial.md"
    assert len(commands(page)) == 9
    trained = [line for line in commands("README.md") if "--epochs 15" in line]
    assert [line.replace("shapes", "icons") for line in trained] == [
        line for line in commands(page) if " train " in line
    ]
    said = [run(line.replace("--epochs 15", "--epochs 1"), tmp_path) for line in commands(page)]
    assert said[1].startswith("<row:1>")
    assert said[-1].startswith("icons/test/star/1.png: ")
    assert (tmp_path / "runs" / "icons" / "evaluation" / "report.html").is_file()
    start, ask = blocks(page, "sh")[0].splitlines()
    words = shlex.split(start.removesuffix("&"))[1:]
    words[words.index("--port") + 1] = "0"
    server = subprocess.Popen(
        [sys.executable, "-m", "glyphsight", *words],
        stderr=subprocess.PIPE,
        encoding="utf-8",
        cwd=tmp_path,
    )
    try:
        lines = iter(server.stderr.readline, "")
        address = next(filter(None, (re.search(r"http://127.0.0.1:\d+", one) for one in lines)))[0]
        ask = ask.replace("http://localhost:8000", address)
        reply = subprocess.run(["bash", "-c", ask], cwd=tmp_path, capture_output=True, check=True)
    finally:
        server.terminate()
        server.communicate()
    [choice] = json.loads(reply.stdout)["choices"]
    assert choice["message"]["content"] in ("key", "ring", "star")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def drawing(tmp_path_factory):
    """The address of the page without a server, built as its page says."""
    pytest.importorskip("playwright", reason="playwright is not installed")
    for program in ("chromium", "npm"):
        if not shutil.which(program):
            pytest.skip(f"no {program} here; apt-get install {program}")
    pytest.importorskip("onnxscript", reason="pip install onnxscript")
    folder = tmp_path_factory.mktemp("drawing")
    build, serve = blocks("docs/draw.md", "sh")[0].splitlines()
    assert serve == "python -m http.server --directory site/draw"
    run(build, folder)
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=folder / "site" / "draw")
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


ROUND = np.linspace(0, 2 * np.pi, 24)
ANSWERS = "label => document.querySelector('#label span').textContent == label"
STROKES = {
    "0": [np.stack([0.5 + 0.2 * np.cos(ROUND), 0.5 + 0.3 * np.sin(ROUND)], axis=1).tolist()],
    "1": [[(0.5, 0.2), (0.48, 0.8)]],
    "4": [[(0.38, 0.2), (0.32, 0.5), (0.68, 0.5)], [(0.62, 0.2), (0.6, 0.85)]],
    "7": [[(0.3, 0.25), (0.7, 0.25), (0.45, 0.8)]],
}


@pytest.mark.slow
def test_a_drawn_digit_is_read_in_the_browser_and_nothing_is_sent(drawing):
    from playwright.sync_api import sync_playwright

    run_file = ROOT / "src" / "glyphsight" / "assets" / "nano-digits" / "glyphsight.json"
    profile = Profile(**json.loads(run_file.read_text("utf-8"))["profile"])
    asked, said = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": 390, "height": 800})
        page.on("request", lambda request: asked.append((request.method, request.url)))
        page.on("console", lambda line: said.append(line.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{drawing}/index.html")
        page.wait_for_selector("html[data-ready=model]", timeout=120_000)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        before = len(asked)
        for digit, strokes in STROKES.items():
            draw(page, strokes)
            page.wait_for_function(
                "label => document.querySelector('#label span').textContent == label", arg=digit
            )
            found = page.evaluate(
                "import('./page.js').then(({state}) => ({...state, gray: [...state.gray.pixels]}))"
            )
            gray = np.array(found["gray"], np.uint8).reshape(1, 40, 40)
            assert encode_batch(gray, profile) == [found["text"]]
            assert page.locator("#text").text_content() == found["text"]
            assert found["label"] == digit
            assert sum(one["probability"] for one in found["probabilities"]) == pytest.approx(1)
            assert page.locator("#bars li").count() == 11  # ten digits and unknown
            page.click("#clear")
        assert page.locator("#label").text_content() == "…"
        page.focus("#pad")
        for key in ["ArrowUp"] * 7 + ["Space"] + ["Shift+ArrowDown"] * 5:
            page.keyboard.press(key)
        page.wait_for_function(ANSWERS, arg="1")
        browser.close()
    assert said == []
    assert set(asked[before:]) <= {("GET", f"{drawing}/cells.woff")}  # the font of the first text
    assert {method for method, _ in asked} == {"GET"}
    assert all(url.startswith((drawing, "data:", "blob:")) for _, url in asked)


def draw(page, strokes):
    """Draw strokes, points in shares of the side, with the mouse."""
    box = page.locator("#pad").bounding_box()
    for stroke in strokes:
        for number, (x, y) in enumerate(stroke):
            at = box["x"] + x * box["width"], box["y"] + y * box["height"]
            page.mouse.move(*at, steps=4 if number else 1)
            if not number:
                page.mouse.down()
        page.mouse.up()
