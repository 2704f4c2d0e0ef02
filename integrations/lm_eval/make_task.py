"""Write a task of lm-evaluation-harness that asks a model what ``glyphsight evaluate`` asks it.

    python integrations/lm_eval/make_task.py DATASET TASK.yaml --model RUN
    lm_eval --model hf --model_args pretrained=RUN --tasks NAME --include_path DIRECTORY_OF_TASK

DATASET is a directory that ``glyphsight dataset build`` wrote, of any layout but ``chat``. The task
reads its files where they lie. Prompt and choices are those of the RUN, so that both programs cut
the same text into the same tokens; where they would not, this says so and writes nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from glyphsight.dataset import Prompt
from glyphsight.dataset.storage import read_info, read_records, read_values, split_files
from glyphsight.errors import DatasetError, GlyphsightError, ModelError
from glyphsight.files import replacing
from glyphsight.inference.score import Completions
from glyphsight.inference.tokenize import completion_ids, prompt_ids
from glyphsight.models import RunRecord, load_model

_LOADERS = {".json": "json", ".jsonl": "json", ".parquet": "parquet"}


def _template(text: str) -> str:
    """Text as Jinja gives it back unchanged."""
    return f"{{{{ {json.dumps(text, ensure_ascii=False)} }}}}" if "{" in text else text


def _asking(keys: set[str], wordings: tuple[Prompt, ...], prompt: Prompt) -> dict[str, str]:
    """``doc_to_text`` and ``doc_to_target`` for rows with these keys.

    Raises:
        DatasetError: The rows do not hold the words that the model is to be asked in.
    """
    if {"prompt", "completion"} <= keys and wordings == (prompt,):
        return {"doc_to_text": "prompt", "doc_to_target": "completion"}
    if {"ASCII_image", "Response"} <= keys:
        around = [_template(part) for part in prompt.ask("\0").split("\0")]
        said = [_template(part) for part in prompt.reply("\0").split("\0")]
        target = "{{Response}}".join(said) if any(said) else "Response"
        return {"doc_to_text": "{{ASCII_image}}".join(around), "doc_to_target": target}
    raise DatasetError(
        "its rows have no ASCII_image and are not in the words the model was trained with; "
        "build it with --output parquet"
    )


def check_cut(tokenizer: Any, prompt: Prompt, labels: list[str], asked: list[str]) -> bool:
    """Check that lm-evaluation-harness cuts prompts and completions as glyphsight does.

    It cuts both together and takes what is left of the prompt's own tokens for the completion,
    white space at the prompt's end being the completion's.

    Returns:
        Whether there is such white space: each log-likelihood of a record then holds that of the
        white space besides, the same for every label.

    Raises:
        ModelError: It does not; the figures would differ.
    """
    texts = [prompt.reply(label) for label in labels]
    ours = completion_ids(tokenizer, texts, end=False)
    completions = Completions.of(tokenizer, [prompt.reply(label) for label in labels])
    if [len(completions.shared) + len(rest) for rest in completions.rests] != [*map(len, ours)]:
        raise ModelError("one label starts with another, which glyphsight tells apart by their end")
    for context in asked:
        [known] = prompt_ids(tokenizer, [context])
        before = tokenizer.encode(context.rstrip())
        for text, ids in zip(texts, ours, strict=True):
            if known[: len(before)] != before or tokenizer.encode(context + text) != known + ids:
                raise ModelError(f"the answer {text!r} is cut together with the prompt's end")
    return any(context != context.rstrip() for context in asked)


def make_task(dataset: Path, model: str, name: str, split: str) -> dict[str, Any]:
    """The settings of a task.

    Args:
        dataset: A directory that ``glyphsight dataset build`` wrote.
        model: What ``glyphsight evaluate --model`` takes.
        name: Of the task.
        split: Which split it asks.

    Raises:
        DatasetError: The dataset cannot be read or does not suit the model.
        ModelError: The model cannot be loaded, or its figures would differ.
    """
    loaded = load_model(model)
    run = loaded.run or RunRecord(model)
    if loaded.chat is not None:
        raise ModelError(f"{model}: is asked in a chat, which a task does not write; use evaluate")
    [files] = split_files(dataset, split).values()
    loader = _LOADERS.get(files[0].suffix)
    if loader is None:
        raise DatasetError(f"{files[0]}: no JSON or Parquet; build it with --output parquet")
    info = read_info(dataset)
    records = [record for file in files for record in read_records(file, info)]
    if not records:
        raise DatasetError(f"{dataset}: split {split} holds no record")
    labels = sorted({*run.labels, *(record.answer for record in records)})
    keys = {key for value in itertools.islice(read_values(files[0]), 1) for key in value}
    try:
        asking = _asking(keys, info.wordings, run.prompt)
    except DatasetError as error:
        raise DatasetError(f"{files[0]}: {error}") from None
    first = {record.answer: record for record in reversed(records)}
    asked = [run.prompt.ask(record.picture, record.question) for record in first.values()]
    if check_cut(loaded.tokenizer, run.prompt, labels, asked):
        print(
            "the prompt ends in white space: log-likelihoods hold it besides, accuracy is the same"
        )
    return {
        "task": name,
        "dataset_path": loader,
        "dataset_kwargs": {"data_files": {split: [str(file.resolve()) for file in files]}},
        "test_split": split,
        "output_type": "multiple_choice",
        **asking,
        "doc_to_choice": [run.prompt.reply(label) for label in labels],
        "target_delimiter": "",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": 1.0},
    }


def main(arguments: list[str] | None = None) -> None:
    """Write the task; what is wrong ends in one line on standard error and exit status 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path, help="directory that glyphsight dataset build wrote")
    parser.add_argument("task", type=Path, help="YAML file to write; its name is the task's")
    parser.add_argument("--model", default="nano-digits", help="as glyphsight evaluate takes it")
    parser.add_argument("--split", default="test")
    given = parser.parse_args(arguments)
    try:
        task = make_task(given.dataset, given.model, given.task.stem, given.split)
    except GlyphsightError as error:
        sys.exit(f"make_task.py: {error}")
    with replacing(given.task) as stream:
        yaml.safe_dump(task, stream, allow_unicode=True, sort_keys=False)
    print(f"{given.task}: task {given.task.stem} of {len(task['doc_to_choice'])} choices")


if __name__ == "__main__":
    main()
