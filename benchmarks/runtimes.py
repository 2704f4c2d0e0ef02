"""Compare the answers and tokens of an exported run in llama.cpp with ours.

    pip install '.[train,export]'
    python benchmarks/runtimes.py sight --work runtimes               # answers to 500 test digits
    python benchmarks/runtimes.py sight --work runtimes --texts 1000  # tokens alone

Each answer is what a model writes, at temperature 0, after the prompt of a test digit; ours are
those of the run itself in float32. Answers are kept in --work, so that the same command resumes.
"""

from __future__ import annotations

import argparse
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import xllamacpp
from tokenizers import Tokenizer

from glyphsight.codec import Profile, encode_batch
from glyphsight.codec.formats import FORMATS
from glyphsight.files import JsonLog
from glyphsight.inference import Model, Request
from glyphsight.models.export import export
from glyphsight.models.export_gguf import TYPES
from glyphsight.models.export_words import answer_tokens
from glyphsight.models.load import model_tokenizer
from glyphsight.models.runs import resolve
from glyphsight.parallel import threads
from glyphsight.sources import load_split, open_source

Ask = Callable[[str, dict[str, Any]], Any]


@contextmanager
def llama(model: Path) -> Iterator[Ask]:
    """Serve a GGUF with llama.cpp's server; yield a function that posts JSON to a path."""
    given = xllamacpp.CommonParams()
    given.model.path = str(model)
    given.hostnames, given.port, given.warmup = ["127.0.0.1"], 0, False
    given.n_ctx, given.n_parallel, given.use_jinja = 2048, 1, True
    given.verbosity = -1  # its log would have a hundred lines a prompt
    given.cpuparams.n_threads = given.cpuparams_batch.n_threads = threads()
    server = xllamacpp.Server(given)
    address = server.listening_address

    def ask(path: str, value: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            address + path,
            json.dumps(value).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)

    yield ask
    del server  # which ends it: it lives as long as its object


def texts(count: int) -> list[str]:
    """Return texts of all kinds: pictures in every format, prose, code, odd characters."""
    prose = (files("glyphsight") / "assets" / "plain-english.txt").read_text("utf-8")
    pieces = [piece for piece in prose.split("\n") if piece][: count // 4]
    odd = [
        "   1  23\t45",
        "naïve café 한국어 日本 🙂",
        "a\r\n\n\n b",
        "x = [1]  # ok\n",
        "<|im_end|>",
    ]
    found = odd + pieces
    pixels = load_split(open_source("bundled"), "validation").pixels[: count - len(found)]
    for number, part in enumerate(np.array_split(pixels, len(FORMATS.own))):
        form = list(FORMATS.own)[number]
        palette = " █" if form in ("half", "quadrant", "braille") else " ▓█"
        profile = Profile(format=form, palette=palette, width=12 + number)
        found += encode_batch(part, profile) if len(part) else []
    return found


def compare_tokens(run: str, file: Path, count: int) -> tuple[int, int, int]:
    """Count the texts, those with the same tokens, and those with the same chat."""
    tokenizer = model_tokenizer(resolve(run).origin)
    backend: Tokenizer = tokenizer.backend_tokenizer
    same = chats = 0
    every = texts(count)
    with llama(file) as ask:
        for text in every:
            said = ask("/tokenize", {"content": text, "add_special": True, "parse_special": True})
            same += said["tokens"] == backend.encode(text).ids
            messages = [{"role": "user", "content": text}]
            ours = tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
            chats += ask("/apply-template", {"messages": messages})["prompt"] == ours
    return len(every), same, chats


def answer(log: JsonLog, prompts: list[str], say: Callable[[list[str]], list[str]]) -> list[str]:
    """Answer the prompts that a log lacks, 64 at a time; return all answers."""
    for start in range(log.count, len(prompts), 64):
        begun = time.process_time()
        said = say(prompts[start : start + 64])
        seconds = (time.process_time() - begun) / len(said)
        log.append([{"said": one, "seconds": seconds} for one in said])
    return list(log)[: len(prompts)]


def main() -> None:
    """Print the tokens that agree, or the answers of each type of weights."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", help="run to export")
    parser.add_argument("--work", type=Path, default=Path("runtimes"), help="folder of all files")
    parser.add_argument("--digits", type=int, default=500, help="test digits")
    parser.add_argument("--types", nargs="+", default=TYPES, choices=TYPES, metavar="TYPE")
    parser.add_argument("--texts", type=int, default=0, help="compare the tokens of texts instead")
    options = parser.parse_args()
    for kind in options.types:
        if not (options.work / kind).exists():
            export(options.run, "gguf", options.work / kind, kind)
    found = {kind: next((options.work / kind).glob(f"*-{kind}.gguf")) for kind in options.types}
    if options.texts:
        total, same, chats = compare_tokens(options.run, found[options.types[0]], options.texts)
        print(f"{same} of {total} texts have the same tokens, {chats} the same chat")
        return
    model = Model.load(options.run, engine="numpy")
    record = model.trained
    split = load_split(open_source("bundled"), "test")
    pixels, labels = split.pixels[: options.digits], split.labels[: options.digits]
    prompts = list(map(record.prompt.ask, encode_batch(pixels, record.profile)))
    replies = tuple(map(record.prompt.reply, record.labels))
    most = answer_tokens(record, model_tokenizer(resolve(options.run).origin)) - 1

    def ours(some: list[str]) -> list[str]:
        return model.generate([Request(one, replies) for one in some])

    settings = {"run": options.run, "digits": "bundled test"}
    with JsonLog(options.work / "ours.jsonl", settings) as log:
        right = answer(log, prompts, ours)
    print(f"| {'weights':9} | MB    | right of {len(prompts)} | as ours | per second of CPU |")
    print("|---|---|---|---|---|")
    reading = record.prompt.read_reply
    told = [reading(one["said"]) for one in right]
    rows = [("ours, f32", 0.0, right)]
    for kind, file in found.items():
        with llama(file) as ask, JsonLog(options.work / f"{kind}.jsonl", settings) as log:
            given = {"n_predict": most, "temperature": 0, "cache_prompt": False}
            said = answer(
                log,
                prompts,
                lambda some, ask=ask, given=given: [
                    ask("/completion", {"prompt": str(one), **given})["content"] for one in some
                ],
            )
        rows.append((kind, file.stat().st_size / 10**6, said))
    for name, size, said in rows:
        read = [reading(one["said"]) for one in said]
        good = sum(one == label for one, label in zip(read, labels, strict=True))
        same = sum(one == other for one, other in zip(read, told, strict=True))
        rate = len(said) / sum(one["seconds"] for one in said)
        print(f"| {name:9} | {size:5.0f} | {good} | {100 * same / len(read):.1f} % | {rate:.1f} |")


if __name__ == "__main__":
    main()
