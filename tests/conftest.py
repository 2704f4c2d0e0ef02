import gc
from pathlib import Path

import pytest
from hypothesis import settings

from glyphsight.codec import Profile
from glyphsight.dataset import BuildSettings, build_dataset
from glyphsight.sources import Batch, load_split, open_source

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")


def pytest_collection_modifyitems(items):
    """Begin with what takes long and would be waited for: this folder, files with slow tests."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    here = Path(__file__).parent
    items.sort(key=lambda item: (item.path not in slow, item.path.parent != here))


def pytest_collection_finish():
    """Take what is imported by now out of garbage collection: each training collects anew."""
    gc.freeze()


@pytest.fixture(scope="session")
def golden() -> Path:
    """The published example: five.png, five.txt, five.json, as-published.json."""
    return Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def validation() -> Batch:
    """The 2,000 bundled validation digits."""
    return load_split(open_source("bundled"), "validation")


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Path:
    """A small dataset of real digits with its three splits."""
    path = tmp_path_factory.mktemp("digits")
    profile = Profile(invert="auto", centre=True)
    build_dataset("bundled", path, BuildSettings(profile=profile, limit=60, copies=1), quiet=True)
    return path


@pytest.fixture(scope="session")
def nano_run(digits, tmp_path_factory) -> Path:
    """A nano model after a few steps on them: trained, not good."""
    from glyphsight.train.run import train
    from glyphsight.train.settings import resolve_settings

    path = tmp_path_factory.mktemp("run") / "nano"
    given = {"batch_size": 16, "evaluations": 2, "validation_records": 20, "max_steps": 8}
    train(digits, "nano", path, resolve_settings("nano", given), quiet=True)
    return path


@pytest.fixture
def wav():
    import soundfile  # of the audio extra

    def write(path, samples, rate=8000):
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, rate)
        return path

    return write


@pytest.fixture(scope="session")
def spoken():
    """The folder of sixty real recordings, ``{digit}_{speaker}_0.flac``."""
    return Path(__file__).parents[1] / "src" / "glyphsight" / "assets" / "spoken-digits"
