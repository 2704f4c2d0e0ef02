import io
import json
import pickle

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glyphsight.errors import DatasetError
from glyphsight.sources import open_source

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def hub_metadata(**features):
    return {b"huggingface": json.dumps({"info": {"features": features}}).encode()}


CLASSES = hub_metadata(
    image={"_type": "Image"}, label={"names": ["cat", "dog"], "_type": "ClassLabel"}
)


@pytest.fixture
def write(png):
    """Writes a file of rows; gray values stand for pictures."""

    def write(path, grays, metadata=None, image="image", kind=IMAGE, group=None, **columns):
        pictures = [png(each) if isinstance(each, int) else each for each in grays]
        if kind == IMAGE:
            pictures = [{"bytes": each, "path": "x.png"} for each in pictures]
        arrays = {image: pa.array(pictures, kind)} | {n: pa.array(c) for n, c in columns.items()}
        table = pa.table(arrays).replace_schema_metadata(metadata)
        if hasattr(path, "parent"):
            path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, row_group_size=group)
        return path

    return write


def test_the_hubs_layout_is_read_with_its_class_names(tmp_path, write, items):
    data = tmp_path / "data"
    write(data / "train-00000-of-00002.parquet", [1, 2, 3], CLASSES, group=2, label=[0, 1, 1])
    write(data / "train-00001-of-00002.parquet", [4], CLASSES, label=[0])
    write(data / "test-00000-of-00001.parquet", [5], CLASSES, label=[1])
    write(data / "extra-00000-of-00001.parquet", [6], CLASSES, label=[1])
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n")
    source = open_source(f"parquet:{data}/*.parquet")
    assert source.splits == ("train", "test", "extra")
    assert source.licence == "mit"
    assert [part.location for part in source.parts("train")] == [
        ("train-00000-of-00002.parquet", 0, 0, 2),
        ("train-00000-of-00002.parquet", 1, 2, 1),
        ("train-00001-of-00002.parquet", 0, 0, 1),
    ]
    assert items(source) == [
        ("train-00000-of-00002.parquet:0", "cat", 1),
        ("train-00000-of-00002.parquet:1", "dog", 2),
        ("train-00000-of-00002.parquet:2", "dog", 3),
        ("train-00001-of-00002.parquet:0", "cat", 4),
    ]
    assert items(pickle.loads(pickle.dumps(source)), "extra")[0][1:] == ("dog", 6)


def test_splits_may_be_folders_and_names_stay_unique(tmp_path, write, items):
    write(tmp_path / "default" / "train" / "0000.parquet", [1], label=["a"])
    write(tmp_path / "default" / "validation" / "0000.parquet", [2], label=["b"])
    spec = f"parquet:{tmp_path}/**/*.parquet"
    assert open_source(spec).splits == ("train", "validation")
    assert items(spec, "validation") == [("default/validation/0000.parquet:0", "b", 2)]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), IMAGE])
@pytest.mark.parametrize("labels", [["a cat", "ein Hünd"], [7, 8], [0.5, 1.5]])
def test_plain_bytes_and_any_labels_are_read(tmp_path, write, items, kind, labels):
    path = write(tmp_path / "x.parquet", [1, 2], kind=kind, label=labels)
    assert items(f"parquet:{path}") == [
        ("x.parquet:0", str(labels[0]), 1),
        ("x.parquet:1", str(labels[1]), 2),
    ]


def test_the_only_other_column_answers_and_of_several_the_spec_chooses(tmp_path, write, items):
    one = write(tmp_path / "one.parquet", [1], breed=["Manx"])
    assert items(f"parquet:{one}")[0][1] == "Manx"
    two = write(tmp_path / "two.parquet", [1], fine=["Manx"], coarse=["cat"])
    with pytest.raises(DatasetError, match="fine, coarse may each be the answer; choose with"):
        open_source(f"parquet:{two}").parts("train")
    assert items(f"parquet:{two}?answer=coarse")[0][1] == "cat"
    with pytest.raises(DatasetError, match=r"'x' is no answer column; take one of fine, coarse"):
        open_source(f"parquet:{two}?answer=x").parts("train")


def test_the_index_that_pandas_writes_is_no_answer(tmp_path, write, items):
    path = write(tmp_path / "x.parquet", [1], breed=["Manx"], __index_level_0__=[17])
    assert items(f"parquet:{path}") == [("x.parquet:0", "Manx", 1)]


def test_of_several_pictures_the_spec_chooses(tmp_path, png, write, items):
    path = write(tmp_path / "x.parquet", [1], kind=pa.binary(), mask=[png(9)], label=["a"])
    with pytest.raises(DatasetError, match=r"image, mask may each be the image; .* \?image=image"):
        open_source(f"parquet:{path}").parts("train")
    assert items(f"parquet:{path}?image=mask&answer=label") == [("x.parquet:0", "a", 9)]


def test_rows_that_are_wrong_fail_alone(tmp_path, png, write, items):
    grays = [1, b"not a picture", None, png(4)[:-20], 5, 6, 7]
    labels = [0, 0, 0, 0, None, 2, -1]
    path = write(tmp_path / "x.parquet", grays, CLASSES, label=labels)
    found = items(f"parquet:{path}")
    assert found[0] == ("x.parquet:0", "cat", 1)
    assert [item[1].removeprefix(f"{path}:{at}: ") for at, item in enumerate(found)][1:3] == [
        "not a picture in any format Pillow reads; save it again as PNG",
        "holds no bytes of a picture; fix or remove the item",
    ]
    assert found[3][1].startswith(f"{path}:3: damaged or cut off")
    assert found[4][1] == f"{path}:4: has no answer; fix or remove the item"
    assert "class 2 has no name, there are 2" in found[5][1]
    assert "class -1 has no name" in found[6][1]


def test_a_file_without_an_image_column_is_named(tmp_path, write):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"image": ["x.png"], "label": [1]}), path)
    with pytest.raises(DatasetError, match=r"x\.parquet: has no image column; add one"):
        open_source(f"parquet:{path}").parts("train")


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: b"PAR1",
        lambda data: b"not parquet at all",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data[:-60] + b"\xff" * 40 + data[-20:],
    ],
    ids=["empty", "magic", "text", "half", "cut", "garbled"],
)
def test_a_corrupt_file_is_named(tmp_path, write, change):
    path = write(tmp_path / "x.parquet", [1, 2], label=["a", "b"])
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DatasetError, match="cannot be read as Parquet") as error:
        open_source(f"parquet:{path}").parts("train")
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_a_file_garbled_inside_is_named_or_its_pictures_are(tmp_path, write, items):
    path = write(tmp_path / "x.parquet", list(range(50)), label=["a"] * 50)
    data = path.read_bytes()
    for start in range(4, len(data) // 2, 97):
        path.write_bytes(data[:start] + b"\xff" * 30 + data[start + 30 :])
        try:
            assert items(f"parquet:{path}")
        except DatasetError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017


def test_a_changed_byte_is_noticed_where_the_file_has_checksums(tmp_path, png, items):
    path = tmp_path / "x.parquet"
    pixels = [png(7, size=(90, 90), kind="BMP")]
    table = pa.table({"image": pa.array(pixels, pa.binary()), "label": ["a"]})
    pq.write_table(table, path, write_page_checksum=True, compression="none")
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=r"cannot be read as Parquet .*CRC"):
        items(f"parquet:{path}")


def test_a_file_without_rows_is_named(tmp_path, write):
    path = write(tmp_path / "x.parquet", [], label=pa.array([], pa.string()))
    with pytest.raises(DatasetError, match=r"x\.parquet: holds no rows; remove it"):
        open_source(f"parquet:{path}").parts("train")


def test_a_pattern_that_names_nothing_is_refused_with_its_spec(tmp_path):
    for pattern, complaint in (("*.parquet", "matches no file"), ("x.parquet", "no such file")):
        spec = f"parquet:{tmp_path}/{pattern}"
        with pytest.raises(DatasetError, match=complaint) as error:
            open_source(spec)
        assert str(error.value).startswith(f"{spec}: ")


@pytest.fixture
def bucket():
    """A remote place in memory."""
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/bucket", recursive=True)


def test_remote_files_are_read_where_they_are(bucket, write, items):
    for name, gray in (("train-00000-of-00001", 1), ("test-00000-of-00001", 2)):
        stream = io.BytesIO()
        write(stream, [gray], CLASSES, label=[1])
        bucket.pipe(f"/bucket/data/{name}.parquet", stream.getvalue())
    for spec in ("parquet:memory://bucket/data/*.parquet", "parquet:memory://bucket/**/*.parquet"):
        source = open_source(spec)
        assert source.splits == ("train", "test")
        assert source.licence == ""
        ((name, *item),) = items(pickle.loads(pickle.dumps(source)), "test")
        assert name.endswith("test-00000-of-00001.parquet:0")
        assert item == ["dog", 2]
    one = "parquet:memory://bucket/data/test-00000-of-00001.parquet"
    assert items(one, "test") == [("test-00000-of-00001.parquet:0", "dog", 2)]


def test_remote_places_that_cannot_be_had_are_named(bucket):
    bucket.pipe("/bucket/x.parquet", b"no")
    for spec, complaint in (
        ("parquet:memory://bucket/*.tar", "matches no file"),
        ("parquet:nosuch://bucket/*.parquet", "cannot be listed"),
    ):
        with pytest.raises(DatasetError, match=complaint) as error:
            open_source(spec)
        assert str(error.value).startswith(f"{spec}: ")
    with pytest.raises(DatasetError, match=r"memory://bucket/y\.parquet: no such file"):
        open_source("parquet:memory://bucket/y.parquet").parts("train")
