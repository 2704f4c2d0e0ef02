import gzip
import pickle
import struct

import numpy as np
import pytest

from glyphsight.errors import DatasetError
from glyphsight.sources import Part, load_split, open_source
from glyphsight.sources.idx import IdxFile

TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx(array):
    header = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


@pytest.fixture
def mnist(tmp_path, validation):
    """Ten training digits as plain files, five test digits as gzip files."""
    labels = np.array(validation.labels, dtype=np.uint8)
    for names, part, suffix in ((TRAIN, slice(10), ""), (TEST, slice(10, 15), ".gz")):
        for name, array in zip(names, (validation.pixels[part], labels[part]), strict=True):
            data = idx(array)
            (tmp_path / f"{name}{suffix}").write_bytes(gzip.compress(data) if suffix else data)
    return tmp_path


def load(directory, split="train"):
    return load_split(open_source(f"idx:{directory}"), split)


def test_plain_files_give_the_training_split(mnist, validation):
    pictures = load(mnist)
    np.testing.assert_array_equal(pictures.pixels, validation.pixels[:10])
    assert pictures.labels == validation.labels[:10]
    assert pictures.ids[:2] == ["train-images-idx3-ubyte:0", "train-images-idx3-ubyte:1"]


def test_gzip_files_give_the_test_split(mnist, validation):
    pictures = load(mnist, "test")
    np.testing.assert_array_equal(pictures.pixels, validation.pixels[10:15])
    assert pictures.labels == validation.labels[10:15]
    assert len(set(pictures.ids)) == 5


def test_a_source_has_the_splits_whose_files_are_there(mnist):
    assert open_source(f"idx:{mnist}").splits == ("train", "test")
    (mnist / TRAIN[0]).unlink()
    assert open_source(f"idx:{mnist}").splits == ("test",)


def spoil(directory, name, change):
    """Change a file's bytes; the error must name it."""
    path = directory / name
    path.write_bytes(change(path.read_bytes()))
    return path


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda data: b"", "not an IDX file of unsigned bytes (starts with nothing"),
        (lambda data: b"\0\0", "not an IDX file"),
        (lambda data: b"\x89PNG" + data[4:], "not an IDX file of unsigned bytes (starts with 8950"),
        (lambda data: b"\0\0\x0d\x03" + data[4:], "(starts with 00000d03"),
        (lambda data: b"\0\0\x08\0" + data[4:], "not an IDX file"),
        (lambda data: data[:7], "cut off inside its header"),
        (lambda data: data[:-1], "header says 10x28x28 = 7840 bytes, 7839 follow"),
        (lambda data: data + b"x", "header says 10x28x28 = 7840 bytes, 7841 follow"),
        (lambda data: b"\0\0\x08\x46" + b"\0\0\0\1" * 70 + b"x", "70 dimensions, pictures have 3"),
        (lambda data: b"\0\0\x08\x03" + b"\0\0\0\0" + b"\xff" * 8, "holds no pictures"),
        (lambda data: b"\0\0\x08\x03" + b"\0\0\0\0" * 3, "holds no pictures"),
        (lambda data: b"\0\0\x08\x01\0\0\0\x02ab", "1 dimensions, pictures have 3"),
    ],
)
def test_a_spoilt_file_is_named_with_what_is_wrong(mnist, change, complaint):
    path = spoil(mnist, TRAIN[0], change)
    with pytest.raises(DatasetError) as caught:
        load(mnist)
    assert str(caught.value).startswith(f"{path}: ")
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:2],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-8] + b"\0" * 8,
        lambda data: data[:2] + b"\x07" + data[3:],
        lambda data: data[:20] + b"\xff" * 50 + data[70:],
    ],
    ids=["magic alone", "half", "wrong checksum", "unknown method", "garbled"],
)
def test_a_damaged_gzip_file_is_named(mnist, change):
    path = spoil(mnist, f"{TEST[0]}.gz", change)
    with pytest.raises(DatasetError, match="cannot be read") as caught:
        load(mnist, "test")
    assert str(caught.value).startswith(f"{path}: ")


def test_labels_and_pictures_that_do_not_belong_together_are_refused(mnist):
    path = mnist / TRAIN[1]
    path.write_bytes(idx(np.zeros(9, dtype=np.uint8)))
    with pytest.raises(DatasetError, match="9 labels for 10 pictures") as caught:
        load(mnist)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_missing_label_file_is_named(mnist):
    (mnist / TRAIN[1]).unlink()
    with pytest.raises(DatasetError, match=rf"{TRAIN[1]}\[\.gz\]: missing"):
        load(mnist)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"nothing\.idx: cannot be read"):
        IdxFile(tmp_path / "nothing.idx")


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_range_of_items_is_read_in_another_process(mnist, validation, split):
    source = pickle.loads(pickle.dumps(open_source(f"idx:{mnist}")))
    (batch,) = source.read(Part(split, (2, 4)))
    first = 2 if split == "train" else 12
    np.testing.assert_array_equal(batch.pixels, validation.pixels[first : first + 2])
    assert batch.labels == validation.labels[first : first + 2]
    assert [name.rpartition(":")[2] for name in batch.ids] == ["2", "3"]


def test_a_file_that_is_cut_off_while_it_is_read_is_named(mnist):
    file = IdxFile(mnist / TRAIN[0])
    spoil(mnist, TRAIN[0], lambda data: data[:-1])
    assert file.read(0, 9).shape == (9, 28, 28)
    with pytest.raises(DatasetError, match="changed while it was read; start again"):
        file.read(9, 10)


def test_a_directory_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DatasetError, match="nowhere: no such directory"):
        open_source(f"idx:{tmp_path / 'nowhere'}")


def test_a_directory_without_idx_files_says_what_was_expected(tmp_path):
    with pytest.raises(DatasetError, match=f"holds no IDX pictures; expected {TRAIN[0]}"):
        open_source(f"idx:{tmp_path}")


@pytest.mark.parametrize("spec", ["", "mnist", "index:here", "/some/path"])
def test_an_unknown_source_names_those_there_are(spec):
    with pytest.raises(DatasetError, match=r"unknown source; .*give one of bundled, idx"):
        open_source(spec)
