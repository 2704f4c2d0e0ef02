"""Every family of language models loads, learns and answers, in its own chat where it has one.

The models are tiny and made here, with the published classes and the shape of their templates.
"""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from asking import replies, requests, scores, see
from glyphsight.dataset import Prompt, Record, load_dataset, write_records
from glyphsight.errors import ModelError
from glyphsight.evaluate import EvaluateSettings, evaluate
from glyphsight.evaluate import evaluation as evaluation_module
from glyphsight.evaluate.forgetting import plain_questions
from glyphsight.inference import Model
from glyphsight.inference.tokenize import completion_ids, prompt_ids
from glyphsight.models import load_model
from glyphsight.models.chat import end_tokens
from glyphsight.train.data import tokenize_records
from glyphsight.train.run import train
from glyphsight.train.settings import resolve_settings

pytestmark = pytest.mark.slow

CHATML = (
    "{{ bos_token or '' }}"
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
THINKING = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['role'] == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n"
    "{% endif %}{% endif %}"
)
LLAMA = (
    "{{ bos_token }}<|start_header_id|>system<|end_header_id|>\n\n"
    "{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "Today Date: {{ date_string }}\n\n<|eot_id|>"
    "{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
    "{{ m['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}"
    "{% endif %}{% for m in messages %}<start_of_turn>"
    "{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
PHI = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}"
)

# Family: its configuration, opening token, end token, further special tokens, template.
FAMILIES = {
    "llama": ("LlamaConfig", "<|begin_of_text|>", "<|end_of_text|>", ["<|eot_id|>"], LLAMA),
    "llama-base": ("LlamaConfig", "<|begin_of_text|>", "<|end_of_text|>", [], None),
    "qwen2": ("Qwen2Config", None, "<|im_end|>", ["<|im_start|>"], CHATML),
    "qwen3": ("Qwen3Config", None, "<|im_end|>", ["<|im_start|>"], THINKING),
    "gemma2": ("Gemma2Config", "<bos>", "<eos>", ["<start_of_turn>", "<end_of_turn>"], GEMMA),
    "gemma3": ("Gemma3TextConfig", "<bos>", "<eos>", ["<start_of_turn>", "<end_of_turn>"], GEMMA),
    "lfm2": ("Lfm2Config", "<|startoftext|>", "<|im_end|>", ["<|im_start|>"], CHATML),
    "phi3": ("Phi3Config", None, "<|endoftext|>", ["<|user|>", "<|assistant|>", "<|end|>"], PHI),
}
OWN = {  # what a family's configuration has besides, so that its own parts are at work
    "Gemma2Config": {"sliding_window": 32, "layer_types": ["sliding_attention", "full_attention"]},
    "Gemma3TextConfig": {
        "sliding_window": 32,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "Lfm2Config": {"layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False},
}
SMALL = {"batch_size": 8, "max_steps": 2, "evaluations": 1, "checkpoints": 1, "precision": "fp32"}
SMALL |= {"validation_records": 4, "lora_rank": 2}


def make_tokenizer(opening, end, special, template):
    """A byte-level tokenizer, one token a byte, that opens plain text as its family does."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    known = [token for token in ("<pad>", opening, end, *special) if token]
    backend = Tokenizer(
        models.BPE(vocab={t: i for i, t in enumerate([*known, *alphabet])}, merges=[])
    )
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    if opening:
        backend.post_processor = processors.TemplateProcessing(
            single=f"{opening} $A", special_tokens=[(opening, known.index(opening))]
        )
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=opening,
        eos_token=end,
        pad_token="<pad>",
        additional_special_tokens=special,
    )
    tokenizer.chat_template = template
    return tokenizer


def make_model(family, directory):
    """Save a tiny model of a family; its directory."""
    name, opening, end, special, template = FAMILIES[family]
    tokenizer = make_tokenizer(opening, end, special, template)
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "max_position_embeddings": 2048,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    if name in ("Phi3Config", "Lfm2Config"):
        del sizes["head_dim"]
    config = getattr(transformers, name)(**sizes | OWN.get(name, {}))
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Directories of tiny models by family, each made once."""
    place, done = tmp_path_factory.mktemp("families"), {}

    def make(family):
        if family not in done:
            done[family] = make_model(family, place / family)
        return done[family]

    return make


@pytest.fixture(scope="module")
def few(digits, tmp_path_factory):
    """A few of the digits."""
    path = tmp_path_factory.mktemp("few") / "train.json"
    write_records(load_dataset(digits)[:12], path)
    return path


def settings(model, **given):
    return resolve_settings(str(model), SMALL | given)


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_learns_and_answers(made, few, golden, tmp_path, family, method):
    base = made(family)
    train(few, str(base), tmp_path, settings(base, method=method), quiet=True)
    loaded = load_model(tmp_path)
    if method == "full":
        before = dict(load_model(base).model.named_parameters())
        after = dict(loaded.model.named_parameters())
        assert any(not torch.equal(after[name], before[name]) for name in before)
    else:
        assert any(
            weight.any() for name, weight in loaded.model.named_parameters() if "lora_B" in name
        )
    assert (loaded.chat is None) == (family == "llama-base")
    assert loaded.chat == loaded.run.chat
    answer = see(golden / "five.png", loaded)
    assert answer.label in loaded.run.labels
    assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_batches_and_padding_do_not_change_what_a_family_says(made, few, family):
    loaded = load_model(made(family))
    texts = [record.picture for record in load_dataset(few)[:4]]
    asked = [Prompt().ask(text) for text in (texts[0], texts[1][:90], texts[2], texts[3][:41])]
    labels = ["1", "7", "seventeen", "74"]
    alone = scores(loaded, asked, labels, Prompt(), batch_size=1, share=False)
    together = scores(loaded, asked, labels, Prompt(), batch_size=8)
    np.testing.assert_allclose(alone, together, atol=1e-3)
    told = [replies(loaded, [one], labels, Prompt())[0] for one in asked]
    assert told == replies(loaded, asked, labels, Prompt())


@pytest.mark.parametrize("instruction", ["", "You read pictures made of characters."])
@pytest.mark.parametrize("family", [name for name in FAMILIES if FAMILIES[name][-1]])
def test_training_and_asking_tokenize_a_chat_as_its_template_writes_it(
    made, few, family, instruction
):
    loaded = load_model(made(family), training=True)
    record = replace(load_dataset(few)[0], question="Which digit is this?")
    prompt = Prompt("Look.\n{ASCII_image}Say it.", instruction=instruction)
    question, answer = prompt.pair(record)
    [example] = tokenize_records(loaded, [(record, prompt)], "d")
    [asked] = prompt_ids(loaded.tokenizer, [question], loaded.chat)
    [said] = completion_ids(loaded.tokenizer, [answer], loaded.chat)
    assert example.ids == asked + said
    assert example.answer_tokens == len(said)
    messages = prompt.messages(record)
    if instruction and FAMILIES[family][-1] == GEMMA:  # refuses a system message
        system, user, assistant = messages
        user["content"] = f"{system['content']}\n{user['content']}"
        messages = [user, assistant]
    whole = loaded.tokenizer.apply_chat_template(
        messages, tokenize=False, date_string="26 Jul 2024"
    )
    text = loaded.tokenizer.decode(example.ids)
    assert whole.startswith(text)
    assert whole[len(text) :].strip() in ("", loaded.tokenizer.eos_token)
    assert said[-1] in end_tokens(loaded.tokenizer, loaded.chat)
    assert (loaded.chat.between == "") == (FAMILIES[family][-1] == GEMMA)


def test_choices_are_scored_as_labels_are_in_a_chat_too(made):
    loaded = load_model(made("qwen2"))
    asked, labels = ["What is it?", "And that?"], ["1", "7", "seventeen", "74"]
    both = requests(asked[:1], labels) + requests(asked[1:], labels[1:])
    [first, second] = Model(loaded).score(both)
    np.testing.assert_allclose(first, scores(loaded, asked[:1], labels, Prompt())[0], atol=1e-4)
    np.testing.assert_allclose(
        second, scores(loaded, asked[1:], labels[1:], Prompt())[0], atol=1e-4
    )


def test_questions_that_are_gone_on_with_are_plain_to_a_model_of_a_chat(made):
    loaded = load_model(made("qwen2"))
    plain = load_model(made("qwen2"), chat=False)
    assert loaded.chat is not None
    settings = EvaluateSettings(generate=0, zero_shot=0)
    found = [evaluate(one, plain_questions(), settings, quiet=True) for one in (loaded, plain)]
    assert found[0].samples == found[1].samples


@pytest.mark.parametrize("chat", ["no", "auto"])
def test_a_base_is_asked_in_the_turns_of_the_run_it_is_held_against(
    made, few, tmp_path, monkeypatch, chat
):
    base = made("qwen2")
    train(few, str(base), tmp_path, settings(base, chat=chat), quiet=True)
    asked = []

    def noted(*given, **options):
        loaded = load_model(*given, **options)
        asked.append(loaded.chat)
        return loaded

    monkeypatch.setattr(evaluation_module, "load_model", noted)
    evaluate(str(tmp_path), str(few), EvaluateSettings(generate=0, zero_shot=2), quiet=True)
    assert asked == [load_model(tmp_path).chat]
    assert (asked == [None]) == (chat == "no")


def test_white_space_at_a_pictures_edge_outlives_a_template_that_trims(made):
    loaded = load_model(made("gemma2"))
    text = "   \n ▓ \n   "
    [ids] = prompt_ids(loaded.tokenizer, [text], loaded.chat)
    assert text in loaded.tokenizer.decode(ids)


def test_the_reply_ends_where_the_turn_ends(made, few, tmp_path):
    base = made("gemma2")
    data = [Record(load_dataset(few)[0].picture[:30], "4", size="20")] * 8
    write_records(data, tmp_path / "one.json")
    taught = settings(base, max_steps=40, learning_rate=1e-2)
    train(tmp_path / "one.json", str(base), tmp_path / "run", taught, quiet=True)
    loaded = load_model(tmp_path / "run")
    asked = [loaded.run.prompt.ask(data[0].picture)]
    assert replies(loaded, asked, loaded.run.labels, Prompt()) == [data[0].answer]


def test_the_choice_of_a_chat_is_kept_and_goes_on(made, few, tmp_path):
    base = made("qwen2")
    train(few, str(base), tmp_path / "plain", settings(base, chat="no"), quiet=True)
    train(few, str(tmp_path / "plain"), tmp_path / "on", settings(base), quiet=True)
    assert [load_model(tmp_path / name).chat for name in ("plain", "on")] == [None, None]
    with pytest.raises(ModelError, match=r"no chat template; .*chat=no"):
        train(few, "nano", tmp_path / "none", resolve_settings("nano", {"chat": "yes"}), quiet=True)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("template", ["{{ raise_exception('never') }}", "Hello."])
def test_a_template_that_cannot_be_used_is_named_with_the_fix(made, few, tmp_path, template):
    odd = tmp_path / "odd"
    shutil.copytree(made("qwen2"), odd)
    (odd / "chat_template.jinja").write_text(template)
    with pytest.raises(ModelError, match=r"odd: its chat template .*--set chat=no"):
        train(few, str(odd), tmp_path / "run", settings(odd), quiet=True)
    train(few, str(odd), tmp_path / "run", settings(odd, chat="no"), quiet=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="what is missing is a GPU")
def test_four_bits_without_a_gpu_name_what_is_missing_and_the_fix(made, few, tmp_path):
    base = made("qwen2")
    with pytest.raises(ModelError, match=r"needs a CUDA device.*train with --method lora"):
        train(few, str(base), tmp_path / "run", settings(base, method="qlora"), quiet=True)
    assert not (tmp_path / "run").exists()


def test_four_bits_ask_bitsandbytes_for_nf4(monkeypatch):
    from glyphsight.models.load import four_bit_options

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    asked = four_bit_options("cuda")["quantization_config"]
    assert asked.load_in_4bit
    assert (asked.bnb_4bit_quant_type, asked.bnb_4bit_compute_dtype) == ("nf4", torch.bfloat16)
