import gc
import pickle

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glyphsight.errors import DatasetError
from glyphsight.sources import open_source


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def pets(tmp_path, png):
    """A local directory in the hub's layout of picture folders."""
    root = tmp_path / "pets"
    for at, split in enumerate(["train", "test"]):
        png(at, root / split / "cat" / "x.png")
        png(at + 10, root / split / "dog" / "x.png")
    (root / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n# Pets\n")
    return root


@pytest.fixture
def tables(tmp_path, png):
    """A local directory in the hub's layout of Parquet files, two of them for training."""
    root = tmp_path / "tables"
    (root / "data").mkdir(parents=True)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    metadata = (
        '{"info": {"features": {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"], '
        '"_type": "ClassLabel"}, "caption": {"dtype": "string", "_type": "Value"}}}}'
    )
    for at, name in enumerate(["train-00000-of-00002", "train-00001-of-00002"]):
        pictures = [{"bytes": png(10 * at + n), "path": None} for n in range(2)]
        columns = {"image": pa.array(pictures, kind), "label": [0, 1], "caption": ["a", "b"]}
        table = pa.table(columns).replace_schema_metadata({"huggingface": metadata})
        pq.write_table(table, root / "data" / f"{name}.parquet")
    return root


def test_a_folder_of_pictures_gives_what_the_folder_source_gives(pets, items):
    source = open_source(f"hub:{pets}")
    assert source.splits == ("train", "test")
    assert source.licence == "cc-by-4.0"
    assert items(source, "test") == [("test/0:0", "cat", 1), ("test/0:1", "dog", 11)]
    for split in source.splits:
        ours = [item[1:] for item in items(f"folder:{pets}", split)]
        assert [item[1:] for item in items(source, split)] == ours


def test_a_file_is_a_part_that_another_process_reads(tables, items):
    source = open_source(f"hub:{tables}?answer=label")
    assert [part.location for part in source.parts("train")] == [(0, 2), (1, 2)]
    assert items(pickle.loads(pickle.dumps(source))) == [
        ("train/0:0", "cat", 0),
        ("train/0:1", "dog", 1),
        ("train/1:0", "cat", 10),
        ("train/1:1", "dog", 11),
    ]


def test_of_several_answers_the_spec_chooses(tables, items):
    with pytest.raises(DatasetError, match="label, caption may each be the answer; choose with"):
        open_source(f"hub:{tables}").parts("train")
    assert [item[1] for item in items(f"hub:{tables}?answer=caption")] == ["a", "b", "a", "b"]


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # datasets leaves a metadata.csv open
def test_a_metadata_file_answers(tmp_path, png, items):
    png(1, tmp_path / "d" / "x.png")
    (tmp_path / "d" / "metadata.csv").write_text("file_name,caption\nx.png,a cat\n")
    assert items(f"hub:{tmp_path / 'd'}") == [("train/0:0", "a cat", 1)]
    gc.collect()


def test_a_corrupt_picture_fails_alone(pets, items):
    (pets / "train" / "cat" / "x.png").write_bytes(b"no")
    failure, good = items(f"hub:{pets}")
    assert failure == (
        "train/0:0",
        f"hub:{pets} train/0:0: not a picture in any format Pillow reads; save it again as PNG",
    )
    assert good == ("train/0:1", "dog", 10)


def test_a_file_damaged_inside_is_named(tables, items):
    path = tables / "data" / "train-00001-of-00002.parquet"
    path.write_bytes(b"PAR1" + b"\xff" * 100)
    with pytest.raises(DatasetError, match=r"hub:.*tables.* cannot be read"):
        items(f"hub:{tables}?answer=label")


def test_a_dataset_that_changes_after_it_was_listed_is_noticed(tables):
    source = open_source(f"hub:{tables}?answer=label")
    part = source.parts("train")[1]
    (tables / "data" / "train-00001-of-00002.parquet").unlink()
    open_source(f"hub:{tables}").splits  # noqa: B018
    with pytest.raises(DatasetError, match="changed since it was listed; start again"):
        list(source.read(part))


def test_a_dataset_without_pictures_is_named(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "train.csv").write_text("text,label\nhello,1\n")
    with pytest.raises(DatasetError, match="has no image column"):
        open_source(f"hub:{tmp_path / 'd'}").parts("train")


def test_an_empty_directory_and_no_name_are_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"cannot be opened .* give a hub id or a directory"):
        open_source(f"hub:{tmp_path}").splits  # noqa: B018
    with pytest.raises(DatasetError, match="hub:: names no dataset; give hub:OWNER/NAME"):
        open_source("hub:")
