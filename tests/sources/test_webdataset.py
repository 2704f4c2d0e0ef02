import gzip
import io
import pickle
import tarfile

import fsspec
import pytest

from glyphsight.errors import DatasetError
from glyphsight.sources import open_source


def tar(*files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


@pytest.fixture
def shard(tmp_path):
    def write(*files, name="train-000000.tar"):
        path = tmp_path / name
        path.write_bytes(tar(*files))
        return path

    return write


def test_files_of_one_basename_are_a_sample(tmp_path, png, shard, items):
    shard(("0.png", png(1)), ("0.cls", b"3\n"), ("1.cls", b"4"), ("1.jpg", png(2)))
    shard(("a/0.png", png(5)), ("a/0.txt", "ein Hünd\n".encode()), name="train-000001.tar")
    shard(("./x.png", png(6)), ("./x.json", b'{"label": "cat", "id": 7}'), name="val-0.tar")
    source = open_source(f"webdataset:{tmp_path}/*.tar")
    assert source.splits == ("train", "validation")
    assert [part.location for part in source.parts("train")] == [
        ("train-000000.tar",),
        ("train-000001.tar",),
    ]
    assert items(source) == [
        ("train-000000.tar:0", "3", 1),
        ("train-000000.tar:1", "4", 2),
        ("train-000001.tar:a/0", "ein Hünd", 5),
    ]
    assert items(pickle.loads(pickle.dumps(source)), "validation") == [("val-0.tar:x", "cat", 6)]


def test_a_shard_named_for_no_split_is_for_training(shard, png):
    path = shard(("0.png", png(1)), ("0.cls", b"3"), name="cats.tar")
    assert open_source(f"webdataset:{path}").splits == ("train",)


def test_of_answers_that_differ_the_spec_chooses(shard, png, items):
    path = shard(
        *(("0.png", png(1)), ("0.cls", b"3"), ("0.txt", b"a cat")),
        ("0.json", b'{"caption": "a cat", "breed": "Manx"}'),
    )
    ((_, reason),) = items(f"webdataset:{path}")
    assert reason == (
        f"{path}:0: cls, txt, caption differ; choose the answer with ?answer=cls; fix or remove "
        "the item"
    )
    for choice, answer in (("cls", "3"), ("txt", "a cat"), ("caption", "a cat"), ("breed", "Manx")):
        assert items(f"webdataset:{path}?answer={choice}") == [(f"{path.name}:0", answer, 1)]


def test_the_same_answer_said_twice_is_one(shard, png, items):
    path = shard(("0.jpg", png(1)), ("0.txt", b"a cat"), ("0.json", b'{"caption": "a cat"}'))
    assert items(f"webdataset:{path}")[0][1] == "a cat"


def test_hidden_files_folders_and_other_files_of_a_sample_are_left_out(shard, png, items):
    path = shard(("._0.png", b"?"), ("0.npy", b"?"), ("0.cls", b"3"), ("0.png", png(1)))
    assert items(f"webdataset:{path}") == [(f"{path.name}:0", "3", 1)]


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"png": b"no", "cls": b"3"}, "not a picture"),
        ({"cls": b"3"}, "holds 0 pictures, a sample has one"),
        ({"left.png": None, "right.png": None, "cls": b"3"}, "holds 2 pictures"),
        ({"png": None}, "has no answer"),
        ({"png": None, "cls": b" \n"}, "has no answer"),
        ({"png": None, "txt": b"\xff"}, "can't decode byte 0xff"),
        ({"png": None, "json": b'{"la'}, "Unterminated string"),
        ({"png": None, "json": b"[1]"}, "json holds no object"),
        ({"png": None, "json": b"[" * 200_000}, "maximum recursion depth exceeded"),
        ({"png": None, "json": b'{"label": [1]}'}, "its answer is no text but list"),
        ({"png": None, "json": b'{"id": 1}'}, "has no answer"),
    ],
)
def test_a_sample_that_is_wrong_fails_alone(shard, png, items, files, complaint):
    wrong = [(f"1.{end}", png(9) if data is None else data) for end, data in files.items()]
    path = shard(
        *(("0.png", png(1)), ("0.cls", b"3")), *wrong, *(("2.png", png(2)), ("2.cls", b"4"))
    )
    first, failure, last = items(f"webdataset:{path}")
    assert (first[2], last[2]) == (1, 2)
    assert failure[0] == f"{path.name}:1"
    assert failure[1].startswith(f"{path}:1: ")
    assert complaint in failure[1]


def test_a_sample_that_is_torn_apart_fails(shard, png):
    path = shard(("0.cls", b"3"), ("1.png", png(1)), ("1.cls", b"3"), ("0.png", png(2)))
    (part,) = open_source(f"webdataset:{path}").parts("train")
    found = list(open_source(f"webdataset:{path}").read(part))
    assert [getattr(each, "id", "pictures") for each in found] == [
        f"{path.name}:0",
        "pictures",
        f"{path.name}:0",
    ]
    assert "its files do not stand together" in found[2].reason


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: b"hello, world\n" * 100,
        lambda data: data[:300],
        lambda data: data[:700],
        lambda data: data[: 512 * 2],
        lambda data: data[: 512 * 4 + 100],
        lambda data: data[: 512 * 4] + b"\xff" * 512 + data[512 * 5 :],
        lambda data: gzip.compress(data)[:-30],
    ],
    ids=["empty", "text", "header", "inside", "no end", "next header", "garbled", "gzip"],
)
def test_a_corrupt_archive_is_named(shard, png, items, change):
    path = shard(("0.png", png(1)), ("0.cls", b"3"), ("1.png", png(2)), ("1.cls", b"3"))
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DatasetError, match="cannot be read as tar") as error:
        items(f"webdataset:{path}")
    assert str(error.value).startswith(f"{path}: ")


def test_an_archive_without_samples_is_named(shard, items):
    with pytest.raises(DatasetError, match="holds no samples; remove it"):
        items(f"webdataset:{shard()}")


def test_compressed_and_remote_shards_are_read(png, items):
    system = fsspec.filesystem("memory")
    data = tar(("0.png", png(1)), ("0.cls", b"3"))
    system.pipe("/shards/test-0.tar.gz", gzip.compress(data))
    system.pipe("/shards/train-0.tar", data)
    spec = "webdataset:memory://shards/*.tar*"
    assert items(spec, "test") == [("test-0.tar.gz:0", "3", 1)]
    assert items(spec, "train") == [("train-0.tar:0", "3", 1)]
    system.rm("/shards", recursive=True)
