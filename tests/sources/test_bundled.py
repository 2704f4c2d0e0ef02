from collections import Counter

import pytest

from glyphsight.errors import DatasetError
from glyphsight.sources import load_split, open_source

TEST_HISTOGRAM = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]  # MNIST's test file
TRAIN_HISTOGRAM = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


@pytest.fixture(scope="module")
def splits():
    source = open_source("bundled")
    return {split: load_split(source, split) for split in source.splits}


def test_the_splits_have_the_stated_sizes(splits):
    assert {name: len(pictures) for name, pictures in splits.items()} == {
        "train": 20_000,
        "validation": 2_000,
        "test": 10_000,
    }
    for pictures in splits.values():
        assert pictures.pixels.shape == (len(pictures), 28, 28)
        assert pictures.pixels.dtype == "uint8"
        assert len(pictures.labels) == len(pictures.ids) == len(pictures)


def test_no_digit_is_in_two_splits_or_twice_in_one(splits):
    names = [name for pictures in splits.values() for name in pictures.ids]
    assert len(set(names)) == len(names)
    digits = [pixels.tobytes() for pictures in splits.values() for pixels in pictures.pixels]
    assert len(set(digits)) == len(digits)


def test_the_test_split_is_the_complete_mnist_test_file(splits):
    counts = Counter(splits["test"].labels)
    assert [counts[str(digit)] for digit in range(10)] == TEST_HISTOGRAM
    assert splits["test"].ids == [f"t10k-images-idx3-ubyte:{i}" for i in range(10_000)]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_training_and_validation_have_the_class_shares_of_mnist(splits, split):
    counts = Counter(splits[split].labels)
    for digit, of_all in enumerate(TRAIN_HISTOGRAM):
        assert abs(counts[str(digit)] - of_all * len(splits[split]) / 60_000) <= 1


def test_training_and_validation_come_from_the_training_file(splits):
    for split in ("train", "validation"):
        numbers = [int(name.removeprefix("train-images-idx3-ubyte:")) for name in splits[split].ids]
        assert 0 <= min(numbers) < max(numbers) < 60_000


def test_the_licence_is_stated():
    assert "CC BY-SA 3.0" in open_source("bundled").licence


def test_a_location_is_refused():
    with pytest.raises(DatasetError, match="bundled:here: the bundled digits take no location"):
        open_source("bundled:here")
