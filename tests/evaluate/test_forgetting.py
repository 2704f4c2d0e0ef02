import json
import math

import pytest
import torch
from typer.testing import CliRunner

from glyphsight.cli.app import app
from glyphsight.errors import DatasetError, GlyphsightError
from glyphsight.evaluate import EvaluateSettings, evaluate, forgetting
from glyphsight.evaluate.forgetting import (
    TextLoss,
    bits_per_byte,
    measure_forgetting,
    perplexity,
    plain_questions,
    read_texts,
    relative_loss,
    spans,
    text_loss,
)
from glyphsight.evaluate.settings import ForgettingSettings
from glyphsight.models import load_model
from glyphsight.train.run import train
from glyphsight.train.settings import resolve_settings

TEXT = "A plain sentence in English, then another one — and that is all there is to it. " * 5


@pytest.fixture(scope="module")
def nano():
    return load_model("nano-digits")


@pytest.fixture
def short(tmp_path):
    file = tmp_path / "short.txt"
    file.write_text(TEXT, "utf-8")
    return file


@pytest.mark.parametrize(("window", "stride"), [(8, 8), (8, 3), (50, 7), (10, 1)])
def test_every_token_is_judged_once_with_what_the_window_holds_before_it(window, stride):
    taken = list(spans(41, window, stride))
    judged = [token for _, first, end in taken for token in range(first, end)]
    assert judged == list(range(41))
    assert all(begin <= first and end - begin <= window for begin, first, end in taken)
    assert all(first - begin == window - stride for begin, first, _ in taken[1:-1])


def test_one_window_costs_what_transformers_own_loss_says(nano):
    ids = torch.tensor([nano.tokenizer(TEXT)["input_ids"]])
    with torch.inference_mode():
        expected = float(nano.model(input_ids=ids, labels=ids).loss)
    found = text_loss(nano, TEXT, settings=ForgettingSettings(window=2048, stride=2048))
    assert sum(found.tokens) == ids.shape[1] - 1
    assert math.log(perplexity([found])) == pytest.approx(expected, rel=1e-5)
    first = len(nano.tokenizer.decode(ids[0, :1]).encode())
    assert found.size == len(TEXT.encode()) - first
    assert bits_per_byte([found]) == pytest.approx(sum(found.nats) / math.log(2) / found.size)


def test_windows_with_a_stride_are_those_of_the_page_on_perplexity(nano):
    """The loop of transformers' "Perplexity of fixed-length models", its labels masked by -100."""
    ids = torch.tensor([nano.tokenizer(TEXT)["input_ids"]])
    window, stride, before, nats = 64, 24, 0, 0.0
    for begin in range(0, ids.shape[1], stride):
        end = min(begin + window, ids.shape[1])
        read, labels = ids[:, begin:end], ids[:, begin:end].clone()
        labels[:, : -(end - before)] = -100
        counted = int((labels[:, 1:] != -100).sum())
        with torch.inference_mode():
            nats += float(nano.model(input_ids=read, labels=labels).loss) * counted
        before = end
        if end == ids.shape[1]:
            break
    found = text_loss(nano, TEXT, settings=ForgettingSettings(window=window, stride=stride))
    assert sum(found.nats) == pytest.approx(nats, rel=1e-5)


def test_windows_that_do_not_overlap_judge_their_first_tokens_too(nano):
    ids = nano.tokenizer(TEXT)["input_ids"]
    found = text_loss(nano, TEXT, settings=ForgettingSettings(window=64, stride=64))
    assert sum(found.tokens) == len(ids) - 1
    second = torch.tensor([ids[63:128]])  # the last token before the window is all its first has
    with torch.inference_mode():
        expected = float(nano.model(input_ids=second, labels=second).loss) * 64
    assert found.nats[1] == pytest.approx(expected, rel=1e-4)


def test_a_tokenizer_that_opens_a_text_has_its_first_token_judged_too(nano, monkeypatch):

    end = nano.tokenizer.eos_token_id
    cut = nano.tokenizer(TEXT)["input_ids"]
    monkeypatch.setattr(forgetting, "text_ids", lambda tokenizer, text: ([end], cut))
    found = text_loss(nano, TEXT, settings=ForgettingSettings(window=100, stride=50))
    assert sum(found.tokens) == len(cut)
    assert found.size == len(TEXT.encode())


def test_a_text_too_short_and_a_stride_too_long_say_so(nano):
    with pytest.raises(DatasetError, match="1 tokens are too few"):
        text_loss(nano, "a", "it")
    with pytest.raises(GlyphsightError, match="stride: 11 exceeds window 10; lower it"):
        ForgettingSettings(window=10, stride=11)


def test_the_relative_loss_is_of_bits_and_its_interval_holds_windows_together():
    base = TextLoss("t", (4,) * 12, (8.0, 2.0, 5.0) * 4, 160)
    run = TextLoss("t", (4,) * 12, (8.8, 2.2, 5.5) * 4, 160)
    share, interval = relative_loss([run], [base])
    assert share == pytest.approx(0.1)
    assert interval == pytest.approx((0.1, 0.1))  # a tenth in every window, whichever are drawn
    assert relative_loss([base], [base]) == (0, (0, 0))
    finer = TextLoss("t", (6,) * 12, run.nats, 160)
    assert relative_loss([finer], [base]) == (pytest.approx(0.1), None)
    few = TextLoss("t", (4,) * 3, (8.0, 2.0, 5.0), 40)
    assert relative_loss([few], [few]) == (0, None)
    both = bits_per_byte([base, run])
    assert both == pytest.approx(126 / math.log(2) / 320)


def test_the_questions_are_plain_and_each_has_its_answer_once():
    asked = plain_questions().items
    assert len(asked) >= 60
    assert {one.group for one in asked} == {"facts", "completion", "sentiment", "arithmetic"}
    for one in asked:
        assert one.choices.count(one.answers[0]) == 1
        assert len(set(one.choices)) == len(one.choices) >= 2
        assert one.prompt.isascii()
        assert not one.prompt.endswith(" ")
    assert len({one.prompt for one in asked}) == len(asked)


def test_the_answer_is_the_choice_with_the_highest_log_likelihood(nano):
    settings = EvaluateSettings(generate=0, zero_shot=0)
    found = evaluate(nano, plain_questions(), settings, quiet=True)
    for item, sample in zip(plain_questions().items[:3], found.samples, strict=False):
        begun = nano.tokenizer(item.prompt)["input_ids"]
        scores = []
        for choice in item.choices:
            ids = torch.tensor([begun + nano.tokenizer(f" {choice}")["input_ids"]])
            with torch.inference_mode():
                logprobs = nano.model(ids).logits[0, len(begun) - 1 : -1].log_softmax(-1)
            scores.append(float(logprobs.gather(1, ids[0, len(begun) :, None]).sum()))
        assert sample.answer == item.choices[scores.index(max(scores))]


def test_the_text_that_ships_is_plain_english_with_its_licence():
    [(name, text)] = read_texts([])
    assert name == "plain-english"
    assert 50_000 < len(text.encode()) < 60_000
    assert text.count(" the ") > 300


def test_an_adapter_is_measured_on_and_as_base_off(digits, nano_run, short, tmp_path):
    lora = {"method": "lora", "lora_rank": 2, "max_steps": 2, "learning_rate": 0.02}
    given = lora | {"batch_size": 8, "validation_records": 5}
    train(digits, str(nano_run), tmp_path / "a", resolve_settings("nano", given), quiet=True)
    found = measure_forgetting(tmp_path / "a", texts=[short], quiet=True)
    alone = measure_forgetting(
        nano_run, [short], ForgettingSettings(against=str(nano_run)), quiet=True
    )
    assert found.base.model == str(nano_run)
    assert perplexity(found.base.texts) == pytest.approx(perplexity(alone.run.texts), rel=1e-5)
    assert perplexity(found.run.texts) != pytest.approx(perplexity(found.base.texts), rel=1e-4)
    assert alone.relative_loss == 0
    assert alone.questions.difference == 0


def test_a_whole_run_stands_beside_the_base_its_record_names(nano_run, short):
    found = measure_forgetting(nano_run, texts=[short], quiet=True)
    fresh = load_model("nano", seed=0)
    assert perplexity(found.base.texts) == pytest.approx(
        perplexity([text_loss(fresh, TEXT)]), rel=1e-5
    )
    finer = measure_forgetting(
        nano_run, [short], ForgettingSettings(window=64, stride=32), quiet=True
    )
    low, high = finer.relative_loss_interval
    assert low <= finer.relative_loss <= high


def test_the_command_prints_both_and_json_and_says_what_is_wrong(nano_run, short):
    run = ["evaluate", "--forgetting", "--model", str(nano_run), "--text", str(short)]
    table = CliRunner().invoke(app, run)
    assert table.exit_code == 0
    assert f"run {nano_run}" in table.stdout
    for said in ("relative loss", "  chance", "  always "):
        assert said in table.stdout
    printed = json.loads(CliRunner().invoke(app, [*run, "--json"]).stdout)
    assert printed["base"]["model"] == "nano"
    assert printed["run"]["texts"][str(short)]["bytes"] == len(TEXT.encode()) - 1
    assert 0.2 < printed["run"]["chance"] < 0.6
    for wrong in (["--stride", "600"], ["--data", "bundled"]):
        assert CliRunner().invoke(app, [*run, *wrong]).exit_code == 2
    missing = CliRunner().invoke(app, [*run[:4], "--text", "no.txt"])
    assert "no.txt: no such file" in str(missing.exception)
    nothing = CliRunner().invoke(app, ["evaluate"])
    assert nothing.exit_code == 2
    assert "--data" in nothing.stderr


def test_a_model_that_is_no_run_stands_alone(nano_run, short, tmp_path):
    loaded = load_model(nano_run)
    loaded.model.save_pretrained(tmp_path / "plain")
    loaded.tokenizer.save_pretrained(tmp_path / "plain")
    found = measure_forgetting(tmp_path / "plain", texts=[short], quiet=True)
    assert (found.base, found.relative_loss) == (None, None)
