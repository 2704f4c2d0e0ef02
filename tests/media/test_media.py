import sys

import pytest

from glyphsight import media
from glyphsight.errors import PictureError
from glyphsight.media import MEDIA, load_gray, medium_of


@pytest.fixture
def forget():
    media._media.cache_clear()
    yield
    media._media.cache_clear()
    sys.modules.pop("toy_medium", None)


def register(directory, monkeypatch, *lines):
    info = directory / "toy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join([f"[{MEDIA.group}]", *lines]))
    monkeypatch.syspath_prepend(directory)


@pytest.mark.usefixtures("forget")
def test_a_users_medium_reads_its_suffixes_and_none_of_ours(tmp_path, monkeypatch, golden):
    (tmp_path / "toy_medium.py").write_text(
        "import numpy as np\nfrom glyphsight.media import Medium\n"
        "def make():\n"
        "    suffixes = frozenset(['.toy', '.png'])\n"
        "    return Medium('toy', 'toys', suffixes, lambda path: np.full((2, 3), 7, np.uint8))\n"
    )
    register(tmp_path, monkeypatch, "toy = toy_medium:make")
    assert load_gray(tmp_path / "a.TOY").tolist() == [[7, 7, 7], [7, 7, 7]]
    assert medium_of("a.png").name == "picture"
    assert medium_of("a.wav").name == "sound"
    assert medium_of("a.txt") is None
    assert load_gray(golden / "five.png").shape == (28, 28)


@pytest.mark.usefixtures("forget")
def test_a_medium_that_does_not_load_leaves_pictures_alone(tmp_path, monkeypatch, golden):
    register(tmp_path, monkeypatch, "gone = no_such_module:make")
    assert load_gray(golden / "five.png").shape == (28, 28)
    with pytest.raises(PictureError, match="medium 'gone' of toy cannot be loaded"):
        load_gray(tmp_path / "a.toy")
