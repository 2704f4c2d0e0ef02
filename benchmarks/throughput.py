"""Pictures a second of asking a language model, against what one would write by hand.

    pip install -e '.[train]'
    python benchmarks/throughput.py                                 # SmolLM2 and nano
    python benchmarks/throughput.py --model nano-digits --pictures 2000

Every way answers the same bundled digits and is timed in turn, so that a busy machine slows all
alike; the table has medians over the repeats, and the median of the ratios to the loop. Models are
loaded and have answered once before the clock starts. The ways:

- loop: a picture at a time, ``model(**inputs)``, logits of all positions, ``log_softmax``, in the
  weights' own type, as ``from_pretrained`` loads them;
- pipeline: ``transformers.pipeline`` in batches, writes the answer freely;
- generate: ``model.generate`` in padded batches, likewise;
- unshared: ``Model.score`` with torch, without beginnings shared;
- torch: ``Model.score`` with torch, as ``glyphsight evaluate`` asks;
- numpy: ``Model.score`` with numpy, as ``glyphsight see`` asks a few pictures; runs alone;
- fast: ``Model.score`` with int8 weights in onnxruntime, as ``glyphsight see`` asks many pictures;
- N workers: the same in N processes of one thread each.

``--cold`` times whole processes of ``glyphsight see`` on one picture instead, with numpy and with
torch in turn.

``--cpu`` counts CPU seconds of one thread, which other jobs of a busy machine hardly change.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import torch
from PIL import Image

from glyphsight.codec import Profile, encode_batch
from glyphsight.dataset import Prompt
from glyphsight.errors import ModelError
from glyphsight.extras import MissingPackageError
from glyphsight.inference import Model, Request
from glyphsight.inference.score import Completions
from glyphsight.inference.tokenize import prompt_ids
from glyphsight.models import load_model
from glyphsight.models.runs import resolve
from glyphsight.sources import load_split, open_source

LABELS = [str(digit) for digit in range(10)]
PROMPT = Prompt()
BATCH = 64


def loop(model: Any, tokenizer: Any, prompts: list[str]) -> list[str]:
    """A picture at a time; all labels are one token after what they share."""
    completions = Completions.of(tokenizer, list(map(PROMPT.reply, LABELS)))
    tokens = [rest[0] for rest in completions.rests]
    shared = tokenizer.decode(completions.shared)
    found = []
    for prompt in prompts:
        inputs = tokenizer(prompt + shared, return_tensors="pt")
        with torch.no_grad():
            logits = model(**inputs).logits
        chances = torch.log_softmax(logits[0, -1].float(), dim=-1)[tokens]
        found.append(LABELS[int(chances.argmax())])
    return found


def by_pipeline(model: Any, tokenizer: Any, new: int, prompts: list[str]) -> list[str]:
    """The library's own batching."""
    from transformers import pipeline

    tokenizer.padding_side = "left"
    ask = pipeline("text-generation", model=model, tokenizer=tokenizer)
    options = {"batch_size": BATCH, "max_new_tokens": new, "do_sample": False}
    said = ask(prompts, return_full_text=False, **options)
    return [one[0]["generated_text"].strip() for one in said]


def by_generate(model: Any, tokenizer: Any, new: int, prompts: list[str]) -> list[str]:
    """Padded batches by hand."""
    tokenizer.padding_side = "left"
    found = []
    for start in range(0, len(prompts), BATCH):
        inputs = tokenizer(prompts[start : start + BATCH], return_tensors="pt", padding=True)
        with torch.no_grad():
            written = model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=new,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id,
            )
        rest = written[:, inputs["input_ids"].shape[1] :]
        found += [text.strip() for text in tokenizer.batch_decode(rest, skip_special_tokens=True)]
    return found


def by_labels(model: Model, share: bool, prompts: list[str]) -> list[str]:
    """Ours."""
    replies = tuple(map(PROMPT.reply, LABELS))
    asked = [Request(text, replies) for text in prompts]
    return [LABELS[one.argmax()] for one in model.score(asked, batch_size=BATCH, share=share)]


_held: list[Model] = []  # of a worker


def _start(name: str, dtype: str, ready: Any, prompt: str) -> None:
    torch.set_num_threads(1)
    _held.append(Model.load(name, "torch", dtype))
    by_labels(_held[0], True, [prompt] * 2)
    ready.wait()


def _work(prompts: list[str]) -> list[str]:
    return by_labels(_held[0], True, prompts)


def by_workers(pool: Any, workers: int, prompts: list[str]) -> list[str]:
    """Ours, in processes."""
    share = -(-len(prompts) // workers)
    chunks = [prompts[start : start + share] for start in range(0, len(prompts), share)]
    return [answer for some in pool.map(_work, chunks, chunksize=1) for answer in some]


def measure(name: str, form: str, count: int, repeats: int, workers: int, cpu: bool) -> None:
    """The table of one model and format; without workers where they are 0."""
    clock = time.process_time if cpu else time.perf_counter
    pixels = load_split(open_source("bundled"), "validation").pixels[:count]
    run = resolve(name).run
    profile = Profile(format=form) if run is None else run.profile
    prompts = [PROMPT.ask(text) for text in encode_batch(pixels, profile)]
    loaded = Model.load(name, "torch")
    tokens = [len(ids) for ids in prompt_ids(loaded.tokenizer, prompts)]
    dtype = loaded.dtype
    plain = load_model(name, dtype=dtype)
    new = len(Completions.of(plain.tokenizer, list(map(PROMPT.reply, LABELS))).shared) + 1
    ways: dict[str, Callable[[list[str]], list[str]]] = {
        "loop": partial(loop, plain.model, plain.tokenizer),
        "pipeline": partial(by_pipeline, plain.model, plain.tokenizer, new),
        "generate": partial(by_generate, plain.model, plain.tokenizer, new),
        "unshared": partial(by_labels, loaded, False),
        "torch": partial(by_labels, loaded, True),
    }
    with suppress(ModelError, MissingPackageError):  # a base model; no onnxruntime
        ways["numpy"] = partial(by_labels, Model.load(name, "numpy"), True)
        ways["fast"] = partial(by_labels, Model.load(name, "fast"), True)
    with ExitStack() as stack:
        if workers:
            context = multiprocessing.get_context("spawn")
            ready = context.Barrier(workers + 1)
            started = context.Pool(workers, _start, (name, dtype, ready, prompts[0]))
            pool = stack.enter_context(started)
            ready.wait()
            ways[f"{workers} workers"] = partial(by_workers, pool, workers)
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        answers: dict[str, list[str]] = {}
        for answer in ways.values():
            answer(prompts[:2])
        for _ in range(repeats):
            for way, answer in ways.items():
                start = clock()
                answers[way] = answer(prompts)
                seconds[way].append(clock() - start)
    print(
        f"\n{name} in {dtype}, {profile.format}, {statistics.mean(tokens):.0f} tokens a prompt "
        f"({min(tokens)}-{max(tokens)}), {count} pictures, {torch.get_num_threads()} threads"
        f"{', CPU time' if cpu else ''}\n\n"
        "| way | pictures/s | of the loop | same answers as the loop |\n|---|---|---|---|"
    )
    for way, took in seconds.items():
        ratios = [base / own for base, own in zip(seconds["loop"], took, strict=True)]
        same = sum(a == b for a, b in zip(answers["loop"], answers[way], strict=True))
        rate = count / statistics.median(took)
        print(f"| {way} | {rate:.1f} | {statistics.median(ratios):.2f} | {same} |", flush=True)


def cold(name: str, repeats: int) -> None:
    """Print what a whole process takes to answer one picture."""
    code = "from glyphsight import load; print(load({!r}, {!r}).see([{!r}])[0].label)"
    with tempfile.TemporaryDirectory() as folder:
        picture = f"{folder}/digit.png"
        pixels = load_split(open_source("bundled"), "validation").pixels[0]
        Image.fromarray(pixels).save(picture)
        commands = {
            "glyphsight see": ["-m", "glyphsight", "see", picture, "--model", name],
            "numpy": ["-c", code.format(name, "numpy", picture)],
            "torch": ["-c", code.format(name, "torch", picture)],
        }
        took: dict[str, list[tuple[float, float]]] = {way: [] for way in commands}
        for _ in range(repeats + 1):  # the first one fills caches
            for way, command in commands.items():
                start, before = time.perf_counter(), os.times()
                subprocess.run([sys.executable, *command], check=True, capture_output=True)
                after = os.times()
                busy = after.children_user + after.children_system
                busy -= before.children_user + before.children_system
                took[way].append((time.perf_counter() - start, busy))
    print(f"\n{name}, one picture, whole process\n\n| way | seconds | CPU seconds |\n|---|---|---|")
    for way, found in took.items():
        wall, busy = (statistics.median(column) for column in zip(*found[1:], strict=True))
        print(f"| {way} | {wall:.2f} | {busy:.2f} |", flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", nargs="+", default=["smollm2-135m", "nano-digits"])
    parser.add_argument("--cold", action="store_true", help="whole processes, one picture")
    parser.add_argument("--format", nargs="+", default=["seed", "trim", "plain"])
    parser.add_argument("--pictures", type=int, help="default 48; of nano-digits 1000")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cpu", action="store_true", help="CPU seconds of one thread")
    given = parser.parse_args()
    if given.cpu:
        torch.set_num_threads(1)
        given.workers = 0
    for model in given.model:
        if given.cold:
            cold(model, given.repeats)
            continue
        for form in given.format if model != "nano-digits" else ["seed"]:
            count = given.pictures or (1000 if model == "nano-digits" else 48)
            measure(model, form, count, given.repeats, given.workers, given.cpu)


if __name__ == "__main__":
    main()
