"""What is written is what TRL trains on: no row dropped, no completion cut."""

import math

import pytest

from glyphsight.dataset import Prompt, load_dataset
from glyphsight.dataset.layouts import get_output, join
from glyphsight.models import load_model
from pages import blocks

datasets = pytest.importorskip("datasets")
trl = pytest.importorskip("trl")

WORDINGS = [Prompt(), Prompt("Which digit is this?\n{ASCII_image}", "It is {Response}.", "Look.")]
CHAT = (  # nano has no chat template of its own
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def write(directory, name, records):
    """Records in two pieces, as a build writes them; the files."""
    output = get_output(name)
    half = len(records) // 2
    pieces = [directory / f"{number}{output.suffix}" for number in range(2)]
    for number, piece in enumerate(pieces):
        with piece.open("wb") as stream:
            part = records[number * half : None if number else half]
            output.write(part, stream, WORDINGS, number * half)
    if output.sharded:
        return pieces
    file = directory / "train.jsonl"
    with file.open("wb") as stream:
        join(output, pieces, stream)
    return [file]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["jsonl", "chat", "hub"])
def test_sfttrainer_learns_every_row_with_its_whole_completion(digits, tmp_path, name):
    records = load_dataset(digits)
    files = write(tmp_path, name, records)
    data = datasets.load_dataset(
        "parquet" if name == "hub" else "json",
        data_files=[str(file) for file in files],
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    nano = load_model("nano", training=True)
    if name == "chat":
        nano.tokenizer.chat_template = CHAT
    config = trl.SFTConfig(
        output_dir=str(tmp_path / "out"),
        max_steps=1,
        per_device_train_batch_size=8,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
        pad_token=nano.tokenizer.pad_token,
    )
    trainer = trl.SFTTrainer(
        model=nano.model, args=config, train_dataset=data, processing_class=nano.tokenizer
    )
    assert len(trainer.train_dataset) == len(records)
    for number, (record, row) in enumerate(zip(records, trainer.train_dataset, strict=True)):
        wording = WORDINGS[number % 2]
        text = nano.tokenizer.decode(row["input_ids"])
        end = nano.tokenizer.eos_token
        if name == "chat":
            messages = wording.messages(record)
            assert text == "".join(f"{m['role']}: {m['content']}{end}" for m in messages)
        else:
            asked, said = wording.pair(record)
            assert text == f"{asked}{said}{end}"
            learnt = [token for token in row["labels"] if token != -100]
            assert nano.tokenizer.decode(learnt) == f"{said}{end}"
    result = trainer.train()
    assert result.global_step == 1
    assert math.isfinite(result.training_loss)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_the_code_of_the_page_makes_a_trainer(digits, tmp_path, monkeypatch):
    """That of docs/datasets.md, a small model in place of the hub's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    write(tmp_path / "digits", "jsonl", load_dataset(digits))
    [code] = [one for one in blocks("docs/datasets.md", "python") if "SFTTrainer(" in one]
    hub = "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert code.count(hub) == 1
    known = {"load_dataset": datasets.load_dataset}
    nano = load_model("nano", training=True)
    nano.model.save_pretrained(tmp_path / "nano")
    nano.tokenizer.save_pretrained(tmp_path / "nano")
    code = code.replace(hub, str(tmp_path / "nano"))
    exec(code.replace("max_length=None", "max_length=None, use_cpu=True"), known)
    assert len(known["trainer"].train_dataset) == len(load_dataset(digits))
