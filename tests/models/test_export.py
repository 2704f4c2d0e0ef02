"""Exported runs answer in other programs as they do here."""

import json
import lzma
import shutil
import urllib.request
from importlib.resources import files
from itertools import chain

import gguf
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from glyphsight.codec import Profile, encode_batch
from glyphsight.dataset import Prompt
from glyphsight.errors import GlyphsightError, ModelError
from glyphsight.models import RunRecord, load_model
from glyphsight.models.chat import Turns
from glyphsight.models.export import export
from glyphsight.models.export_words import modelfile, template
from glyphsight.models.load import model_tokenizer, new_adapter
from glyphsight.models.runs import SHIPPED_RUNS, Task
from pages import blocks

ASSETS = files("glyphsight") / "assets"
TEXTS = ["   1  23\n█·█\n", "naïve 한국어 🙂", "a\r\n\n b<|im_end|>", "x = [1, 2]  # ok"]
CHAT = "{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>\n{% endfor %}"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A small random Llama model with SmolLM2's tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    path = tmp_path_factory.mktemp("export") / "base"
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=64,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.3,
    )
    LlamaForCausalLM(config).save_pretrained(path)
    packed = (ASSETS / "smollm2-tokenizer.json.xz").read_bytes()
    (path / "tokenizer.json").write_bytes(lzma.decompress(packed))
    settings = json.loads((ASSETS / "smollm2.json").read_text("utf-8"))["tokenizer_config.json"]
    (path / "tokenizer_config.json").write_text(json.dumps(settings))
    (path / "chat_template.jinja").write_text(CHAT)
    return path


@pytest.fixture(scope="module")
def run(base):
    """A run whose adapter changes every layer of the base."""
    loaded = load_model(base, dtype="float32")
    adapted = new_adapter(loaded.model, 4, 8)
    torch.manual_seed(4)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_" in name:
                weight.normal_(std=0.2)
    path = base.with_name("run")
    adapted.save_pretrained(path)
    RunRecord(str(base), tasks=(Task("", ("5", "7")),)).save(path)
    return path


def ours(model, text):
    loaded = load_model(model, dtype="float32")
    ids = loaded.tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        return loaded.model(input_ids=ids).logits[0, -1].log_softmax(-1).numpy()


@pytest.fixture(scope="module")
def exported(run):
    path = run.with_name("gguf")
    export(run, "gguf", path)
    export(run.with_name("base"), "gguf", path / "of-base")
    return path


@pytest.fixture
def served():
    """A function from a GGUF, and an adapter, to one that posts JSON to llama.cpp's server."""
    xllamacpp = pytest.importorskip("xllamacpp", reason="pip install xllamacpp")
    servers = []

    def serve(model, adapter=None):
        given = xllamacpp.CommonParams()
        given.model.path = str(model)
        if adapter:
            lora = xllamacpp.CommonAdapterLoraInfo()
            lora.path, lora.scale = str(adapter), 1.0
            given.lora_adapters = [lora]
        given.hostnames, given.port, given.warmup = ["127.0.0.1"], 0, False
        given.n_ctx, given.n_parallel, given.use_jinja = 512, 1, True
        given.cpuparams.n_threads = given.cpuparams_batch.n_threads = 1
        servers.append(xllamacpp.Server(given))
        address = servers[-1].listening_address

        def ask(path, value):
            request = urllib.request.Request(
                address + path, json.dumps(value).encode(), {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request) as reply:
                return json.load(reply)

        return ask

    yield serve
    servers.clear()  # a server lives as long as its object


def likeliest(ask, text):
    given = {"prompt": text, "n_predict": 1, "n_probs": 20, "temperature": 0}
    [token] = ask("/completion", given)["completion_probabilities"]
    return {one["id"]: one["logprob"] for one in token["top_logprobs"]}


def agrees(said, expected, tolerance=0.1):
    found = np.array(list(said.values()))
    np.testing.assert_allclose(found, expected[list(said)], atol=tolerance)
    assert next(iter(said)) == expected.argmax()


def test_merged_loads_in_transformers_alone_and_says_the_same(run, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    export(run, "merged", tmp_path / "whole")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "whole").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "whole")
    assert not (tmp_path / "whole" / "adapter_config.json").exists()
    with torch.inference_mode():
        logits = model(**tokenizer(TEXTS[0], return_tensors="pt")).logits[0, -1]
    np.testing.assert_allclose(logits.log_softmax(-1).numpy(), ours(run, TEXTS[0]), atol=1e-3)
    np.testing.assert_allclose(ours(tmp_path / "whole", TEXTS[0]), ours(run, TEXTS[0]), atol=1e-3)
    export(run, "merged", tmp_path / "half", "bf16")
    whole, half = ((tmp_path / name / "model.safetensors").stat() for name in ("whole", "half"))
    assert half.st_size < 0.51 * whole.st_size


def test_an_adapter_is_taken_by_peft(run, tmp_path):
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoTokenizer

    from glyphsight.models.load import without_peft_warning

    export(run, "adapter", tmp_path / "out")
    with without_peft_warning():
        model = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    asked = AutoTokenizer.from_pretrained(tmp_path / "out")(TEXTS[0], return_tensors="pt")
    with torch.inference_mode():
        logits = model(input_ids=asked["input_ids"]).logits[0, -1]
    np.testing.assert_allclose(logits.log_softmax(-1).numpy(), ours(run, TEXTS[0]), atol=1e-3)


@pytest.mark.slow
def test_an_adapter_names_its_base_as_the_hub_does(tmp_path):
    run = tmp_path / "run"
    shutil.copytree(SHIPPED_RUNS["sight"], run)
    settings = json.loads((run / "adapter_config.json").read_text("utf-8"))
    elsewhere = {**settings, "base_model_name_or_path": "/somewhere/smollm2-135m"}
    (run / "adapter_config.json").write_text(json.dumps(elsewhere))
    export(run, "adapter", tmp_path / "out")
    assert json.loads((tmp_path / "out" / "adapter_config.json").read_text("utf-8")) == settings


def test_llama_cpp_says_the_same_of_the_merged_model_and_of_the_adapter_alone(
    run, exported, served
):
    expected = ours(run, TEXTS[0])
    agrees(likeliest(served(exported / "run-f16.gguf"), TEXTS[0]), expected)
    of_base, adapter = exported / "of-base" / "base-f16.gguf", exported / "run-lora.gguf"
    agrees(likeliest(served(of_base, adapter), TEXTS[0]), expected)
    agrees(likeliest(served(of_base), TEXTS[0]), ours(run.with_name("base"), TEXTS[0]))


def test_tokens_and_chat_survive_the_trip(run, exported, served, validation):
    tokenizer = model_tokenizer(run.with_name("base"))
    formats = ("seed", "plain", "rle", "spaced", "digits")
    pictures = [encode_batch(validation.pixels[:8], Profile(format=form)) for form in formats]
    ask = served(exported / "run-f16.gguf")
    for text in [*TEXTS, *chain(*pictures)]:
        given = {"content": text, "add_special": True, "parse_special": True}
        assert ask("/tokenize", given)["tokens"] == tokenizer(text)["input_ids"]
        messages = [{"role": "user", "content": text}]
        chat = tokenizer.apply_chat_template(messages, tokenize=False)
        assert ask("/apply-template", {"messages": messages})["prompt"] == chat


@pytest.mark.parametrize(
    ("kind", "down", "short"), [("q8_0", "Q8_0", "Q8_0"), ("q4_k", "Q4_K", "Q5_0")]
)
def test_a_quantized_model_is_read_by_llama_cpp(run, served, tmp_path, kind, down, short):
    pytest.importorskip("xllamacpp", reason="pip install xllamacpp")
    export(run, "gguf", tmp_path / "out", kind)
    file = tmp_path / "out" / f"run-{kind}.gguf"
    found = {one.name: one.tensor_type.name for one in gguf.GGUFReader(file).tensors}
    assert found["blk.0.ffn_down.weight"] == down
    assert found["blk.0.attn_q.weight"] == short  # rows of 64 are no super-block
    assert found["output_norm.weight"] == "F32"
    agrees(likeliest(served(file), TEXTS[0]), ours(run, TEXTS[0]), 3.0)


def test_the_modelfile_holds_the_words_that_the_run_was_trained_with(exported):
    written = (exported / "Modelfile").read_text("utf-8")
    assert blocks("docs/other-runtimes.md", "dockerfile") == [written.replace("run-", "sight-")]
    lines = written.splitlines()
    assert lines[0] == "FROM ./run-f16.gguf"
    assert lines[1] == 'TEMPLATE """{{ .Prompt }}Response:"""'
    assert "PARAMETER num_predict 3" in lines
    assert 'PARAMETER stop "<|im_end|>"' in lines
    assert "llama-server --model run-f16.gguf" in (exported / "README.md").read_text("utf-8")


def test_words_of_a_chat_and_of_a_question_stand_in_the_template(base):
    tokenizer = model_tokenizer(base)
    record = RunRecord(
        "x",
        prompts=(Prompt("Look:\n{ASCII_image}{Question} {{so}}", instruction="Be brief."),),
        tasks=(Task("Odd?"),),
        chat=Turns("<u>", "<a>", 2, "<s>", "<m>"),
    )
    expected = "<s>Be brief.<m>Look:\n{picture}Odd? {{so}}<a>"
    assert template(record, "{picture}") == expected
    written = modelfile(record, tokenizer, "x.gguf")
    assert 'TEMPLATE """<s>Be brief.<m>Look:\n{{ .Prompt }}Odd? {{"{{"}}so}}<a>"""' in written


def test_what_cannot_be_exported_is_refused_with_the_fix(run, tmp_path):
    with pytest.raises(ModelError, match=r"nano-digits.*--to onnx"):
        export("nano-digits", "gguf", tmp_path / "a")
    with pytest.raises(ModelError, match=r"whole model.*--to merged"):
        export("nano-digits", "adapter", tmp_path / "a")
    with pytest.raises(ModelError, match=r"int8.*choose one of f32, bf16, f16"):
        export(run, "merged", tmp_path / "a", "int8")
    with pytest.raises(ModelError, match="leave it out"):
        export(run, "adapter", tmp_path / "a", "f16")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine").touch()
    with pytest.raises(GlyphsightError, match="is there already; choose another path"):
        export(run, "adapter", tmp_path / "a")
    assert [one.name for one in (tmp_path / "a").iterdir()] == ["mine"]


def test_the_command_lists_the_files(run, tmp_path):
    from glyphsight.cli.app import app

    given = ["--to", "adapter", "--out", str(tmp_path / "o")]
    done = CliRunner().invoke(app, ["export", str(run), *given])
    assert done.exit_code == 0
    assert "adapter_model.safetensors" in done.stdout
    assert {one.name for one in (tmp_path / "o").iterdir()} >= {"README.md", "glyphsight.json"}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "most", "same"), [("f32", 16.5, 40), ("int8", 5.0, 38)])
def test_nano_answers_in_onnxruntime_as_here(tmp_path, validation, kind, most, same):
    pytest.importorskip("onnxscript", reason="pip install 'glyphsight[export]'")
    import onnxruntime

    export("nano-digits", "onnx", tmp_path / "out", kind)
    file = tmp_path / "out" / "model.onnx"
    assert file.stat().st_size < most * 10**6
    session = onnxruntime.InferenceSession(str(file))
    record = RunRecord.load(SHIPPED_RUNS["nano-digits"])
    tokenizer = model_tokenizer("nano-digits")
    loaded = load_model("nano-digits", dtype="float32")
    agree = 0
    for text in encode_batch(validation.pixels[:40], record.profile):
        ids = tokenizer(record.prompt.ask(text), return_tensors="pt")["input_ids"]
        [logits] = session.run(None, {"input_ids": ids.numpy()})
        with torch.inference_mode():
            expected = loaded.model(input_ids=ids).logits[0, -1]
        agree += int(logits[0, -1].argmax()) == int(expected.argmax())
        if kind == "f32":
            np.testing.assert_allclose(logits[0, -1], expected.numpy(), atol=1e-3)
    assert agree >= same
