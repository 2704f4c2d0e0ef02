import numpy as np
import pytest
import torch

from glyphsight.codec import Profile, encode_batch
from glyphsight.dataset import Prompt, Record, write_records
from glyphsight.dataset.prompt import in_turn
from glyphsight.errors import DatasetError
from glyphsight.models import load_model
from glyphsight.models.load import new_adapter
from glyphsight.train.data import (
    BucketSampler,
    Example,
    collate,
    reads_apart,
    share_beginnings,
    tokenize_records,
)
from glyphsight.train.learned import read_datasets
from glyphsight.train.trainer import keep_frozen_weights_in, length_multiple


def test_a_batch_has_labels_at_the_answers_alone():
    batch = collate([Example([5, 6, 7, 8], 2), Example([1, 2], 1)], pad=0)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8], [0, 0, 1, 2]]
    assert batch["labels"].tolist() == [[-100, 7, 8], [-100, -100, 2]]


def test_a_batch_is_padded_to_lengths_that_come_again():
    examples = [Example(list(range(1, 1 + n)), 2) for n in (20, 20)]
    plain, padded = (collate(examples, pad=0, multiple=n) for n in (1, 8))
    assert plain["input_ids"].shape == (2, 20)
    assert "attention_mask" not in plain
    assert padded["input_ids"].shape == padded["attention_mask"].shape == (2, 25)
    assert padded["attention_mask"].sum() == 40
    assert torch.equal(padded["input_ids"][:, 5:], plain["input_ids"])
    assert torch.equal(padded["position_ids"][:, 5:], plain["position_ids"])
    assert torch.equal(padded["labels"], plain["labels"])
    assert (length_multiple(range(30, 60)), length_multiple([37] * 100)) == (8, 1)


def test_frozen_weights_kept_in_bfloat16_change_no_logit():
    model = new_adapter(load_model("nano", training=True).model, 2, 4)
    ids = torch.arange(300, 340)[None]

    def logits():
        with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
            return model(input_ids=ids).logits

    before = logits()
    keep_frozen_weights_in(model, torch.bfloat16)
    kept = {name: weight.dtype for name, weight in model.named_parameters()}
    assert {kept[name] for name in kept if "base_layer" in name} == {torch.bfloat16}
    assert {kept[name] for name in kept if "lora" in name or "embed" in name} == {torch.float32}
    assert torch.equal(logits(), before)


def test_every_record_comes_once_an_epoch_in_an_order_of_seed_and_epoch_alone():
    lengths = np.random.default_rng(0).integers(5, 60, 1003).tolist()
    first, again, other = (BucketSampler(lengths, 8, seed) for seed in (1, 1, 2))
    assert sorted(first) == list(range(1003))
    assert list(first) == list(again)
    assert list(first) != list(other)
    first.set_epoch(1)
    assert list(first) != list(again)
    again.set_epoch(1)
    assert list(first) == list(again)


def test_batches_hold_records_of_like_length():
    lengths = np.random.default_rng(0).integers(5, 200, 4000)
    order = np.array(list(BucketSampler(lengths.tolist(), 8, 0)))
    spread = np.ptp(lengths[order].reshape(-1, 8), axis=1)
    shuffled = np.ptp(lengths.reshape(-1, 8), axis=1)
    assert np.median(spread) < np.median(shuffled) / 10


def test_labels_of_different_lengths_share_their_batches():
    examples = [Example([0] * (34 + tokens), tokens) for tokens in (2, 12) for _ in range(80)]
    order = list(BucketSampler([example.bucket for example in examples], 32, 0))
    long = np.array([examples[row].answer_tokens == 12 for row in order]).reshape(-1, 32)
    assert all(5 < share < 27 for share in long.sum(axis=1))
    drawn, text = Example([0] * 60, 40), Example([0] * 60, 59)
    assert (drawn.bucket, text.bucket) == (60, -60)


def test_a_record_that_would_be_cut_stops_the_run_and_is_named():
    nano = load_model("nano")
    short = encode_batch(np.zeros((1, 28, 28), np.uint8))[0]
    records = [Record(short, "1", size="20"), Record(short * 60, "2", size="20")]
    with pytest.raises(DatasetError, match=r"d\.json: record 2 is \d+ tokens"):
        tokenize_records(nano, in_turn(records, [Prompt()]), "d.json")


def test_the_answer_ends_in_the_end_token():
    nano = load_model("nano")
    text = encode_batch(np.zeros((1, 28, 28), np.uint8))[0]
    [example] = tokenize_records(nano, [(Record(text, "7", size="20"), Prompt())], "d")
    tail = example.ids[-example.answer_tokens :]
    assert nano.tokenizer.decode(tail[:-1]) == " 7"
    assert tail[-1] == nano.tokenizer.eos_token_id


def test_every_wording_is_trained_in_turn():
    nano = load_model("nano")
    wordings = (Prompt(), Prompt("{ASCII_image}Answer:", " {Response}", "Read it."))
    text = encode_batch(np.zeros((1, 28, 28), np.uint8))[0]
    records = [Record(text, str(i), "" if i else "Is it even?") for i in range(3)]
    examples = tokenize_records(nano, in_turn(records, wordings), "d")
    said = [nano.tokenizer.decode(example.ids, skip_special_tokens=True) for example in examples]
    assert said == [
        f"{text}Is it even?\nResponse: 0",
        f"Read it.\n{text}Answer: 1",
        f"{text}Response: 2",
    ]


QUESTIONS = ("Even?", "Odd?", "What?", "Dark?", "One?")


def asked_of_three_pictures():
    """Five questions about each of three pictures in two wordings, and each picture's name."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    texts = encode_batch(pixels)
    records = [Record(text, "no, not", ask) for ask in QUESTIONS for text in texts]
    names = [Record(text, "7") for text in texts]
    return in_turn(records + names, (Prompt(), Prompt("{ASCII_image}So:", " {Response}")))


def sum_of_losses(loaded, examples):
    batch = collate(examples, pad=0, multiple=8)
    labels, length = batch["labels"][:, 1:], batch["input_ids"].shape[1] - 1
    read = {
        name: part if part.ndim == 4 else part[:, :length]
        for name, part in batch.items()
        if name != "labels"
    }
    logits = loaded.model(**read, logits_to_keep=labels.shape[1]).logits
    return torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), reduction="sum"
    )


def gradients(loaded, batches):
    loaded.model.zero_grad()
    loss = sum(sum_of_losses(loaded, batch) for batch in batches)
    loss.backward()
    return loss, [weight.grad.clone() for weight in loaded.model.parameters()]


def test_questions_about_a_picture_in_one_row_are_learnt_as_each_alone():
    loaded, asked = load_model("nano", training=True), asked_of_three_pictures()
    texts = tokenize_records(loaded, asked, "d")
    rows = share_beginnings(texts, asked)
    assert sorted(row.records for row in rows) == [3] * 6
    assert sum(len(row.ids) for row in rows) < 0.7 * sum(len(text.ids) for text in texts)
    assert reads_apart(loaded, rows)
    loss, apart = gradients(loaded, [[text] for text in texts])
    shared, together = gradients(loaded, [rows])
    assert torch.allclose(loss, shared, rtol=1e-5)
    for one, other in zip(apart, together, strict=True):
        assert torch.allclose(one, other, atol=1e-4 * float(one.abs().max()) + 1e-6)


def test_a_picture_that_is_only_named_has_a_row_of_its_own_unless_it_is_asked_about_too():
    loaded = load_model("nano")
    text = encode_batch(np.zeros((1, 28, 28), np.uint8))[0]
    named, question = Record(text, "0"), Record(text, "yes", "Is it even?")
    for some, rows in (([named, named], 2), ([named, question], 1)):
        asked = in_turn(some, [Prompt()])
        assert len(share_beginnings(tokenize_records(loaded, asked, "d"), asked)) == rows


def test_a_row_of_many_questions_is_bounded_and_none_is_lost():
    loaded = load_model("nano")
    text = encode_batch(np.zeros((1, 28, 28), np.uint8), Profile(width=8))[0]
    asked = in_turn([Record(text, str(n), f"Is it {n}?") for n in range(100)], [Prompt()])
    texts = tokenize_records(loaded, asked, "d")
    rows = share_beginnings(texts, asked)
    assert sum(row.records for row in rows) == 100
    assert max(len(row.ids) for row in rows) <= 240
    learnt, known = (
        sorted(token for one in some for token in one.targets or one.ids[-one.answer_tokens :])
        for some in (rows, texts)
    )
    assert learnt == known


def test_a_model_that_ignores_the_mask_does_not_read_questions_apart():
    loaded, asked = load_model("nano"), asked_of_three_pictures()
    rows = share_beginnings(tokenize_records(loaded, asked, "d"), asked)
    forward = loaded.model.forward
    loaded.model.forward = lambda attention_mask=None, **read: forward(**read)
    assert not reads_apart(loaded, rows)

    def refuse(**read):
        raise ValueError("too many values to unpack")

    loaded.model.forward = refuse
    assert not reads_apart(loaded, rows)
    loaded.model.forward = forward
    assert reads_apart(loaded, rows)
    loaded.model.config.sliding_window = 100
    assert not reads_apart(loaded, rows)


def test_plain_text_is_told_from_pictures():
    assert Example([1, 2, 3], 2).is_text
    assert not Example([1, 2, 3], 1).is_text


def test_plain_text_stands_together_in_the_order_of_a_run():
    rng = np.random.default_rng(0)
    pictures = rng.integers(60, 75, 900)
    text = -rng.integers(4, 129, 100)  # as the trainer has them
    lengths = np.concatenate([pictures, text])
    batches = lengths[np.array(list(BucketSampler(lengths.tolist(), 8, 0)))].reshape(-1, 8)
    mixed = ((batches < 0).any(axis=1) & (batches > 0).any(axis=1)).sum()
    assert mixed <= 4  # one a bucket of 400, and the last batches of short buckets
    assert (batches < 0).all(axis=1).sum() >= 9


def test_a_dataset_without_a_manifest_is_told_which_profile_is_taken(tmp_path, capsys):
    write_records([Record("<row:1> </row:1>\n", "a", size="1")], tmp_path / "train.json")
    [data] = read_datasets([tmp_path], 10, None)
    assert data.profile == Profile(width=1)
    said = capsys.readouterr().err
    assert f"{tmp_path}: has no manifest" in said
    assert 'name it in manifest.json beside it: {"profile": {...}}' in said
    (tmp_path / "manifest.json").write_text('{"profile": {"width": 1, "invert": "auto"}}')
    assert read_datasets([tmp_path], 10, None)[0].profile == Profile(width=1, invert="auto")
    assert not capsys.readouterr().err
