import hashlib
import io
import json
import os
import re
import shlex
import shutil
import struct
import sys
import tarfile
import time
from collections import Counter
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import glyphsight
from glyphsight.cli.app import app
from glyphsight.codec import PUBLISHED, Profile, parse
from glyphsight.codec.encode import level_grids
from glyphsight.dataset import BuildSettings, Prompt, build_dataset, check_dataset, load_dataset
from glyphsight.dataset.build.state import open_state
from glyphsight.dataset.filesystem import Directory, open_directory
from glyphsight.dataset.likeness import alike_hashes
from glyphsight.errors import DatasetError, GlyphsightError
from glyphsight.media.change import Augmentation
from glyphsight.parallel import Workers
from glyphsight.sources import load_split, open_source


def build(spec, out, *, workers=1, existing="replace", **options):
    processes = Workers(workers=workers)
    settings = BuildSettings(**options)
    return build_dataset(spec, out, settings, workers=processes, existing=existing, quiet=True)


def contents(directory):
    """Bytes of all files, the state of a build included."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


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
        "test.sources.txt",
        "train.json",
        "train.sources.txt",
        "validation.json",
        "validation.sources.txt",
    ]
    for split, path in report.files.items():
        records = load_dataset(path)
        assert records == load_dataset(tmp_path, split)
        assert Counter(record.answer for record in records) == report.labels[split]
        assert {record.size for record in records} == {"20"}
    checked = check_dataset(tmp_path)
    assert not checked.problems
    assert list(checked.records.values()) == [50, 50, 50]


def test_the_manifest_says_how_the_dataset_was_made(tmp_path):
    report = build("bundled", tmp_path, limit=20, seed=7, copies=1)
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    assert (
        manifest.items()
        >= {
            "source": "bundled",
            "licence": "MNIST by Yann LeCun and Corinna Cortes, CC BY-SA 3.0",
            "profile": json.loads(json.dumps(asdict(Profile()))),
            "limit": 20,
            "validation": None,
            "copies": 1,
            "augmentation": asdict(Augmentation()),
            "seed": 7,
            "output": "json",
            "wordings": [asdict(Prompt())],
            "records": {"train": 40, "validation": 20, "test": 20},
            "labels": report.labels,
            "failures": {"count": 0, "items": []},
            "command": "glyphsight dataset build --source bundled --out DIR --limit 20 --copies 1 "
            "--seed 7",
        }.items()
    )
    listed = [entry for entries in manifest["files"].values() for entry in entries]
    assert {entry["name"] for entry in listed} == set(contents(tmp_path)) - {"manifest.json"}
    for entry in listed:
        data = (tmp_path / entry["name"]).read_bytes()
        assert entry["bytes"] == len(data)
        assert entry["sha256"] == hashlib.sha256(data).hexdigest()
        assert entry["records"] == data.count(b"\n" if "sources" in entry["name"] else b"{")


@pytest.mark.parametrize(
    "options",
    [
        {"profile": Profile(10, "01", threshold=(80,), crop=0.1, contrast=True)},
        {"copies": 1, "augmentation": Augmentation(shift=0, noise=9.5), "split": "train"},
        {"balance": "up", "keep_duplicates": True, "output": "jsonl", "shard_size": 7},
    ],
)
def test_the_command_in_the_manifest_builds_the_same(idx, tmp_path, options):
    build(f"idx:{idx}", tmp_path / "a", validation=60, limit=30, **options)
    command = json.loads((tmp_path / "a" / "manifest.json").read_bytes())["command"]
    words = shlex.split(command)[1:]
    words[words.index("DIR")] = str(tmp_path / "b")
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


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
        (record.picture, record.answer)
        for split in ("train", "validation")
        for record in load_dataset(tmp_path, split)
    ]
    texts = glyphsight.encode_batch(validation.pixels[:300])
    assert Counter(built) == Counter(zip(texts, validation.labels[:300], strict=True))


def test_a_split_built_alone_is_the_split_built_with_the_others(idx, tmp_path):
    build(f"idx:{idx}", tmp_path / "all", validation=60)
    for split in ("train", "validation"):
        build(f"idx:{idx}", tmp_path / split, validation=60, split=split)
        names = [f"{split}.json", f"{split}.sources.txt"]
        for name in names:
            assert contents(tmp_path / split)[name] == contents(tmp_path / "all")[name]
        assert sorted(contents(tmp_path / split)) == sorted(["manifest.json", *names])


def test_no_validation_is_held_out_when_none_is_wanted(idx, tmp_path):
    assert build(f"idx:{idx}", tmp_path, validation=0).records == {"train": 300}


def test_more_validation_than_there_is_training_is_refused(idx, tmp_path):
    with pytest.raises(DatasetError, match="cannot hold 300 of 300 training pictures out"):
        build(f"idx:{idx}", tmp_path / "x", validation=300)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("spec", "split", "complaint"),
    [
        ("bundled", "holdout", "has no split 'holdout'; give one of test, train, validation"),
        ("idx", "test", "has no split 'test'; give one of train, validation"),
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
        assert [record.answer for record in part] == [record.answer for record in plain]
        changed = [a.picture != b.picture for a, b in zip(part, copied[:20], strict=True)]
        assert sum(changed) > 15
    name = "validation.json"
    assert contents(tmp_path / "plain")[name] == contents(tmp_path / "copied")[name]
    assert report.labels["train"] == Counter(record.answer for record in copied)


def test_copies_with_no_change_are_the_pictures_themselves(tmp_path):
    still = Augmentation(shift=0, rotation=0, scale=0, shear=0)
    build("bundled", tmp_path, limit=20, copies=1, augmentation=still, split="train")
    records = load_dataset(tmp_path)
    texts = [(record.picture, record.answer) for record in records]
    assert texts[20:] == texts[:20]


def test_another_profile_is_written_and_checked(tmp_path):
    profile = Profile(width=10, palette="01234567")
    build("bundled", tmp_path, limit=10, split="test", profile=profile)
    records = load_dataset(tmp_path, "test")
    assert {record.size for record in records} == {"10"}
    assert check_dataset(tmp_path).records == {str(tmp_path / "test.json"): 10}
    assert not check_dataset(tmp_path).problems  # the manifest says the palette
    assert check_dataset(tmp_path, PUBLISHED).found == {"picture": 10}


def test_every_record_says_what_it_was_made_from(idx, tmp_path, validation):
    build(f"idx:{idx}", tmp_path / "json", validation=60, copies=1)
    build(f"idx:{idx}", tmp_path / "parquet", validation=60, copies=1, output="parquet")
    texts = glyphsight.encode_batch(validation.pixels[:300])
    for name in ("json", "parquet"):
        records = load_dataset(tmp_path / name, "train")
        assert len(records) == 480
        for record in records[:240]:
            place = int(record.source.rpartition(":")[2])
            assert record.source == f"idx:{idx} train-images-idx3-ubyte:{place}"
            assert record.picture == texts[place]
        assert [r.source for r in records[240:]] == [f"{r.source} copy 1" for r in records[:240]]


@pytest.mark.parametrize("output", ["json", "jsonl", "chat", "parquet"])
def test_all_layouts_hold_the_same_records(idx, tmp_path, output):
    build(f"idx:{idx}", tmp_path / "json", validation=60)
    report = build(f"idx:{idx}", tmp_path / "x", validation=60, output=output, shard_size=100)
    for split in ("train", "validation"):
        assert load_dataset(tmp_path / "x", split) == load_dataset(tmp_path / "json", split)
        assert list(tmp_path.glob(os.path.relpath(report.files[split], tmp_path)))
    assert not (tmp_path / "x" / ".build").exists()


def test_the_hub_layout_comes_with_its_card(idx, tmp_path):
    build(f"idx:{idx}", tmp_path, validation=60, output="hub")
    assert (tmp_path / "README.md").read_text().startswith("---\npretty_name")
    assert "glyphsight dataset build" in (tmp_path / "README.md").read_text()
    build(f"idx:{idx}", tmp_path, validation=60)
    assert not (tmp_path / "README.md").exists()
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("output", ["json", "parquet"])
def test_workers_and_shards_change_no_record(idx, tmp_path, output):
    options = {"validation": 60, "copies": 2, "output": output}
    build(f"idx:{idx}", tmp_path / "one", workers=1, shard_size=70, **options)
    build(f"idx:{idx}", tmp_path / "two", workers=2, shard_size=70, **options)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    build(f"idx:{idx}", tmp_path / "whole", workers=1, **options)
    assert load_dataset(tmp_path / "whole") == load_dataset(tmp_path / "one")


@pytest.mark.parametrize("output", ["json", "parquet"])
def test_a_build_that_was_stopped_goes_on_where_it_was(idx, tmp_path, monkeypatch, output):
    from glyphsight.dataset.build import write as module

    options = {"validation": 60, "copies": 1, "output": output, "shard_size": 50, "workers": 1}
    build(f"idx:{idx}", tmp_path / "whole", **options)
    write, written = module.write_shard, []

    def stopped_at_the_fifth(how, shard):
        if len(written) == 4:
            raise KeyboardInterrupt
        written.append(shard.key)
        return write(how, shard)

    monkeypatch.setattr(module, "write_shard", stopped_at_the_fifth)
    with pytest.raises(KeyboardInterrupt):
        build(f"idx:{idx}", tmp_path / "out", **options)
    assert not (tmp_path / "out" / "manifest.json").exists()
    written.append("")
    build(f"idx:{idx}", tmp_path / "out", **options)
    assert len(written) == len(set(written)) == 1 + 10 + 2
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_build_that_was_stopped_starts_anew_with_other_settings(idx, tmp_path, monkeypatch):
    from glyphsight.dataset.build import pipeline as module

    options = {"validation": 60, "output": "parquet", "workers": 1}
    build(f"idx:{idx}", tmp_path / "whole", **options)

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "finish_split", stopped)
    with pytest.raises(KeyboardInterrupt):
        build(f"idx:{idx}", tmp_path / "out", shard_size=50, **options)
    assert list((tmp_path / "out" / "data").iterdir())
    monkeypatch.undo()
    build(f"idx:{idx}", tmp_path / "out", **options)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_what_is_there_already_is_not_built_again(idx, tmp_path):
    first = build(f"idx:{idx}", tmp_path, validation=60)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = build(f"idx:{idx}", tmp_path, validation=60)
    assert again.found
    assert (again.records, again.labels, again.files) == (first.records, first.labels, first.files)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == times
    assert not build(f"idx:{idx}", tmp_path, validation=60, existing="rebuild").found


@pytest.mark.parametrize("change", ["settings", "file cut off", "source"])
def test_it_is_built_again_when_anything_changed(idx, tmp_path, change):
    source, out = tmp_path / "source", tmp_path / "out"
    shutil.copytree(idx, source)
    build(f"idx:{source}", out, validation=60)
    before = contents(out)
    seed = 0
    if change == "settings":
        seed = 1
    elif change == "file cut off":
        (out / "train.json").write_bytes(before["train.json"][:-9])
    else:
        images = source / "train-images-idx3-ubyte"
        images.write_bytes(images.read_bytes()[:16] + images.read_bytes()[16:][::-1])
        os.utime(images, (time.time() + 60,) * 2)
    assert not build(f"idx:{source}", out, validation=60, seed=seed).found
    assert (contents(out) == before) == (change == "file cut off")


@pytest.mark.parametrize("options", ["", "?answer=cls"])
@pytest.mark.parametrize("glob", ["part-?.tar", "part-*.tar"])
def test_it_is_built_again_when_a_file_that_a_glob_names_changed(tmp_path, glob, options):
    spec, out = f"webdataset:{tmp_path}/{glob}{options}", tmp_path / "out"
    pictures = load_split(open_source("bundled"), "test").pixels[:20]
    for first in (0, 20):
        with tarfile.open(tmp_path / "part-1.tar", "w") as archive:
            for number, pixels in enumerate(pictures):
                picture = io.BytesIO()
                Image.fromarray(pixels).save(picture, "png")
                for name, data in (("png", picture.getvalue()), ("cls", b"%d" % (first + number))):
                    member = tarfile.TarInfo(f"{number}.{name}")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
        os.utime(tmp_path / "part-1.tar", (time.time() + first,) * 2)
        report = build(spec, out, validation=0)
        assert not report.found
        assert str(first) in report.labels["train"]
    assert build(spec, out, validation=0).found


def test_files_of_an_earlier_dataset_do_not_stay(idx, tmp_path):
    (tmp_path / "mine.txt").write_text("not a dataset")
    build("bundled", tmp_path, limit=20)
    build(f"idx:{idx}", tmp_path, validation=60, output="parquet", shard_size=50)
    build(f"idx:{idx}", tmp_path, validation=60, output="parquet", shard_size=100)
    assert sorted(contents(tmp_path)) == [
        "data/train-00000-of-00003.parquet",
        "data/train-00001-of-00003.parquet",
        "data/train-00002-of-00003.parquet",
        "data/validation-00000-of-00001.parquet",
        "manifest.json",
        "mine.txt",
    ]


def test_a_manifest_removes_nothing_outside_its_directory(idx, tmp_path):
    (tmp_path / "mine.txt").write_text("not a dataset")
    out = tmp_path / "out"
    build(f"idx:{idx}", out, validation=60)
    manifest = json.loads((out / "manifest.json").read_bytes())
    manifest["files"]["train"] += [{"name": "../mine.txt"}, {"name": str(tmp_path / "mine.txt")}]
    (out / "manifest.json").write_text(json.dumps(manifest))
    build(f"idx:{idx}", out, validation=50)
    assert (tmp_path / "mine.txt").exists()


@pytest.fixture(scope="module")
def twins(tmp_path_factory, validation):
    """150 training digits of which some come twice, and a test split that shares 20 with them."""
    path = tmp_path_factory.mktemp("twins")
    unlike = np.flatnonzero(np.array(validation.labels) != "1")[:160]
    train = np.concatenate([unlike[:150], unlike[:50], unlike[:10]])
    test = np.concatenate([unlike[130:160]])
    for name, which in (("train", train), ("t10k", test)):
        count = len(which)
        labels = np.array([int(validation.labels[i]) for i in which], np.uint8)
        (path / f"{name}-images-idx3-ubyte").write_bytes(
            struct.pack(">4B3I", 0, 0, 8, 3, count, 28, 28) + validation.pixels[which].tobytes()
        )
        (path / f"{name}-labels-idx1-ubyte").write_bytes(
            struct.pack(">4BI", 0, 0, 8, 1, count) + labels.tobytes()
        )
    return path


def test_no_picture_is_in_two_splits_and_what_was_found_is_counted(twins, tmp_path):
    report = build(f"idx:{twins}", tmp_path, validation=40)
    texts = {
        split: {record.picture for record in load_dataset(tmp_path, split)}
        for split in ("train", "validation", "test")
    }
    assert not texts["train"] & texts["validation"]
    assert not (texts["train"] | texts["validation"]) & texts["test"]
    assert report.likeness["removed"]["train"]["same"] == 20
    assert report.likeness["repeats"]["train"]["same"] == 60
    assert report.records["test"] == 30
    assert report.records["train"] + report.records["validation"] == 190
    assert json.loads((tmp_path / "manifest.json").read_bytes())["likeness"] == report.likeness


def test_no_copy_looks_like_a_held_out_picture(tmp_path):
    options = {"limit": 1500, "split": "train", "copies": 2, "augmentation": Augmentation(1.0)}
    build("bundled", tmp_path / "kept", keep_duplicates=True, **options)
    build("bundled", tmp_path / "x", **options)
    held_out = set()
    for split in ("validation", "test"):
        pixels = load_split(open_source("bundled"), split).pixels
        held_out |= set(alike_hashes(np.concatenate(list(level_grids(pixels)))).tolist())

    def alike(name):
        records = load_dataset(tmp_path / name, "train")
        assert len(records) == 4500
        grids = np.stack([parse(record.picture, Profile().palette) for record in records])
        return len(held_out & set(alike_hashes(grids.astype(np.uint8)).tolist()))

    assert alike("kept") > 0
    assert alike("x") == 0


def test_look_alikes_may_be_kept(twins, tmp_path):
    report = build(f"idx:{twins}", tmp_path, validation=40, keep_duplicates=True)
    assert report.records == {"train": 170, "validation": 40, "test": 30}
    assert report.likeness == {"repeats": {}, "removed": {}}


def test_a_split_alone_leaves_out_the_same_look_alikes(twins, tmp_path):
    build(f"idx:{twins}", tmp_path / "all", validation=40)
    for split in ("train", "validation", "test"):
        build(f"idx:{twins}", tmp_path / split, validation=40, split=split)
        assert load_dataset(tmp_path / split, split) == load_dataset(tmp_path / "all", split)


@pytest.fixture
def folder(tmp_path, validation):
    """40 digits as files in a folder an answer; one of them is no picture."""
    for number in range(40):
        path = tmp_path / "folder" / validation.labels[number] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = (28, 28) if number % 2 else (20, 24)
        Image.fromarray(validation.pixels[number]).resize(size).save(path)
    (tmp_path / "folder" / "3" / "broken.png").write_bytes(b"no picture")
    return tmp_path / "folder"


def test_what_cannot_be_read_is_named_and_the_rest_is_done(folder, tmp_path):
    report = build(f"folder:{folder}", tmp_path / "out", validation=5)
    assert sum(report.records.values()) == 40
    assert report.failed == 1
    [failure] = report.failures
    assert "broken.png" in failure.reason
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert manifest["failures"] == {"count": 1, "items": [asdict(failure)]}
    words = ["dataset", "build", "--source", f"folder:{folder}", "--out", str(tmp_path / "told")]
    for expected in (False, True):  # the second time it is there already
        result = CliRunner().invoke(app, [*words, "--validation", "6"])
        assert result.exit_code == 1
        assert failure.reason in result.stderr
        assert ("was built already" in result.stderr) == expected


def test_pictures_that_cannot_be_encoded_are_named_and_left_out(folder, tmp_path):
    Image.new("L", (1, 60000)).save(folder / "3" / "strip.png")
    report = build(f"folder:{folder}", tmp_path / "out", validation=5, profile=Profile(200))
    assert sum(report.records.values()) == 40
    assert sorted(failure.id for failure in report.failures) == ["3/broken.png", "3/strip.png"]
    assert all(r.source.count("strip") == 0 for r in load_dataset(tmp_path / "out", "train"))


def test_a_dataset_inside_its_source_is_found_too(idx, tmp_path):
    shutil.copytree(idx, tmp_path, dirs_exist_ok=True)
    build(f"idx:{tmp_path}", tmp_path / "digits", validation=60)
    assert build(f"idx:{tmp_path}", tmp_path / "digits", validation=60).found


def test_balance_makes_training_answers_equally_common(tmp_path):
    down = build("bundled", tmp_path / "down", balance="down", limit=55)
    assert set(down.labels["train"].values()) <= {5, 6}
    up = build("bundled", tmp_path / "up", balance="up", split="train", seed=1)
    assert len(set(up.labels["train"].values())) == 1
    with pytest.raises(DatasetError, match="balance is 'best'; give one of none, down, up"):
        build("bundled", tmp_path / "x", balance="best")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"existing": "keep"}, "existing is 'keep'; give one of replace, refuse, rebuild"),
        ({"output": "xml"}, "output is 'xml'; give one of"),
        ({"shard_size": 0}, "shard_size is 0; give a whole number, at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused_before_anything_is_written(
    tmp_path, options, complaint
):
    with pytest.raises(GlyphsightError, match=complaint):
        build("bundled", tmp_path / "x", **options)
    assert not (tmp_path / "x").exists()


def test_a_place_that_is_a_file_is_refused(idx, tmp_path):
    (tmp_path / "x").write_text("mine")
    with pytest.raises(GlyphsightError, match=r"x is not a directory; choose another path"):
        build(f"idx:{idx}", tmp_path / "x", validation=60)
    assert (tmp_path / "x").read_text() == "mine"


def test_a_remote_place_is_written_like_a_local_one(idx, tmp_path):
    memory = pytest.importorskip("fsspec").filesystem("memory")
    options = {"validation": 60, "copies": 1, "shard_size": 70, "workers": 1}
    for output in ("parquet", "json"):
        build(f"idx:{idx}", tmp_path / output, output=output, **options)
        build(f"idx:{idx}", "memory://digits", output=output, **options)
        there = {
            name.removeprefix("/digits/"): memory.cat_file(name) for name in memory.find("/digits")
        }
        assert there == contents(tmp_path / output)
        assert build(f"idx:{idx}", "memory://digits", output=output, **options).found


@pytest.fixture
def few(tmp_path):
    """A folder of 30 pictures, each with an answer of its own, and no split."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "few"
    folder.mkdir()
    lines = ["file_name,caption"]
    for number in range(30):
        pixels = rng.integers(0, 256, (14, 14), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        lines.append(f"{number}.png,word {number:02d}")
    (folder / "metadata.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_a_validation_split_of_the_source_is_its_own_even_when_it_is_not_wanted(tmp_path):
    report = build("bundled", tmp_path, split="train", keep_duplicates=True)
    assert report.records == {"train": 20_000}


def test_a_tenth_is_held_out_of_a_small_source(few, tmp_path):
    assert build(f"folder:{few}", tmp_path / "x").records == {"train": 27, "validation": 3}


def test_the_seed_decides_which_of_equally_rare_answers_are_held_out(few, tmp_path):
    chosen = []
    for seed in range(4):
        build(f"folder:{few}", tmp_path / str(seed), validation=5, seed=seed)
        chosen.append({r.answer for r in load_dataset(tmp_path / str(seed), "validation")})
    assert len(set(map(frozenset, chosen))) > 1
    assert any(max(answers) > "word 15" for answers in chosen)


def test_a_picture_replaced_by_an_older_file_is_noticed(few, tmp_path):
    build(f"folder:{few}", tmp_path / "x")
    before = contents(tmp_path / "x")["train.json"]
    Image.new("L", (14, 14), 200).save(few / "0.png")
    Image.new("L", (14, 14), 90).save(few / "1.png")
    for number in (0, 1):
        os.utime(few / f"{number}.png", (1e9, 1e9))
    assert not build(f"folder:{few}", tmp_path / "x").found
    assert contents(tmp_path / "x")["train.json"] != before


def test_two_builds_do_not_write_into_one_directory(idx, tmp_path):
    with (
        Directory(str(tmp_path / "x")).locked(),
        pytest.raises(GlyphsightError, match="another build is writing here"),
    ):
        build(f"idx:{idx}", tmp_path / "x", validation=60)
    assert build(f"idx:{idx}", tmp_path / "x", validation=60).records


@pytest.mark.parametrize(
    "manifest",
    [{"files": {"main.js": "/x.js"}}, {"files": {"m": [{"name": "notes.txt"}]}}, {"records": 3}],
)
def test_the_manifest_of_another_program_costs_no_file(idx, tmp_path, manifest):
    theirs = tmp_path / "manifest.json"
    theirs.write_text(json.dumps(manifest), encoding="utf-8")
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"manifest.json: is there already"):
        build(f"idx:{idx}", tmp_path, validation=60)
    assert json.loads(theirs.read_text(encoding="utf-8")) == manifest
    build(f"idx:{idx}", tmp_path, validation=60, existing="rebuild")
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(("name", "output"), [("README.md", "hub"), ("train.json", "json")])
def test_a_file_that_is_not_ours_is_not_written_over(idx, tmp_path, name, output):
    mine = [{"size": "2", "ASCII_image": "█ \n", "Response": "1"}]
    (tmp_path / name).write_text(json.dumps(mine), encoding="utf-8")
    with pytest.raises(DatasetError, match=rf"{name}: is there already"):
        build(f"idx:{idx}", tmp_path, validation=60, output=output)
    assert json.loads((tmp_path / name).read_text(encoding="utf-8")) == mine
    if name == "train.json":  # what was refused left nothing that hides it
        assert [one.answer for one in load_dataset(tmp_path, "train")] == ["1"]
    build(f"idx:{idx}", tmp_path, validation=60, output=output, existing="rebuild")


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode elsewhere")
def test_the_name_of_a_source_may_be_any_bytes(tmp_path):
    source = tmp_path / os.fsdecode(b"caf\xe9") / "train" / "1"
    source.mkdir(parents=True)
    for shade in range(8):
        Image.new("L", (9, 9), 30 * shade).save(source / f"{shade}.png")
    build(f"folder:{source.parents[1]}", tmp_path / "data", validation=0, keep_duplicates=True)
    assert len(load_dataset(tmp_path / "data", "train")) == 8


def test_what_a_killed_build_did_is_kept_by_the_same_one_alone(tmp_path):
    directory = open_directory(str(tmp_path))
    open_state(directory, "one")
    directory.write(".build/scan/1", b"")
    open_state(directory, "one")
    assert directory.size(".build/scan/1") == 0
    open_state(directory, "two")
    assert directory.size(".build/scan/1") is None


def test_a_split_of_which_nothing_is_left_is_refused(tmp_path):
    for split in ("train", "test"):
        (tmp_path / "s" / split / "a").mkdir(parents=True)
        Image.linear_gradient("L").resize((20, 20)).save(tmp_path / "s" / split / "a" / "x.png")
    with pytest.raises(DatasetError, match="no picture is left for the split train; what there"):
        build(f"folder:{tmp_path / 's'}", tmp_path / "x", validation=0)
    assert not (tmp_path / "x").exists()
    broken = tmp_path / "b" / "a"
    broken.mkdir(parents=True)
    (broken / "x.png").write_bytes(b"no picture")
    with pytest.raises(
        DatasetError,
        match=r"split train is empty: 1 could not .* the first: .*x.png: not a pict",
    ):
        build(f"folder:{tmp_path / 'b'}", tmp_path / "y", validation=0)


@pytest.mark.parametrize(
    "options", [{"validation": 0.1}, {"validation": "5"}, {"limit": 0}, {"copies": -1}]
)
def test_numbers_that_are_none_are_refused(tmp_path, options):
    with pytest.raises(DatasetError, match=r"; give a whole number, at least [01]"):
        build("bundled", tmp_path / "x", **options)


def test_a_link_that_leads_back_is_entered_once(few, tmp_path):
    (few / "again").symlink_to(few, target_is_directory=True)
    assert build(f"folder:{few}", tmp_path / "x", validation=0).records == {"train": 30}


def _picture(path, value=0, place=3):
    pixels = np.full((20, 20), 255, np.uint8)
    pixels[place : place + 5, place : place + 9] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def _tar(path, names):
    with tarfile.open(path, "w") as archive:
        for name, data in names.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def _nothing_readable(folder, kind):
    """Make a source of 3 items none of which can be read; return its SPEC and the reason."""
    picture = folder / "a.png"
    _picture(picture)
    if kind == "no picture":
        for number in range(3):
            (folder / "d" / "cat").mkdir(parents=True, exist_ok=True)
            (folder / "d" / "cat" / f"{number}.png").write_text("x")
        return f"folder:{folder / 'd'}", "cat/0.png: not a picture"
    if kind == "no class folders":
        for number in range(3):
            _picture(folder / "d" / f"{number}.png")
        return f"folder:{folder / 'd'}", "0.png: is in no folder that says its answer"
    if kind == "missing files":
        (folder / "metadata.csv").write_text("file_name,label\na\\0.png,x\na\\1.png,y\n")
        picture.unlink()
        _picture(folder / "b.png")
        return f"folder:{folder}", "is named in the metadata and not there; fix its file_name"
    if kind == "two lines":
        (folder / "metadata.csv").write_text("file_name,label\na.png,x\na.png,y\na.png,y\n")
        return f"folder:{folder}", "a.png is named again; give each picture one line"
    if kind == "dotted names":
        files = {f"v1.{n}.{end}": picture.read_bytes() for n in range(3) for end in ("png", "cls")}
        _tar(folder / "x.tar", files)
        return f"webdataset:{folder / 'x.tar'}", "x.tar:v1: "
    files = {f"{n}.png": picture.read_bytes() for n in range(3)}
    files |= {f"{n}.json": b'{"label": ["a", "b"]}' for n in range(3)}
    _tar(folder / "x.tar", dict(sorted(files.items())))
    return f"webdataset:{folder / 'x.tar'}", "its answer is no text but list"


@pytest.mark.parametrize(
    "kind",
    ["no picture", "no class folders", "missing files", "two lines", "dotted names", "list label"],
)
def test_where_nothing_can_be_read_the_first_reason_and_the_count_are_said(tmp_path, kind):
    spec, reason = _nothing_readable(tmp_path, kind)
    for options in ({}, {"validation": 9}, {"test": 9}, {"split": "validation"}):
        with pytest.raises(DatasetError) as error:
            build(spec, tmp_path / "out", **options)
        assert str(error.value).startswith(f"{spec}: the split train is empty: ")
        assert re.search(r": [13] could not be read, the first: ", str(error.value))
        assert reason in str(error.value)
        assert "--validation" not in str(error.value)
        assert not (tmp_path / "out").exists()


def test_too_few_readable_pictures_are_said_with_the_reason_why(tmp_path):
    for number in range(3):
        _picture(tmp_path / "d" / "cat" / f"{number}.png")
        (tmp_path / "d" / "cat" / f"{number}x.png").write_text("x")
    with pytest.raises(DatasetError, match=r"3 could not.*0x.png.* besides, .* hold 3 of 3"):
        build(f"folder:{tmp_path / 'd'}", tmp_path / "out", validation=3)


def test_a_test_split_is_held_out_as_validation_is(idx, tmp_path):
    options = {"validation": 60, "test": 50}
    report = build(f"idx:{idx}", tmp_path / "a", **options)
    assert report.records == {"train": 190, "validation": 60, "test": 50}
    whole = Counter()
    for counts in report.labels.values():
        whole.update(counts)
    for label, count in report.labels["test"].items():
        assert abs(count - 50 * whole[label] / 300) < 1
    sources = [
        record.source for name in report.records for record in load_dataset(tmp_path / "a", name)
    ]
    assert len(set(sources)) == 300
    build(f"idx:{idx}", tmp_path / "b", **options)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    build(f"idx:{idx}", tmp_path / "c", seed=1, **options)
    assert load_dataset(tmp_path / "c", "test") != load_dataset(tmp_path / "a", "test")
    assert not check_dataset(tmp_path / "a").problems
    build(f"idx:{idx}", tmp_path / "d", split="test", **options)
    assert load_dataset(tmp_path / "d", "test") == load_dataset(tmp_path / "a", "test")
    command = json.loads((tmp_path / "a" / "manifest.json").read_bytes())["command"]
    assert command.endswith("--validation 60 --test 50")


def test_a_test_split_is_not_held_out_where_there_is_one(tmp_path):
    with pytest.raises(DatasetError, match=r"bundled: has the splits .*--test takes"):
        build("bundled", tmp_path / "x", test=5)
    with pytest.raises(DatasetError, match="hold_out and test: give one of them"):
        BuildSettings(test=5, hold_out="x")


def test_answers_are_one_class_whatever_their_white_space_and_unicode_form(tmp_path):
    names = {"e\u0301te\u0301": 0, "\u00e9t\u00e9": 1, "\u00e9t\u00e9 ": 2}
    for name, value in names.items():
        for place in range(2):
            _picture(tmp_path / "d" / name / f"{place}.png", value * 40, 3 + 4 * place)
    settings = {"validation": 0, "keep_duplicates": True}
    assert build(f"folder:{tmp_path / 'd'}", tmp_path / "x", **settings).labels == {
        "train": {"\u00e9t\u00e9": 6}
    }


def test_a_question_of_the_source_becomes_the_records(tmp_path):
    rows = ["file_name,label,question"]
    for number in range(4):
        _picture(tmp_path / "d" / f"{number}.png", place=3 + 2 * number)
        rows.append(f"{number}.png,{number % 2}, Is it {number}?")
    (tmp_path / "d" / "metadata.csv").write_text("\n".join(rows))
    build(f"folder:{tmp_path / 'd'}", tmp_path / "x", validation=0, copies=1)
    asked = [record.question for record in load_dataset(tmp_path / "x")]
    assert asked == 2 * [f"Is it {number}?" for number in range(4)]
