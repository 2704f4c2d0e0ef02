import json
import re
from types import SimpleNamespace

import pytest
import torch

from glyphsight.errors import DatasetError, ModelError
from glyphsight.models import RunRecord, load_model
from glyphsight.models.load import without_peft_warning
from glyphsight.models.nano import make_nano
from glyphsight.train.data import Example, collate
from glyphsight.train.run import train
from glyphsight.train.settings import TrainSettings, resolve_settings
from glyphsight.train.text import PIECE, SHORT, own_words, pieces_for, text_pieces
from glyphsight.train.trainer import AnswerTrainer


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
    examples = text_pieces(nano, prose, 6, seed=0)
    assert [len(one.ids) for one in examples[:3]] == [PIECE] * 3
    batch = collate(examples[:1], pad=0)
    assert batch["labels"].tolist() == [[-100, *examples[0].ids[1:]]]
    said = nano.tokenizer.decode(examples[0].ids)
    assert said in prose.read_text("utf-8")


def test_each_piece_is_taken_before_any_is_taken_again_and_the_seed_decides(nano, prose):
    whole = text_pieces(nano, prose, 2000, seed=0)[:1000]
    different = len({tuple(one.ids) for one in whole})
    assert different >= 5
    assert len({tuple(one.ids) for one in whole[:different]}) == different
    assert text_pieces(nano, prose, 5, seed=1) == text_pieces(nano, prose, 5, seed=1)
    assert text_pieces(nano, prose, 5, seed=1) != text_pieces(nano, prose, 5, seed=2)


@pytest.mark.parametrize("blank", ["\n\n", "\r\n\r\n", "\n \t\n\n"])
def test_half_of_the_pieces_are_short_and_begin_where_paragraphs_do(nano, tmp_path, blank):
    file = tmp_path / "prose.txt"
    sums = [f"{n} + {n} =" for n in range(10, 20)]
    paragraphs = sums + [f"Word {n} begins a paragraph that goes on and on." for n in range(30)]
    file.write_bytes(blank.join([*paragraphs, "x", ""]).encode())
    long, short = text_pieces(nano, file, 2, seed=0), text_pieces(nano, file, 2000, seed=0)[1000:]
    assert len(short) == 1000
    assert len(long[0].ids) == PIECE
    assert all(one.answer_tokens == len(one.ids) - 1 >= 1 for one in short)
    assert max(len(one.ids) for one in short) == SHORT
    said = [nano.tokenizer.decode(one.ids) for one in short]
    assert set(sums) <= set(said)
    assert all(any(text.startswith(said_) for said_ in said) for text in paragraphs)
    assert len({len(one.ids) for one in short}) > 5


def test_a_text_of_one_paragraph_does_not_begin_alike_all_the_time(nano, prose):
    short = text_pieces(nano, prose, 20, seed=0)[10:]
    assert len({tuple(one.ids[:4]) for one in short}) >= 5


def test_too_little_text_is_told_with_the_fix(nano, tmp_path):
    (tmp_path / "short.txt").write_text("Too short.", "utf-8")
    with pytest.raises(DatasetError, match=r"short\.txt: \d+ tokens are less .* give more text"):
        text_pieces(nano, tmp_path / "short.txt", 1, seed=0)
    with pytest.raises(DatasetError, match="no such file"):
        text_pieces(nano, tmp_path / "none.txt", 1, seed=0)


def test_a_file_alone_is_no_share():
    with pytest.raises(ModelError, match="give text_share too"):
        resolve_settings("nano", {"text_file": "a.txt"})


@pytest.mark.slow
def test_a_nano_has_no_words_of_its_own(digits, tmp_path):
    with pytest.raises(ModelError, match="give text_file"):
        train(digits, "nano", tmp_path / "run", resolve_settings("nano", {"text_share": 0.1}))


@pytest.mark.slow
def test_a_base_model_writes_once_and_the_same_again(tmp_path, monkeypatch):
    base = tmp_path / "base"
    for part in make_nano(0):
        part.save_pretrained(base)
    few = {"texts": 64, "length": 8, "sums": 32}
    monkeypatch.setenv("GLYPHSIGHT_CACHE", str(tmp_path / "cache"))
    kept = own_words(str(base), **few)
    text, made = kept.read_text("utf-8"), kept.stat().st_mtime_ns
    assert len(text) > 64
    sums = [line for line in text.split("\n\n") if re.match(r"\d\d( [-+x] \d+ =|, \d+,)", line)]
    assert len(sums) >= 32
    assert sum(not line.endswith(("=", ",")) for line in sums) > 24  # something follows
    assert own_words(str(base), **few) == kept
    assert kept.stat().st_mtime_ns == made
    kept.unlink()
    assert own_words(str(base), **few).read_text("utf-8") == text
    assert own_words(str(base), seed=1, **few) != kept


def _value(loss):
    return float(loss.detach())


class _Held(AnswerTrainer):
    """A trainer's loss on one batch, without a trainer."""

    def __init__(self, model):
        self._settings = TrainSettings()
        self.accelerator = SimpleNamespace(unwrap_model=lambda model: model, num_processes=1)
        self.model = model

    def loss(self, examples):
        return self.compute_loss(self.model, collate(examples, pad=0))


@pytest.mark.slow
def test_what_goes_by_the_base_costs_nothing_until_the_adapter_strays_from_it(nano):
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    with without_peft_warning():
        held = _Held(get_peft_model(make_nano(0)[0], LoraConfig(r=2, target_modules="all-linear")))
    text = [Example(list(range(260, 272)), 11, as_base=True)]
    answered = [Example(list(range(280, 290)), 2)]
    assert _value(held.loss(text)) == pytest.approx(0, abs=1e-5)
    whole = held.loss([*text, *answered])
    assert _value(whole) == pytest.approx(2 / 13 * _value(held.loss(answered)), rel=1e-4)
    with torch.no_grad():
        for name, weight in held.model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.5)
    strayed = held.loss(text)
    assert _value(strayed) > 0.01
    before = held.model.active_adapters
    strayed.backward()
    assert held.model.active_adapters == before
    assert any(w.grad is not None and w.grad.abs().sum() > 0 for w in held.model.parameters())


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
