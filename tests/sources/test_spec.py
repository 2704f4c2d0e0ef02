import io
import json
import pickle
import subprocess
import sys
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glyphsight.errors import DatasetError
from glyphsight.extras import MissingPackageError, need
from glyphsight.sources import SOURCES, is_spec, load_split, open_source
from glyphsight.sources.location import file_split, find, take_options

OWN = ["bundled", "idx", "folder", "parquet", "hub", "webdataset", "audiofolder", "fsdd"]

FAKE = """
import numpy as np
from glyphsight.errors import DatasetError
from glyphsight.sources import Batch, Part

class Stripes:
    splits = ("train",)
    licence = "CC0"

    def __init__(self, location):
        self.width = int(location)
        if self.width < 1:
            raise DatasetError("stripes have a width")

    def parts(self, split):
        return [Part(split, (0,))]

    def read(self, part):
        yield Batch(np.zeros((1, 4, self.width), np.uint8), ["stripe"], ["0"])

class Half:
    def __init__(self, location):
        self.splits = ()
"""


@pytest.fixture
def fake_distribution(tmp_path, monkeypatch):
    """A package on the path that registers sources of its own."""
    info = tmp_path / "wild_sources-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wild-sources\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[{SOURCES.group}]\nstripes = fake_source:Stripes\nbroken = fake_source:Half\n"
        "gone = no_such_module:Gone\nbundled = fake_source:Stripes\n"
    )
    (tmp_path / "fake_source.py").write_text(FAKE)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("fake_source", None)


@pytest.mark.usefixtures("fake_distribution")
def test_a_users_own_source_is_found_by_its_entry_point(items):
    assert SOURCES.names() == [*OWN, "stripes", "broken", "gone"]
    assert is_spec("stripes:3")
    source = open_source("stripes:3")
    assert items(pickle.loads(pickle.dumps(source))) == [("0", "stripe", 0)]
    assert "stripes: From wild-sources." in SOURCES.help().splitlines()


@pytest.mark.usefixtures("fake_distribution")
def test_the_projects_own_name_is_never_taken():
    assert open_source("bundled").splits == ("train", "validation", "test")


@pytest.mark.usefixtures("fake_distribution")
@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("broken:x", "broken:x: source 'broken' of wild-sources has no licence, parts, read; add"),
        ("gone", "gone: source 'gone' of wild-sources cannot be loaded (ModuleNotFoundError("),
        ("stripes:wide", "stripes:wide: source 'stripes' of wild-sources cannot be loaded (Value"),
        ("stripes:0", "stripes:0: stripes have a width"),
    ],
)
def test_a_users_source_that_does_not_work_is_named(spec, complaint):
    with pytest.raises(DatasetError) as caught:
        open_source(spec)
    assert str(caught.value).startswith(complaint)


def test_help_has_a_line_for_each_source():
    lines = SOURCES.help().splitlines()
    assert [line.split(":")[0] for line in lines[: len(OWN)]] == OWN
    assert all(line.endswith(".") for line in lines)
    assert lines[2].startswith("folder:DIR: Pictures in folders")


@pytest.mark.parametrize("spec", ["bundled", "idx:x", "hub:a/b", "parquet:s3://b/*.parquet"])
def test_a_spec_is_told_from_a_path(spec):
    assert is_spec(spec)


@pytest.mark.parametrize("text", ["", "runs/x", "runs:x", "bundle", "c:\\data", "/abs/idx:x", "."])
def test_a_path_is_no_spec(text):
    assert not is_spec(text)


def test_what_exists_is_a_path_whatever_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("idx:x", "bundled"):
        assert is_spec(name)
        (tmp_path / name).mkdir()
        assert not is_spec(name)


def test_bundled_takes_no_location():
    with pytest.raises(DatasetError, match="bundled:x: the bundled digits take no location"):
        open_source("bundled:x")


def test_options_are_cut_off_and_a_urls_query_is_not():
    assert take_options("d?answer=a b&config=c", "answer", "config") == (
        "d",
        {"answer": "a b", "config": "c"},
    )
    for location in ("d", "train-?.parquet", "what?", "?answer=x", "https://h/x.parquet?token=1"):
        assert take_options(location, "answer") == (location, {})
    assert take_options("https://h/x?token=1?answer=y", "answer")[1] == {"answer": "y"}


@pytest.mark.parametrize(
    ("root", "name", "split"),
    [
        ("", "train-00000-of-00002.parquet", "train"),
        ("", "train-00000-of-00002-0a1b2c.parquet", "train"),
        ("", "val-00000-of-00001.parquet", "validation"),
        ("", "train_100k-00000-of-00001.parquet", "train_100k"),
        ("", "test_images.tar", "test"),
        ("", "dev.tar", "validation"),
        ("", "trainer.tar", "train"),
        ("", "tested.tar", "train"),
        ("", "0000.parquet", "train"),
        ("a/", "test/0000.parquet", "test"),
        ("a/test/", "0000.parquet", "test"),
        ("test/a/", "0000.parquet", "train"),
        ("test/", "train.tar", "train"),
        ("s3://bucket/valid/", "0000.tar", "validation"),
    ],
)
def test_a_files_split_is_in_its_name_or_its_folders(root, name, split):
    assert file_split(root, name) == split


def test_files_are_found_by_glob_and_sorted(tmp_path):
    for name in ("b/2.tar", "b/10.tar", "a/1.tar", ".h/1.tar", "[x]/1.tar"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "c.tar").mkdir()
    assert find(f"{tmp_path}/*/*.tar") == (
        f"{tmp_path}/",
        ["[x]/1.tar", "a/1.tar", "b/10.tar", "b/2.tar"],
    )
    assert find(f"{tmp_path}/b/*0.tar") == (f"{tmp_path}/b/", ["10.tar"])
    assert find(f"{tmp_path}/[x]/1.tar") == (f"{tmp_path}/[x]/", ["1.tar"])


def test_what_is_not_installed_is_named_with_its_extra():
    with (
        pytest.raises(
            MissingPackageError, match=r"no_such_thing.*; run: pip install 'glyphsight\[data\]'"
        ),
        need("data", "json"),
    ):
        import no_such_thing  # noqa: F401


@pytest.mark.parametrize(
    ("package", "extra", "spec"),
    [
        ("pyarrow", "data", "parquet:{}/a/x.wav"),
        ("datasets", "data", "hub:{}"),
        ("fsspec", "data", "webdataset:memory://x/*.tar"),
        ("soundfile", "audio", "audiofolder:{}"),
        ("soxr", "audio", "audiofolder:{}"),
    ],
)
def test_a_source_that_lacks_a_package_names_its_extra(
    tmp_path, monkeypatch, items, package, extra, spec
):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.wav").touch()
    monkeypatch.setitem(sys.modules, package, None)
    for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(
        MissingPackageError, match=rf"{package}.*; run: pip install 'glyphsight\[{extra}"
    ):
        items(spec.format(tmp_path))


def test_sources_are_known_without_what_only_some_of_them_need():
    heavy = "{'pyarrow', 'datasets', 'fsspec', 'soundfile', 'soxr', 'torch'}"
    code = (
        f"import sys, glyphsight.sources as s; s.SOURCES.help(); print({heavy} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_tilde_is_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "pets" / "cat").mkdir(parents=True)
    (tmp_path / "pets" / "cat" / "1.png").write_bytes(b"")
    assert open_source("folder:~/pets").splits == ("train",)


@pytest.mark.parametrize("kind", ["parquet", "hub", "webdataset", "folder"])
def test_a_question_of_an_items_own_is_read_from_every_kind_of_table(tmp_path, png, kind):
    asked = [" Is it a cat? ", "", "Is it e\u0301?"]
    data = tmp_path / "data"
    data.mkdir()
    if kind in ("parquet", "hub"):
        columns = {"image": [png(n) for n in range(3)], "label": ["yes ", "no", "no"]}
        table = pa.table(columns | {"question": [each or None for each in asked]})
        pq.write_table(table, data / "train-00000-of-00001.parquet")
        spec = f"parquet:{data}/*.parquet" if kind == "parquet" else f"hub:{data}"
    elif kind == "webdataset":
        with tarfile.open(data / "x.tar", "w") as archive:
            for number, question in enumerate(asked):
                said = json.dumps({"label": "yes", "question": question}).encode()
                for ending, content in (("png", png(number)), ("json", said)):
                    member = tarfile.TarInfo(f"{number}.{ending}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
        spec = f"webdataset:{data}/x.tar"
    else:
        lines = [
            {"file_name": f"{n}.png", "label": "yes", "question": each}
            for n, each in enumerate(asked)
        ]
        for number in range(3):
            png(number, data / f"{number}.png")
        (data / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
        spec = f"folder:{data}"
    found = load_split(open_source(spec), "train")
    assert found.questions == ["Is it a cat?", "", "Is it \u00e9?"]
    assert set(found.labels) <= {"yes", "no"}
    assert found.take(np.array([2])).questions == ["Is it \u00e9?"]
