import numpy as np
import pytest

from glyphsight.errors import DatasetError
from glyphsight.sources import Failure, load_split, open_source, read_split
from glyphsight.sources.base import batches


def item(name, height=2, width=3):
    return name, "x", np.zeros((height, width), dtype=np.uint8)


def test_neighbours_of_one_size_come_together_and_failures_in_their_place():
    failure = Failure("c", "why")
    found = list(batches([item("a"), item("b"), failure, item("d"), item("e", 9), item("f", 9)]))
    assert found[1] is failure
    assert [batch.ids for batch in found if batch is not failure] == [["a", "b"], ["d"], ["e", "f"]]


def test_large_pictures_come_few_at_a_time():
    sizes = [len(batch) for batch in batches(item(str(n), 3000, 2000) for n in range(5))]
    assert sizes == [2, 2, 1]
    assert sum(len(batch) for batch in batches(item(str(n)) for n in range(2500))) == 2500


def test_a_failure_stops_whoever_wants_all(tmp_path, png):
    png(1, tmp_path / "cat" / "a.png")
    (tmp_path / "cat" / "b.png").write_bytes(b"no")
    with pytest.raises(DatasetError, match=r"b\.png: not a picture"):
        list(read_split(open_source(f"folder:{tmp_path}"), "train"))


def test_pictures_of_several_sizes_are_not_one_array(tmp_path, png):
    png(1, tmp_path / "cat" / "a.png")
    png(1, tmp_path / "cat" / "b.png", size=(9, 9))
    source = open_source(f"folder:{tmp_path}")
    assert [len(batch) for batch in read_split(source, "train")] == [1, 1]
    with pytest.raises(DatasetError, match="pictures of several sizes"):
        load_split(source, "train")
