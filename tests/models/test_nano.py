import pytest
import torch
from transformers import PreTrainedTokenizerFast

from glyphsight.codec import Profile, encode_batch
from glyphsight.models.nano import MadeFor, make_nano, make_tokenizer
from glyphsight.models.tokens import load_tokenizer
from glyphsight.sources import load_split, open_source


def test_cutting_a_picture_into_tokens_loses_nothing():
    tokenizer = make_tokenizer()
    for text in encode_batch(load_split(open_source("bundled"), "validation").pixels[:50]):
        ids = tokenizer(f"{text}Response:")["input_ids"]
        assert tokenizer.decode(ids) == f"{text}Response:"


def test_every_picture_of_one_size_has_the_same_number_of_tokens():
    texts = encode_batch(load_split(open_source("bundled"), "validation").pixels[:200])
    cut = make_tokenizer()(texts)["input_ids"]
    assert len({len(ids) for ids in cut}) == 1


def test_any_other_text_survives_too():
    tokenizer = make_tokenizer()
    for text in (
        "héllo wörld 你好",
        "  two  spaces\t\ttabs",
        "<row:999>▓</row:999>\n",
        " T-shirt/top",
    ):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


@pytest.mark.parametrize(
    ("profile", "tokens"),
    [
        (Profile(width=27, height=20, format="plain"), 4 * 20),
        (Profile(width=20, format="plain", palette="blocks"), 5 + 6 * 10),
        (Profile(palette="digits"), None),
        (Profile(format="quadrant", palette=" █"), None),
    ],
    ids=lambda value: getattr(value, "format", ""),
)
def test_its_cut_suits_the_profile_of_the_pictures(profile, tokens):
    tokenizer = make_tokenizer(MadeFor(profile))
    texts = encode_batch(load_split(open_source("bundled"), "validation").pixels[:50], profile)
    cut = tokenizer(texts)["input_ids"]
    assert tokenizer.batch_decode(cut) == texts
    if tokens:
        assert {len(ids) for ids in cut} == {tokens + 1}  # and the end of the last line


def test_an_answer_digit_is_one_token():
    cut = make_tokenizer()([f" {digit}" for digit in range(10)])["input_ids"]
    assert [len(ids) for ids in cut] == [1] * 10
    assert len({ids[0] for ids in cut}) == 10


def test_an_answer_it_is_made_for_is_one_token_and_no_part_of_another_word():
    names = ("cat", "ice cream", "ice", "T-shirt/top", "고양이")
    tokenizer = make_tokenizer(MadeFor(Profile(format="plain"), names))
    answers = [f"Response: {name}" for name in names]
    assert {len(ids) for ids in tokenizer(answers)["input_ids"]} == {2}
    for text in (*answers, "Response: catalog", "Response: icecream", "▓█ cat\n  cat"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer(" catalog")["input_ids"]) > 2


def test_the_same_seed_makes_the_same_weights_and_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, _ = make_nano(1)
    assert torch.equal(before, torch.random.get_rng_state())
    second, _ = make_nano(1)
    other, _ = make_nano(2)
    pairs = list(zip(first.parameters(), second.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    different = zip(first.parameters(), other.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in different)


def test_nano_reads_another_tokenizers_tokens_alike_where_their_texts_are_alike():
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=load_tokenizer(), pad_token="<|im_end|>", eos_token="<|im_end|>"
    )
    model, given = make_nano(3, tokenizer)
    again, _ = make_nano(3, tokenizer)
    assert given is tokenizer
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True)
    )
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    vectors = torch.nn.functional.normalize(model.get_input_embeddings().weight.detach(), dim=1)
    four, five, other = (tokenizer(text)["input_ids"] for text in ("    ", "     ", "house"))
    assert len(four) == len(five) == len(other) == 1
    assert float((vectors[four] * vectors[five]).sum()) > 0.7
    assert abs(float((vectors[four] * vectors[other]).sum())) < 0.4
