from pathlib import Path

from glyphsight.serve.app import ASKED, PASSED
from glyphsight.serve.settings import ServeSettings
from glyphsight.settings import settings_of

PAGE = (Path(__file__).parents[2] / "docs" / "serve.md").read_text("utf-8")


def test_the_table_of_options_is_that_of_the_settings():
    for name, one in settings_of(ServeSettings).items():
        row = f"| `--{name.replace('_', '-')}` | {one.line()} |".replace("\n", "⏎")
        assert not one.textual or row in PAGE, row


def test_every_path_is_on_the_page():
    for path in (*ASKED, *PASSED):
        assert path.replace("{model:path}", "NAME") in PAGE
