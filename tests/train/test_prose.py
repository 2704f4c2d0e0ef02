import json

import pytest

from glyphsight.errors import DatasetError, ModelError
from glyphsight.models import RunRecord, load_model
from glyphsight.train.data import collate
from glyphsight.train.prose import PIECE, pieces_for, text_pieces
from glyphsight.train.run import train
from glyphsight.train.settings import resolve_settings


@pytest.fixture
def prose(tmp_path):
    file = tmp_path / "prose.txt"
    file.write_text("".join(f"Sentence {n} says something else. " for n in range(40)), "utf-8")
    return file


@pytest.fixture(scope="module")
def nano():
    return load_model("nano", training=True)


def test_a_share_is_one_of_all_that_is_learnt():
    assert pieces_for(75, 0.25) == 25
    assert pieces_for(10, 0) == 0


def test_every_token_but_the_first_of_a_piece_is_learnt(nano, prose):
    examples = text_pieces(nano, prose, 3, seed=0)
    assert [len(one.ids) for one in examples] == [PIECE] * 3
    batch = collate(examples[:1], pad=0)
    assert batch["labels"].tolist() == [[-100, *examples[0].ids[1:]]]
    said = nano.tokenizer.decode(examples[0].ids)
    assert said in prose.read_text("utf-8")


def test_each_piece_is_taken_before_any_is_taken_again_and_the_seed_decides(nano, prose):
    whole = text_pieces(nano, prose, 1000, seed=0)
    different = len({tuple(one.ids) for one in whole})
    assert different >= 5
    assert len({tuple(one.ids) for one in whole[:different]}) == different
    assert len(whole) == 1000
    assert text_pieces(nano, prose, 5, seed=1) == text_pieces(nano, prose, 5, seed=1)
    assert text_pieces(nano, prose, 5, seed=1) != text_pieces(nano, prose, 5, seed=2)


def test_too_little_text_is_told_with_the_mend(nano, tmp_path):
    (tmp_path / "short.txt").write_text("Too short.", "utf-8")
    with pytest.raises(DatasetError, match=r"short\.txt: \d+ tokens are less .* give more text"):
        text_pieces(nano, tmp_path / "short.txt", 1, seed=0)
    with pytest.raises(DatasetError, match="no such file"):
        text_pieces(nano, tmp_path / "none.txt", 1, seed=0)


@pytest.mark.parametrize("given", [{"text_share": 0.1}, {"text_file": "a.txt"}])
def test_share_and_file_go_together(given):
    with pytest.raises(ModelError, match="give both or neither"):
        resolve_settings("nano", given)


@pytest.mark.slow
def test_a_run_mixes_text_in_says_so_and_refuses_to_go_on_with_another(digits, prose, tmp_path):
    chosen = {"text_share": 0.5, "text_file": str(prose), "max_steps": 3, "batch_size": 4}
    settings = resolve_settings("nano", chosen | {"validation_records": 5})
    run = tmp_path / "run"
    train(digits, "nano", run, settings, quiet=True)
    said = RunRecord.load(run).training
    assert said["text_pieces"] == said["records"] > 0
    assert json.loads((run / "settings.json").read_text())["text_share"]["value"] == 0.5
    (run / "glyphsight.json").unlink()
    prose.write_text(prose.read_text("utf-8") + "more", "utf-8")
    with pytest.raises(ModelError, match="started with another text"):
        train(digits, "nano", run, settings, resume=True, quiet=True)
