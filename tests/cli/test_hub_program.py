import re
import shlex
import shutil
from pathlib import Path

import pytest

from glyphsight.dataset import BuildSettings, build_dataset
from glyphsight.models.runs import SHIPPED_RUNS
from standin_hub import TOKEN, Hub

PAGE = (Path(__file__).parents[2] / "docs" / "integrations.md").read_text("utf-8")
COMMANDS = re.findall(r"^glyphsight ((?:model|dataset) (?:push|pull) .*)$", PAGE, re.MULTILINE)


@pytest.fixture
def on_hub(glyphsight, tmp_path):
    hub = Hub()
    where = {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0"}
    where |= {"HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    yield lambda *arguments, **other: glyphsight(*arguments, **where | other)
    hub.shutdown()
    hub.server_close()


@pytest.mark.slow
def test_the_commands_of_the_page_push_and_pull(on_hub, tmp_path):
    shutil.copytree(SHIPPED_RUNS["nano-digits"], tmp_path / "runs" / "shapes")
    settings = BuildSettings(limit=20, copies=0, output="hub")
    build_dataset("bundled", tmp_path / "data", settings, quiet=True)
    assert len(COMMANDS) == 4
    for command in COMMANDS:
        done = on_hub(*shlex.split(command))
        assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "pulled" / "shapes" / "glyphsight.json").is_file()
    assert (tmp_path / "pulled" / "data" / "manifest.json").is_file()


def test_a_push_that_cannot_be_ends_in_one_line(on_hub):
    done = on_hub("model", "push", "none", "--to", "me/shapes")
    assert done.returncode == 1
    [line] = done.stderr.decode().splitlines()
    assert line.startswith("glyphsight: none: no such directory")
