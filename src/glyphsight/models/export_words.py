"""Write the words of a run for other programs: Ollama's Modelfile, the lines that serve it."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from glyphsight.models.chat import end_tokens
from glyphsight.models.runs import RunRecord

MODELFILE = "Modelfile"
_PICTURE = "\x00"  # no text holds it
_OPEN = 64  # tokens of an answer that may be any text
_WINDOW = 2048  # tokens; a picture and its answer take some tens


def template(record: RunRecord, picture: str) -> str:
    """Return the prompt that a run was trained with, and ``picture`` in the picture's place."""
    text = record.prompt.ask(f"{_PICTURE}\n", record.tasks[0].question)
    prompt = record.chat.around(text) if record.chat else text
    return prompt.replace(f"{_PICTURE}\n", picture)  # the text of a picture ends its last line


def answer_tokens(record: RunRecord, tokenizer: Any) -> int:
    """Count the tokens of the longest answer and the end after it."""
    replies = [record.prompt.reply(label) for label in record.labels]
    ids = tokenizer(replies, add_special_tokens=False)["input_ids"] if replies else []
    return max(map(len, ids)) + 1 if ids else _OPEN


def modelfile(record: RunRecord, tokenizer: Any, weights: str) -> str:
    """Write Ollama's Modelfile: the prompt of ``/api/generate`` is the text of a picture."""
    own = template(record, _PICTURE).replace("{{", '{{"{{"}}').replace(_PICTURE, "{{ .Prompt }}")
    lines = [
        f"FROM ./{weights}",
        f'TEMPLATE """{own}"""',
        "PARAMETER temperature 0",
        f"PARAMETER num_ctx {_WINDOW}",
        f"PARAMETER num_predict {answer_tokens(record, tokenizer)}",
        *(
            f"PARAMETER stop {json.dumps(tokenizer.decode(end))}"
            for end in end_tokens(tokenizer, record.chat)
        ),
    ]
    return "\n".join(lines) + "\n"


def write_words(out: Path, name: str, form: str, record: RunRecord, tokenizer: Any) -> None:
    """Write ``README.md``, and for a GGUF the ``Modelfile``."""
    from jinja2 import Template

    text = (files("glyphsight") / "assets" / "export.md.j2").read_text("utf-8")
    page = Template(text, keep_trailing_newline=True, trim_blocks=True).render(
        name=name,
        model=Path(name).stem.lower(),
        form=form,
        adapters=[one.name for one in sorted(out.glob("*-lora.gguf"))],
        prompt=json.dumps(template(record, "{picture}"), ensure_ascii=False),
        labels=[record.prompt.reply(label) for label in record.labels],
        tokens=answer_tokens(record, tokenizer),
        profile=vars(record.profile),
        base=record.base,
        server=f"llama-server --model {name} --ctx-size {_WINDOW} --temp 0",
    )
    (out / "README.md").write_text(page, encoding="utf-8")
    if form == "gguf":
        (out / MODELFILE).write_text(modelfile(record, tokenizer, name), encoding="utf-8")
