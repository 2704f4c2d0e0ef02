import pytest

from glyphsight.errors import DatasetError
from glyphsight.sources import Failure, open_source
from sounds import tone


def test_an_audio_folder_is_read_as_a_picture_folder_is(tmp_path, wav):
    for split, hertz in (("train", 300), ("test", 2000)):
        wav(tmp_path / split / "low" / "x.wav", tone(hertz))
        wav(tmp_path / split / "high" / "x.flac", tone(hertz * 1.5))
    (tmp_path / "train" / "low" / "y.wav").write_bytes(b"no")
    (tmp_path / "train" / "low" / "cover.png").write_bytes(b"no")
    source = open_source(f"audiofolder:{tmp_path}")
    assert source.splits == ("train", "test")
    (part,) = source.parts("train")
    found = list(source.read(part))
    batches = [each for each in found if not isinstance(each, Failure)]
    assert [batch.ids for batch in batches] == [["train/high/x.flac", "train/low/x.wav"]]
    assert batches[0].labels == ["high", "low"]
    assert batches[0].pixels.shape == (2, 64, 49)
    reasons = [each.reason for each in found if isinstance(each, Failure)]
    assert len(reasons) == 2
    assert f"{tmp_path / 'train' / 'low' / 'y.wav'}: not a sound" in reasons[0]
    assert "cover.png: not among the sounds that are read" in reasons[1]


def test_an_audio_folder_may_have_metadata(tmp_path, wav, items):
    wav(tmp_path / "x.wav", tone(300))
    (tmp_path / "metadata.csv").write_text("file_name,text\nx.wav,hello there\n")
    assert items(f"audiofolder:{tmp_path}")[0][:2] == ("x.wav", "hello there")


def test_a_fold_of_a_folder_is_held_out_by_its_names(tmp_path, wav, items):
    for name in ("dog/1-a", "dog/2-a", "rain/1-b", "rain/2-b"):
        wav(tmp_path / f"{name}.wav", tone(300, 0.05))
    spec = f"audiofolder:{tmp_path}?test="
    assert open_source(f"{spec}1-*").splits == ("train", "test")
    assert [item[:2] for item in items(f"{spec}1-*", "test")] == [
        ("dog/1-a.wav", "dog"),
        ("rain/1-b.wav", "rain"),
    ]
    assert [item[0] for item in items(f"{spec}1-*")] == ["dog/2-a.wav", "rain/2-b.wav"]
    for glob, many in (("3-*", "no file"), ("*", "every file"), ("", "no file")):
        with pytest.raises(DatasetError, match=f"matches {many}; give a glob"):
            open_source(f"{spec}{glob}").parts("train")
    for split in ("train", "test"):
        wav(tmp_path / "split" / split / "dog" / "1-a.wav", tone(300, 0.05))
    with pytest.raises(DatasetError, match="has the splits train, test; leave"):
        open_source(f"audiofolder:{tmp_path / 'split'}?test=1-*").parts("train")


@pytest.mark.parametrize("folder", ["", "recordings"])
def test_fsdd_has_its_official_split(tmp_path, wav, items, folder):
    for name in ("0_ann_0", "7_ann_4", "7_ann_5", "3_bob_49"):
        wav(tmp_path / folder / f"{name}.wav", tone(300, 0.05))
    wav(tmp_path / folder / "hello.wav", tone(300))
    (tmp_path / "README.md").write_text("Spoken digits.")
    spec = f"fsdd:{tmp_path}"
    assert open_source(spec).splits == ("train", "test")
    assert "CC BY-SA 4.0" in open_source(spec).licence
    place = f"{folder}/" if folder else ""
    found = items(spec, "test")
    assert [item[:2] for item in found] == [
        (f"{place}0_ann_0.wav", "0"),
        (f"{place}7_ann_4.wav", "7"),
    ]
    found = items(spec)
    assert [item[1] for item in found[:2]] == ["3", "7"]
    assert (
        "hello.wav: not named digit_speaker_index.wav or .flac; rename it or remove it"
        in found[2][1]
    )


def test_a_speaker_of_fsdd_can_be_held_out(tmp_path, wav, items):
    for name in ("0_ann_0", "7_ann_5", "7_ann_6", "3_bob_4", "3_bob_49"):
        wav(tmp_path / f"{name}.wav", tone(300, 0.05))
    spec = f"fsdd:{tmp_path}?speaker=bob"
    assert [item[0] for item in items(spec, "test")] == ["3_bob_49.wav"]
    assert [item[0] for item in items(spec)] == ["7_ann_5.wav", "7_ann_6.wav"]
    with pytest.raises(DatasetError, match="no speaker 'eve'; give one of ann, bob"):
        open_source(f"fsdd:{tmp_path}?speaker=eve").parts("train")


def test_an_empty_folder_of_sounds_is_refused(tmp_path):
    for kind, what in (("audiofolder", "sounds"), ("fsdd", "recordings")):
        with pytest.raises(DatasetError, match=f"holds no {what}; give {kind}:DIR"):
            open_source(f"{kind}:{tmp_path}").parts("train")
