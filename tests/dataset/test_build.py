import json
import struct
from collections import Counter
from dataclasses import asdict

import numpy as np
import pytest

import glyphsight
from glyphsight.codec import PUBLISHED, Profile
from glyphsight.dataset import build_dataset, check_dataset, load_dataset
from glyphsight.dataset.augment import Augmentation
from glyphsight.errors import DatasetError


def build(spec, out, **options):
    return build_dataset(spec, out, quiet=True, **options)


def contents(directory):
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


@pytest.fixture(scope="module")
def idx(tmp_path_factory, validation):
    """The first 300 validation digits as the training files of an MNIST-like set."""
    path = tmp_path_factory.mktemp("idx")
    labels = np.array(validation.labels[:300], dtype=np.uint8)
    pixels = struct.pack(">4B3I", 0, 0, 8, 3, 300, 28, 28) + validation.pixels[:300].tobytes()
    (path / "train-images-idx3-ubyte").write_bytes(pixels)
    (path / "train-labels-idx1-ubyte").write_bytes(
        struct.pack(">4BI", 0, 0, 8, 1, 300) + labels.tobytes()
    )
    return path


def test_the_bundled_digits_give_three_good_splits_and_a_manifest(tmp_path):
    report = build("bundled", tmp_path, limit=50)
    assert report.records == {"train": 50, "validation": 50, "test": 50}
    assert list(contents(tmp_path)) == [
        "manifest.json",
        "test.json",
        "train.json",
        "validation.json",
    ]
    for split, path in report.files.items():
        records = load_dataset(path)
        assert records == load_dataset(tmp_path, split)
        assert Counter(record.response for record in records) == report.labels[split]
        assert {record.size for record in records} == {"20"}
    checked = check_dataset(tmp_path)
    assert not checked.problems
    assert list(checked.records.values()) == [50, 50, 50]


def test_the_manifest_says_how_the_dataset_was_made(tmp_path):
    report = build("bundled", tmp_path, limit=20, seed=7, copies=1)
    assert json.loads((tmp_path / "manifest.json").read_bytes()) == {
        "source": "bundled",
        "licence": "MNIST by Yann LeCun and Corinna Cortes, CC BY-SA 3.0",
        "profile": json.loads(json.dumps(asdict(Profile()))),
        "limit": 20,
        "validation": 2000,
        "copies": 1,
        "augmentation": asdict(Augmentation()),
        "seed": 7,
        "records": {"train": 40, "validation": 20, "test": 20},
        "labels": report.labels,
    }


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(idx, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        build(f"idx:{idx}", tmp_path / name, validation=60, limit=30, copies=2, seed=seed)
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert a == b
    for name, data in a.items():
        assert data != c[name], name


def test_a_limit_keeps_the_class_shares(tmp_path):
    report = build("bundled", tmp_path, limit=100, split="test")
    assert report.records == {"test": 100}
    assert sorted(report.labels["test"]) == list("0123456789")
    assert set(report.labels["test"].values()) <= {9, 10, 11, 12}


def test_validation_is_held_out_of_training_and_shares_nothing_with_it(idx, tmp_path, validation):
    report = build(f"idx:{idx}", tmp_path, validation=60)
    assert report.records == {"train": 240, "validation": 60}
    # As multisets, the two parts are the whole again: nothing twice, nothing lost.
    built = [
        (record.ascii_image, record.response)
        for split in ("train", "validation")
        for record in load_dataset(tmp_path, split)
    ]
    texts = glyphsight.encode_batch(validation.pixels[:300])
    assert Counter(built) == Counter(zip(texts, validation.labels[:300], strict=True))


def test_a_split_built_alone_is_the_split_built_with_the_others(idx, tmp_path):
    build(f"idx:{idx}", tmp_path / "all", validation=60)
    for split in ("train", "validation"):
        build(f"idx:{idx}", tmp_path / split, validation=60, split=split)
        name = f"{split}.json"
        assert contents(tmp_path / split)[name] == contents(tmp_path / "all")[name]
        assert sorted(contents(tmp_path / split)) == sorted(["manifest.json", name])


def test_no_validation_is_held_out_when_none_is_wanted(idx, tmp_path):
    assert build(f"idx:{idx}", tmp_path, validation=0).records == {"train": 300}


def test_more_validation_than_there_is_training_is_refused(idx, tmp_path):
    with pytest.raises(DatasetError, match="cannot hold 300 of 300 training pictures out"):
        build(f"idx:{idx}", tmp_path / "x", validation=300)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("spec", "split", "complaint"),
    [
        ("bundled", "holdout", "has no split 'holdout'; it gives test, train, validation"),
        ("idx", "test", "has no split 'test'; it gives train, validation"),
    ],
)
def test_a_split_that_the_source_lacks_is_refused(idx, tmp_path, spec, split, complaint):
    with pytest.raises(DatasetError, match=complaint):
        build(f"idx:{idx}" if spec == "idx" else spec, tmp_path / "x", split=split)
    assert not (tmp_path / "x").exists()


def test_copies_are_made_of_training_pictures_alone_and_follow_them(idx, tmp_path):
    build(f"idx:{idx}", tmp_path / "plain", validation=60, limit=20)
    report = build(f"idx:{idx}", tmp_path / "copied", validation=60, limit=20, copies=2)
    assert report.records == {"train": 60, "validation": 20}
    plain, copied = (load_dataset(tmp_path / name) for name in ("plain", "copied"))
    assert copied[:20] == plain
    for turn in (1, 2):
        part = copied[20 * turn : 20 * (turn + 1)]
        assert [record.response for record in part] == [record.response for record in plain]
        changed = [a.ascii_image != b.ascii_image for a, b in zip(part, copied[:20], strict=True)]
        assert sum(changed) > 15
    name = "validation.json"
    assert contents(tmp_path / "plain")[name] == contents(tmp_path / "copied")[name]
    assert report.labels["train"] == Counter(record.response for record in copied)


def test_copies_with_no_change_are_the_pictures_themselves(tmp_path):
    still = Augmentation(shift=0, rotation=0, scale=0, shear=0)
    build("bundled", tmp_path, limit=20, copies=1, augmentation=still, split="train")
    records = load_dataset(tmp_path)
    assert records[20:] == records[:20]


def test_another_profile_is_written_and_checked(tmp_path):
    profile = Profile(width=10, palette="01234567")
    build("bundled", tmp_path, limit=10, split="test", profile=profile)
    records = load_dataset(tmp_path, "test")
    assert {record.size for record in records} == {"10"}
    assert check_dataset(tmp_path).records == {str(tmp_path / "test.json"): 10}
    assert not check_dataset(tmp_path).problems  # the manifest says the palette
    assert check_dataset(tmp_path, PUBLISHED).found == {"picture": 10}
