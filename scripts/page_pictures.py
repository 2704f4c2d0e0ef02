"""Make the pictures of the server's page: light, dark and as wide as a phone.

python scripts/page_pictures.py --out docs/images
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from glyphsight.serve.app import create_app
from glyphsight.serve.server import listen, make_server
from glyphsight.serve.settings import ServeSettings

expect.set_options(timeout=60_000)  # milliseconds; a busy machine is no failure
IMAGES = Path(__file__).parents[1] / "docs" / "images"
SEVEN = [(0.28, 0.27), (0.5, 0.26), (0.71, 0.25), (0.62, 0.42), (0.53, 0.58), (0.45, 0.78)]
"""A seven, in shares of the drawing area."""
SIZES = {"light": (1360, 900), "dark": (1360, 900), "phone": (360, 780)}


@contextmanager
def serving(settings: ServeSettings) -> Iterator[str]:
    """Run the server in a thread and yield its address."""
    port, started = listen(settings.host, 0), threading.Event()
    server = make_server(create_app(settings), settings, started.set)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([port])))
    thread.start()
    started.wait(60)
    try:
        yield f"http://{settings.host}:{port.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def draw(page: Page) -> None:
    """Draw a seven with the mouse and wait for the answer."""
    box: Any = page.locator("#pad").bounding_box()
    for number, (x, y) in enumerate(SEVEN):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=6)
        if not number:
            page.mouse.down()
    page.mouse.up()
    rest(page)


def rest(page: Page) -> None:
    """Wait until the newest picture is read and answered."""
    expect(page.locator("#reading")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#answer-says")).not_to_be_empty()


def main(out: Path, model: str) -> None:
    """Write ``page-light.png``, ``page-dark.png`` and ``page-phone.png``."""
    with (
        TemporaryDirectory() as samples,
        serving(ServeSettings(model=model, samples=samples)) as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for name, (width, height) in SIZES.items():
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme="dark" if name == "dark" else "light",
                device_scale_factor=1 if width > 500 else 2,
            )
            page.goto(address)
            expect(page.locator("#samples img")).to_have_count(11)
            if name == "dark":
                page.click("#samples button:last-child")
                rest(page)
            else:
                draw(page)
            file = out / f"page-{name}.png"
            page.screenshot(path=file, full_page=name == "phone")
            with Image.open(file) as drawn:
                drawn.convert("RGB").quantize(128).save(file, optimize=True)
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=IMAGES, help="directory of the pictures")
    parser.add_argument("--model", default="nano-digits", help="model that answers")
    given = parser.parse_args()
    main(given.out, given.model)
