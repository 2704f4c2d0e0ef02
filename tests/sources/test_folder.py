import json
import pickle

import pytest

from glyphsight.errors import DatasetError
from glyphsight.sources import Failure, open_source


@pytest.fixture
def pets(tmp_path, png):
    """Two classes of two pictures in folders of their own."""
    root = tmp_path / "pets"
    for at, name in enumerate(["cat/a.png", "cat/b.PNG", "dog/a.png", "dog/b.png"]):
        png(at, root / name)
    return root


@pytest.fixture
def split_pets(tmp_path, png):
    root = tmp_path / "split"
    for at, split in enumerate(["test", "train", "val"]):
        png(at, root / split / "cat" / "x.png")
        png(at + 10, root / split / "dog" / "x.png")
    return root


def failures(found):
    return {item[0]: item[1] for item in found if len(item) == 2}


def test_the_folder_names_the_answer(pets, items):
    assert open_source(f"folder:{pets}").splits == ("train",)
    assert items(f"folder:{pets}") == [
        ("cat/a.png", "cat", 0),
        ("cat/b.PNG", "cat", 1),
        ("dog/a.png", "dog", 2),
        ("dog/b.png", "dog", 3),
    ]


def test_split_folders_are_splits(split_pets, items):
    spec = f"folder:{split_pets}"
    assert open_source(spec).splits == ("train", "validation", "test")
    assert items(spec, "validation") == [("val/cat/x.png", "cat", 2), ("val/dog/x.png", "dog", 12)]
    assert items(spec, "test") == [("test/cat/x.png", "cat", 0), ("test/dog/x.png", "dog", 10)]


def test_of_nested_folders_the_inner_one_answers_as_on_the_hub(tmp_path, png, items):
    png(7, tmp_path / "animals" / "cat" / "x.png")
    assert items(f"folder:{tmp_path}") == [("animals/cat/x.png", "cat", 7)]


def test_pictures_of_many_sizes_and_kinds_keep_their_order(tmp_path, png, items):
    png(1, tmp_path / "c" / "1.png")
    png(2, tmp_path / "c" / "2.bmp", size=(9, 9), kind="BMP")
    png(3, tmp_path / "c" / "3.png")
    assert [item[2] for item in items(f"folder:{tmp_path}")] == [1, 2, 3]


def test_hidden_files_and_a_file_managers_own_are_ignored(pets, items):
    for name in (".DS_Store", "cat/.x.png", "cat/._a.png", "cat/Thumbs.db", "dog/desktop.ini"):
        (pets / name).write_bytes(b"?")
    (pets / ".git" / "cat").mkdir(parents=True)
    (pets / ".git" / "cat" / "x.png").write_bytes(b"?")
    (pets / "README.md").write_text("About them.")
    assert len(items(f"folder:{pets}")) == 4


def test_a_corrupt_picture_fails_alone(pets, items):
    (pets / "cat" / "a.png").write_bytes((pets / "cat" / "a.png").read_bytes()[:-20])
    (pets / "dog" / "b.png").write_bytes(b"")
    found = items(f"folder:{pets}")
    assert [item[0] for item in found] == ["cat/a.png", "cat/b.PNG", "dog/a.png", "dog/b.png"]
    assert set(failures(found)) == {"cat/a.png", "dog/b.png"}
    reason = failures(found)["cat/a.png"]
    assert reason.startswith(f"{pets / 'cat' / 'a.png'}: damaged or cut off")


def test_files_of_other_kinds_among_pictures_are_counted_and_named_once(pets, items):
    for name in ("cat/a.txt", "dog/b.txt", "dog/c.heic"):
        (pets / name).write_bytes(b"?")
    found = items(f"folder:{pets}")
    assert len(found) == 6
    assert failures(found) == {
        "train:*.txt": f"{pets / 'cat' / 'a.txt'}: not among the pictures that are read "
        "(2 such files in train); convert or remove",
        "train:*.heic": f"{pets / 'dog' / 'c.heic'}: not among the pictures that are read "
        "(1 such file in train); convert or remove",
    }


def test_a_picture_in_no_class_folder_fails(pets, png, items):
    png(1, pets / "loose.png")
    assert failures(items(f"folder:{pets}")) == {
        "loose.png": f"{pets / 'loose.png'}: is in no folder that says its answer; move it "
        f"to {pets / 'ANSWER'}/, or write a metadata.csv"
    }


def test_pictures_beside_the_split_folders_are_refused(split_pets, png):
    path = png(1, split_pets / "extra" / "x.png")
    with pytest.raises(DatasetError, match="beside the split folders test/, train/, val/") as error:
        open_source(f"folder:{split_pets}").parts("train")
    assert str(error.value).startswith(f"{path}: ")


def test_what_is_no_picture_beside_the_split_folders_is_no_item(split_pets, items):
    (split_pets / "docs").mkdir()
    (split_pets / "docs" / "about.md").write_text("About them.")
    (split_pets / "train" / "labels.txt").write_text("cat, dog")
    assert len(items(f"folder:{split_pets}")) == 2


def test_two_folders_for_one_split_are_refused(split_pets, png):
    png(1, split_pets / "valid" / "cat" / "x.png")
    with pytest.raises(DatasetError, match="valid: a second folder for split validation"):
        open_source(f"folder:{split_pets}").parts("train")


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="holds no pictures; give folder:DIR with DIR/ANSWER"):
        open_source(f"folder:{tmp_path}").parts("train")


def test_an_empty_split_folder_is_refused(split_pets):
    (split_pets / "test" / "cat" / "x.png").unlink()
    (split_pets / "test" / "dog" / "x.png").unlink()
    with pytest.raises(DatasetError, match="test: holds no pictures; fill it or remove it"):
        open_source(f"folder:{split_pets}").parts("train")


@pytest.mark.parametrize("kind", ["folder", "audiofolder", "fsdd"])
def test_a_folder_that_is_not_there_is_named_with_its_spec(tmp_path, kind):
    spec = f"{kind}:{tmp_path / 'nowhere'}"
    with pytest.raises(DatasetError, match="no such directory; give") as error:
        open_source(spec)
    assert str(error.value).startswith(f"{spec}: ")


def write_metadata(root, kind, rows):
    if kind == "csv":
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    else:
        lines = [json.dumps(row) for row in rows]
    (root / f"metadata.{kind}").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("column", ["label", "text", "caption", "Response", "breed"])
def test_a_metadata_file_gives_any_text_as_the_answer(tmp_path, png, items, kind, column):
    png(1, tmp_path / "a.png")
    png(2, tmp_path / "deep" / "b.png")
    rows = [{"file_name": "deep/b.png", column: "zwölf"}, {"file_name": "./a.png", column: 3}]
    write_metadata(tmp_path, kind, rows)
    assert items(f"folder:{tmp_path}") == [("a.png", "3", 1), ("deep/b.png", "zwölf", 2)]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_each_split_folder_may_have_its_metadata(split_pets, items, kind):
    for split in ("train", "val", "test"):
        rows = [{"file_name": f"{c}/x.png", "text": f"a {c} of {split}"} for c in ("cat", "dog")]
        write_metadata(split_pets / split, kind, rows)
    assert items(f"folder:{split_pets}", "validation") == [
        ("val/cat/x.png", "a cat of val", 2),
        ("val/dog/x.png", "a dog of val", 12),
    ]


def test_one_metadata_file_may_name_pictures_of_all_splits(split_pets, items):
    names = [f"{split}/{c}/x.png" for split in ("train", "val", "test") for c in ("cat", "dog")]
    write_metadata(split_pets, "csv", [{"file_name": name, "text": name[:2]} for name in names])
    spec = f"folder:{split_pets}"
    assert open_source(spec).splits == ("train", "validation", "test")
    assert [item[1] for item in items(spec, "test")] == ["te", "te"]


def test_of_several_answers_the_spec_chooses(tmp_path, png, items):
    png(1, tmp_path / "a.png")
    write_metadata(tmp_path, "csv", [{"file_name": "a.png", "label": "cat", "caption": "a cat"}])
    with pytest.raises(DatasetError) as error:
        open_source(f"folder:{tmp_path}").parts("train")
    assert str(error.value) == (
        f"{tmp_path / 'metadata.csv'}: label, caption may each be the answer; choose with "
        "?answer=label"
    )
    assert items(f"folder:{tmp_path}?answer=caption") == [("a.png", "a cat", 1)]
    with pytest.raises(
        DatasetError, match="'breed' is no answer column; take one of label, caption"
    ):
        open_source(f"folder:{tmp_path}?answer=breed").parts("train")


def test_an_option_that_is_none_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="unknown option 'anser'; take one of answer"):
        open_source(f"folder:{tmp_path}?anser=caption")


def test_metadata_and_pictures_that_do_not_match_fail_one_by_one(tmp_path, png, items):
    for name in ("a", "b", "c"):
        png(1, tmp_path / f"{name}.png")
    (tmp_path / "metadata.jsonl").write_text(
        '{"file_name": "a.png", "label": "cat"}\n'
        '{"file_name": "gone.png", "label": "cat"}\n'
        '{"file_name": "../secret.png", "label": "cat"}\n'
        '{"file_name": "b.png", "label": " "}\n'
    )
    found = items(f"folder:{tmp_path}")
    assert [item for item in found if len(item) == 3] == [("a.png", "cat", 1)]
    reasons = failures(found)
    assert set(reasons) == {"../secret.png", "b.png", "c.png", "gone.png"}
    assert reasons["gone.png"] == (
        f"{tmp_path / 'gone.png'}: is named in the metadata and not there; fix its file_name"
    )
    metadata = tmp_path / "metadata.jsonl"
    assert reasons["b.png"] == f"{metadata}: line 4: b.png: has no answer; fix 'label'"
    assert "c.png: is not named in the metadata" in reasons["c.png"]


def test_names_that_are_no_line_of_unicode_are_escaped_and_no_answers(tmp_path, png, items):
    png(1, tmp_path / "cat" / "a\nb.png")
    png(2, tmp_path / "d\udce4g" / "x.png")
    (tmp_path / "cat" / "c\nd.png").write_bytes(b"no")
    good, bad, failure = items(f"folder:{tmp_path}")
    assert good == ("cat/a\\nb.png", "cat", 1)
    assert "\n" not in bad[1]
    assert failure[0] == "d\\udce4g/x.png"
    assert failure[1].endswith("x.png: its answer is not valid Unicode; rename its folder")


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_columns_are_separated_as_spreadsheets_do_it(tmp_path, png, items, mark):
    png(1, tmp_path / "a.png")
    lines = [["file_name", '"what; is, it"', "label"], ["a.png", "x", f'"cat{mark} tabby"']]
    (tmp_path / "metadata.csv").write_text("\n".join(map(mark.join, lines)), "utf-8")
    assert items(f"folder:{tmp_path}") == [("a.png", f"cat{mark} tabby", 1)]


@pytest.mark.parametrize("value", [None, [1], {"a": 1}, "", float("nan"), "\ud800"])
def test_an_answer_that_is_no_text_fails(tmp_path, png, items, value):
    png(1, tmp_path / "a.png")
    write_metadata(tmp_path, "jsonl", [{"file_name": "a.png", "label": value}])
    ((name, reason),) = items(f"folder:{tmp_path}")
    assert name == "a.png"
    assert "line 1: a.png: " in reason


def test_a_picture_named_twice_fails(tmp_path, png, items):
    png(1, tmp_path / "a.png")
    rows = [{"file_name": "a.png", "label": "cat"}, {"file_name": "a.png", "label": "dog"}]
    write_metadata(tmp_path, "csv", rows)
    ((_, reason),) = items(f"folder:{tmp_path}")
    assert "line 3: a.png is named again; give each picture one line" in reason


@pytest.mark.parametrize(
    ("name", "data", "complaint"),
    [
        ("metadata.csv", b"name,label\na.png,cat\n", "has no column file_name"),
        ("metadata.csv", b"", "has no column file_name"),
        ("metadata.csv", b"file_name\na.png\n", "has no answer column; add one"),
        ("metadata.csv", b"file_name,label\na.png,c\xe4t\n", "not UTF-8 (invalid continuation"),
        ("metadata.csv", b"file_name,label\na.png,cat,x\n", "line 2: not 2 fields; quote those"),
        ("metadata.csv", b"file_name,label\na.png\n", "line 2: not 2 fields"),
        ("metadata.csv", b'file_name,label\na.png,"cat\n', "line 2: unexpected end of data"),
        ("metadata.csv", b"file_name,label\n,cat\n", "line 2: has no file_name; add it"),
        ("metadata.jsonl", b'{"file_name": "a.png", "label": "cat"}\n{"fi', "line 2: not JSON"),
        ("metadata.jsonl", b'["a.png", "cat"]\n', "line 1: not a JSON object"),
        ("metadata.jsonl", b'{"label": "cat"}\n', "line 1: has no file_name"),
        ("metadata.jsonl", b"[" * 100_000, "line 1: not JSON"),
    ],
)
def test_a_broken_metadata_file_is_named(tmp_path, png, name, data, complaint):
    png(1, tmp_path / "a.png")
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DatasetError) as error:
        open_source(f"folder:{tmp_path}").parts("train")
    assert str(error.value).startswith(f"{tmp_path / name}: {complaint}")
    assert "\n" not in str(error.value)


def test_two_metadata_files_are_refused(split_pets):
    rows = [{"file_name": "cat/x.png", "text": "x"}]
    write_metadata(split_pets / "train", "csv", rows)
    write_metadata(split_pets / "train", "jsonl", rows)
    with pytest.raises(DatasetError, match=r"metadata\.csv: stands beside metadata\.jsonl"):
        open_source(f"folder:{split_pets}").parts("train")
    (split_pets / "train" / "metadata.jsonl").unlink()
    write_metadata(split_pets, "csv", rows)
    with pytest.raises(DatasetError, match="metadata both here and in train/; remove one"):
        open_source(f"folder:{split_pets}").parts("train")


def test_an_answer_is_chosen_of_metadata_only(pets):
    with pytest.raises(DatasetError, match=r"\?answer=label needs a metadata\.csv"):
        open_source(f"folder:{pets}?answer=label").parts("train")


def test_a_large_folder_is_cut_into_parts_that_another_process_reads(tmp_path, png, monkeypatch):
    monkeypatch.setattr("glyphsight.sources.folder.PART", 3)
    for at in range(8):
        png(at, tmp_path / "x" / f"{at}.png")
    source = open_source(f"folder:{tmp_path}")
    parts = source.parts("train")
    assert [part.location[:2] for part in parts] == [(0, 3), (3, 6), (6, 8)]
    other = pickle.loads(pickle.dumps(source))
    batches = [batch for part in pickle.loads(pickle.dumps(parts)) for batch in other.read(part)]
    assert [batch.pixels[:, 0, 0].tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert not any(isinstance(batch, Failure) for batch in batches)


def test_a_folder_that_changes_after_it_was_listed_is_noticed(pets, png, items):
    source = open_source(f"folder:{pets}")
    (part,) = source.parts("train")
    png(9, pets / "ant" / "x.png")
    assert len(items(f"folder:{pets}")) == 5
    with pytest.raises(DatasetError, match="changed since it was listed; start again"):
        list(source.read(part))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("LICENSE", "\n  MIT License\n\nCopyright", "MIT License"),
        ("LICENCE.md", "# CC BY 4.0\n", "CC BY 4.0"),
        ("README.md", "---\ntags: [x]\nlicense: cc0-1.0\n---\n# Pets\n", "cc0-1.0"),
        ("README.md", "---\nlicense:\n- mit\n---\n", "mit"),
        ("README.md", "---\nlicense:\ntags: [x]\n---\n", ""),
        ("README.md", "# Pets\nlicense: mine\n", ""),
    ],
)
def test_the_licence_is_what_the_folder_says(pets, name, text, said):
    (pets / name).write_text(text)
    assert open_source(f"folder:{pets}").licence == said


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training_set", "test_set"),
        ("Train Set", "Test-Data"),
        ("trainset", "testset"),
        ("train_images", "val_images"),
        ("train2017", "val2017"),
        ("asl_alphabet_train", "asl_alphabet_test"),
        ("training ", "testing"),
        ("train_v2", "test_v1"),
        ("trn", "tst"),
        ("train2017", "test2018"),
    ],
)
def test_split_folders_of_other_names_are_splits(tmp_path, png, items, train, test):
    for name in (train, test):
        png(1, tmp_path / name / "cat" / "x.png")
    other = "validation" if "val" in test else "test"
    assert open_source(f"folder:{tmp_path}").splits == ("train", other)
    assert items(f"folder:{tmp_path}", other) == [(f"{test}/cat/x.png", "cat", 1)]


def test_a_class_whose_name_holds_a_splits_word_is_a_class(tmp_path, png, items):
    for name in ("bullet train", "test tube", "bus"):
        png(1, tmp_path / name / "x.png")
    assert [item[1] for item in items(f"folder:{tmp_path}")] == ["bullet train", "bus", "test tube"]


def test_metadata_and_files_meet_whatever_white_space_and_unicode_form(tmp_path, png, items):
    real = "e\u0301te\u0301.png"
    png(7, tmp_path / "sub" / real)
    png(8, tmp_path / "b.png")
    png(9, tmp_path / "sub" / "c.png")
    text = (
        "label, file_name\n chat , sub\\\u00e9t\u00e9.png\ndog , b.png\n"
        '"a cat, asleep", ".\\sub\\c.png"\n'
    )
    (tmp_path / "metadata.csv").write_text(text)
    assert items(f"folder:{tmp_path}") == [
        ("b.png", "dog", 8),
        ("sub/c.png", "a cat, asleep", 9),
        (f"sub/{real}", "chat", 7),
    ]


def test_a_file_of_the_very_name_is_meant_before_one_of_another_form(tmp_path, png, items):
    names = ["e\u0301.png", "\u00e9.png"]
    for value, name in enumerate(names):
        png(value, tmp_path / name)
    rows = [f"{name},{value}" for value, name in enumerate(names)]
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,label", *rows]))
    assert {item[0]: item[1] for item in items(f"folder:{tmp_path}")} == {
        name: str(value) for value, name in enumerate(names)
    }
