"""Prompts and completions to token ids, alike in training and scoring; a tokenizer for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glyphsight.errors import ModelError
from glyphsight.extras import need
from glyphsight.models.chat import Turns
from glyphsight.models.tokens import load_tokenizer


def prompt_ids(
    tokenizer: Any, prompts: Sequence[str], turns: Turns | None = None
) -> list[list[int]]:
    """Tokenize prompts: as system and user of a chat where there are turns, else as plain text.

    A plain prompt gets the tokenizer's own opening token where there is one; a chat template
    writes that token itself.
    """
    if not prompts:
        return []
    ids: list[list[int]]
    if turns is not None:
        texts = [turns.around(prompt) for prompt in prompts]
        ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
        return ids
    ids = tokenizer(list(prompts), add_special_tokens=True)["input_ids"]
    end = tokenizer.eos_token_id
    opening = tokenizer.bos_token_id
    return [own[:-1] if own and own[-1] == end != opening else own for own in ids]


def completion_ids(
    tokenizer: Any, completions: Sequence[str], turns: Turns | None = None, *, end: bool = True
) -> list[list[int]]:
    """Tokenize completions, each closed with its end token unless ``end`` is off.

    The end token is the one that ends an assistant's turn where there are turns, else the
    end-of-sequence token. A completion is tokenized on its own, never together with its prompt, so
    the border between the two is the same as in inference. A chat turn stands alone and goes
    without the space that sets a completion off from a plain prompt.

    Raises:
        ModelError: The end token is wanted and the tokenizer has none.
    """
    if not completions:
        return []
    texts = [text.removeprefix(" ") for text in completions] if turns else list(completions)
    last = tokenizer.eos_token_id if turns is None else turns.end
    if end and last is None:
        raise ModelError(
            "the model's tokenizer has no token that ends an answer; name one as eos_token in its "
            "tokenizer_config.json"
        )
    ids: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return [[*own, last] if end else own for own in ids]


def text_ids(tokenizer: Any, text: str) -> tuple[list[int], list[int]]:
    """Return the tokens that a tokenizer opens a text with, often none, and those of the text."""
    [opening] = prompt_ids(tokenizer, [""])
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return opening, ids


class SmallTokenizer:
    """The tokenizer in a directory, called as one of transformers is.

    Raises:
        ValueError: ``tokenizer.json`` or ``tokenizer_config.json`` is damaged.
        OSError: A file cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        try:
            self._own = self.backend_tokenizer = load_tokenizer(directory)
        except ModelError as error:
            raise ValueError(str(error)) from error
        config = json.loads((directory / "tokenizer_config.json").read_text(encoding="utf-8"))
        named = {name: one for name, one in config.items() if one and name.endswith("_token")}
        self._named = {
            name: one["content"] if isinstance(one, dict) else one for name, one in named.items()
        }
        self.eos_token_id, self.bos_token_id = self._id("eos_token"), self._id("bos_token")
        file = directory / "chat_template.jinja"
        own = file.read_text(encoding="utf-8") if file.is_file() else config.get("chat_template")
        self.chat_template = own if isinstance(own, str) else None  # else one of several

    def _id(self, name: str) -> int | None:
        found: int | None = self._own.token_to_id(self._named.get(name, ""))
        return found

    @property
    def all_special_ids(self) -> list[int]:
        """Tokens that are no text."""
        return [at for at, one in self._own.get_added_tokens_decoder().items() if one.special]

    def __call__(self, texts: str | Sequence[str], *, add_special_tokens: bool) -> dict[str, Any]:
        """Tokenize a text or a list of texts."""
        many = [texts] if isinstance(texts, str) else list(texts)
        found = self._own.encode_batch(many, add_special_tokens=add_special_tokens)
        ids = [one.ids for one in found]
        return {"input_ids": ids[0] if isinstance(texts, str) else ids}

    def apply_chat_template(self, messages: Sequence[dict[str, str]], **told: Any) -> str:
        """Fill the chat template, in a sandbox as transformers does."""
        with need("serve", "jinja2"):
            from jinja2 import TemplateError
            from jinja2.sandbox import ImmutableSandboxedEnvironment

        def refuse(why: str) -> None:
            raise TemplateError(why)

        place = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        place.globals["raise_exception"] = refuse
        template = place.from_string(self.chat_template or "")
        return template.render(messages=messages, **self._named, **told)

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        """Return the text of token ids."""
        return str(self._own.decode(list(ids), skip_special_tokens=skip_special_tokens))
