"""What a request to the embedded model asks for, read from the JSON of each API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from glyphsight.inference.stream import Writing
from glyphsight.serve.errors import ApiError

Message = dict[str, str]

_MOST_CHOICES, _MOST_TOP, _MOST_STOPS = 16, 20, 16
_ROLES = {"developer": "system", "system": "system", "user": "user", "assistant": "assistant"}
_TEXTS = ("text", "input_text", "output_text")
_UNBOUND = 1 << 30  # tokens: as many as the window holds


@dataclass(frozen=True)
class Asked:
    """A request, whatever its API."""

    texts: tuple[str, ...]  # texts to write on after, each as it is; empty for a conversation
    messages: tuple[Message, ...]  # messages with ``role`` and ``content``, oldest first
    writing: Writing  # settings of what is written
    count: int = 1  # replies wanted for each text or conversation
    streamed: bool = False  # True where the reply is sent as it is written
    logprobs: bool = False  # True where the log-probabilities of tokens are told
    usage: bool = True  # True where a stream tells the number of tokens at its end
    repeated: Mapping[str, Any] = field(default_factory=dict)  # values that the reply repeats


def read_asked(path: str, body: Mapping[str, Any]) -> Asked:
    """Read a request; raise ApiError for a value that cannot be, or that no model here honours."""
    asked = _READERS[path](Fields(body))
    texts = (*asked.texts, *(one["content"] for one in asked.messages), *asked.writing.stop)
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        said = "a text holds half a character (a lone surrogate); send whole ones"
        raise ApiError(400, said, code="invalid_value") from None
    return asked


class Fields:
    """The values of an object; each is taken once, and what is left at the end is refused."""

    def __init__(self, values: Any, place: str = "") -> None:
        if not isinstance(values, Mapping):
            raise wrong(place.rstrip("."), "an object")
        self._left = {name: one for name, one in values.items() if one is not None}
        self._place = place

    def take(self, name: str, kind: type | tuple[type, ...], default: Any, what: str) -> Any:
        """Take a value of a type, the default where there is none."""
        value = self._left.pop(name, default)
        fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        if value is not default and not fits:
            raise wrong(f"{self._place}{name}", what)
        return value

    def number(self, name: str, low: float, high: float, default: Any = None) -> Any:
        """Take a number from ``low`` to ``high``."""
        whole = isinstance(low, int)
        what = f"{'a whole' if whole else 'a'} number from {low:g} to {high:g}"
        value = self.take(name, int if whole else (int, float), default, what)
        if value is not default and not low <= value <= high:
            raise wrong(f"{self._place}{name}", what)
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """Take true or false."""
        return bool(self.take(name, bool, default, "true or false"))

    def inner(self, name: str) -> Fields:
        """Take an object."""
        return Fields(self._left.pop(name, {}), f"{self._place}{name}.")

    def stops(self) -> tuple[str, ...]:
        """Take the texts that end a reply."""
        what = f"a text or up to {_MOST_STOPS} of them, none empty"
        value = self.take("stop", (str, list), [], what)
        several = [value] if isinstance(value, str) else value
        if len(several) > _MOST_STOPS or not all(isinstance(s, str) and s for s in several):
            raise wrong(f"{self._place}stop", what)
        return tuple(several)

    def ignore(self, *names: str) -> None:
        """Drop values that change nothing of a reply, such as who asks."""
        for name in names:
            self._left.pop(name, None)

    def only(self, **allowed: tuple[Any, ...]) -> None:
        """Drop values that ask for what is done anyway, such as no tools."""
        for name, values in allowed.items():
            if any(self._left.get(name) == value for value in values):
                del self._left[name]

    def end(self) -> None:
        """Raise ApiError where something is left."""
        if self._left:
            names = [f"{self._place}{name}"[:80] for name in self._left]
            raise ApiError(
                400,
                f"the embedded model cannot honour {', '.join(names)}; leave it out, or start the "
                "server with --upstream in front of one that can",
                code="unsupported_parameter",
                param=names[0],
            )


def wrong(place: str, what: str) -> ApiError:
    """Return the error for a value that must be another."""
    return ApiError(400, f"{place}: must be {what}", code="invalid_value", param=place)


def _writing(fields: Fields, most: int, count: int = 1, top: int = 0) -> Writing:
    """Read how tokens are chosen; the likeliest, unless a number asks for drawing."""
    top_p = fields.number("top_p", 0.0, 1.0)
    usual = 1.0 if count > 1 or top_p is not None else 0.0
    temperature = fields.number("temperature", 0.0, 2.0, usual)
    seed = fields.number("seed", -(2**63), 2**63 - 1)
    top_p = 1.0 if top_p is None else max(float(top_p), 1e-9)
    seed = None if seed is None else seed % 2**63
    return Writing(most, fields.stops(), float(temperature), top_p, seed, top)


def _content(content: Any, place: str) -> str:
    """Return the text of a message: parts on lines of their own."""
    if content is None or isinstance(content, str):
        return content or ""
    parts = content if isinstance(content, list) else [content]
    if not all(isinstance(one, dict) and isinstance(one.get("text"), str) for one in parts):
        raise wrong(place, "text, or a list of parts with text and pictures")
    for row, part in enumerate(parts):
        if part.get("type", "text") not in _TEXTS:
            raise wrong(f"{place}[{row}].type", f"one of {', '.join(_TEXTS)}")
    return "\n".join(part["text"].removesuffix("\n") for part in parts)


def _messages(values: Any, name: str) -> tuple[Message, ...]:
    if not isinstance(values, list) or not values:
        raise wrong(name, "a list of messages, at least one")
    found = []
    for row, value in enumerate(values):
        fields = Fields(value, f"{name}[{row}].")
        role = fields.take("role", str, "", "a role")
        if role not in _ROLES:
            raise wrong(f"{name}[{row}].role", f"one of {', '.join(_ROLES)}")
        content = _content(
            fields.take("content", (str, list), "", "text or parts"), f"{name}[{row}].content"
        )
        fields.ignore("name", "id", "status", "annotations")
        fields.only(
            type=("message",), images=([],), tool_calls=([],), refusal=("",), thinking=("",)
        )
        fields.end()
        found.append({"role": _ROLES[role], "content": content})
    return tuple(found)


_CALLERS = (
    "model", "user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
    "parallel_tool_calls",
)  # fmt: skip
_NONE: dict[str, tuple[Any, ...]] = {
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "store": (False,),
    "service_tier": ("auto", "default"),
    "reasoning_effort": ("none",),
    "verbosity": ("medium",),
}


def _chat(fields: Fields) -> Asked:
    messages = _messages(fields.take("messages", list, None, "a list of messages"), "messages")
    most = fields.number("max_tokens", 1, _UNBOUND)
    most = fields.number("max_completion_tokens", 1, _UNBOUND, most)
    count = fields.number("n", 1, _MOST_CHOICES, 1)
    logprobs = fields.flag("logprobs")
    top = fields.number("top_logprobs", 0, _MOST_TOP, 0)
    if top and not logprobs:
        raise wrong("top_logprobs", "left out, or logprobs true")
    return _done(fields, (), messages, most or _UNBOUND, count, (logprobs, top))


def _done(
    fields: Fields,
    texts: tuple[str, ...],
    messages: tuple[Message, ...],
    most: int,
    count: int,
    told: tuple[bool, int],
) -> Asked:
    """Read the rest of a request of OpenAI's first two APIs."""
    streamed, options = fields.flag("stream"), fields.inner("stream_options")
    usage = options.flag("include_usage")
    options.ignore("include_obfuscation")
    options.end()
    writing = _writing(fields, most, count, told[1])
    fields.ignore(*_CALLERS)
    fields.only(**_NONE)
    fields.end()
    return Asked(texts, messages, writing, count, streamed, told[0], usage)


def _completions(fields: Fields) -> Asked:
    what = "a text or a list of texts"
    prompt = fields.take("prompt", (str, list), "", what)
    texts = [prompt] if isinstance(prompt, str) else prompt
    if not texts or not all(isinstance(text, str) for text in texts):
        raise wrong("prompt", what)
    count = fields.number("n", 1, _MOST_CHOICES, 1)
    if len(texts) * count > _MOST_CHOICES:
        raise wrong("prompt", f"so few texts that no more than {_MOST_CHOICES} are written")
    top = fields.number("logprobs", 0, _MOST_TOP)
    fields.only(echo=(False,), suffix=("",), best_of=(count,), images=([],))
    most = fields.number("max_tokens", 1, _UNBOUND, 16)
    return _done(fields, tuple(texts), (), most, count, (top is not None, top or 0))


def _responses(fields: Fields) -> Asked:
    told = fields.take("instructions", str, "", "a text")
    given = fields.take("input", (str, list), "", "a text or a list of messages")
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    messages = _messages(given, "input")
    if told:
        messages = ({"role": "system", "content": told}, *messages)
    most = fields.number("max_output_tokens", 1, _UNBOUND)
    repeated = {
        "instructions": told or None,
        "max_output_tokens": most,
        "metadata": fields.take("metadata", dict, {}, "an object"),
    }
    top = fields.number("top_logprobs", 0, _MOST_TOP, 0)
    include = fields.take("include", list, [], "a list")
    logprobs = bool(top) or "message.output_text.logprobs" in include
    if set(map(str, include)) - {"message.output_text.logprobs"}:
        raise wrong("include", "message.output_text.logprobs alone")
    text = fields.inner("text")
    text.only(format=({"type": "text"},), verbosity=("medium",))
    text.end()
    fields.only(
        background=(False,), truncation=("disabled",), max_tool_calls=(0,),
        reasoning=({}, {"effort": "none"}, {"effort": None}),
    )  # fmt: skip
    asked = _done(fields, (), messages, most or _UNBOUND, 1, (logprobs, top))
    return replace(asked, repeated=repeated)


_HARDWARE = (
    "num_thread", "num_gpu", "main_gpu", "num_batch", "use_mmap", "use_mlock", "low_vram", "numa",
    "num_ctx",
)  # fmt: skip


def _ollama(fields: Fields, texts: tuple[str, ...], messages: tuple[Message, ...]) -> Asked:
    options = fields.inner("options")
    most = options.number("num_predict", -2, _UNBOUND, -1)
    logprobs = fields.flag("logprobs")
    top = fields.number("top_logprobs", 0, _MOST_TOP, 0)
    if most == 0:
        raise wrong("options.num_predict", "at least 1, or -1 for as many as fit")
    writing = _writing(options, most if most > 0 else _UNBOUND, top=top)
    options.ignore(*_HARDWARE)
    options.only(
        repeat_penalty=(1,), presence_penalty=(0,), frequency_penalty=(0,), min_p=(0,),
        typical_p=(1,), mirostat=(0,), top_k=(0,), repeat_last_n=(0,), penalize_newline=(False,),
    )  # fmt: skip
    options.end()
    streamed = fields.flag("stream", True)
    fields.ignore("model", "keep_alive")
    fields.only(
        tools=([],), format=("",), think=(False,), images=([],), suffix=("",), template=("",),
        context=([],), truncate=(False, True), shift=(False, True),
    )  # fmt: skip
    fields.end()
    return Asked(texts, messages, writing, 1, streamed, logprobs)


def _ollama_chat(fields: Fields) -> Asked:
    messages = fields.take("messages", list, [], "a list of messages")
    return _ollama(fields, (), _messages(messages, "messages") if messages else ())


def _ollama_generate(fields: Fields) -> Asked:
    prompt = fields.take("prompt", str, "", "a text")
    told = fields.take("system", str, "", "a text")
    if fields.flag("raw"):
        return _ollama(fields, (prompt,), ())
    system = ({"role": "system", "content": told},) if told else ()
    asked = ({"role": "user", "content": prompt},) if prompt else ()
    return _ollama(fields, (), (*system, *asked))


_READERS: dict[str, Callable[[Fields], Asked]] = {
    "/v1/chat/completions": _chat,
    "/v1/completions": _completions,
    "/v1/responses": _responses,
    "/api/chat": _ollama_chat,
    "/api/generate": _ollama_generate,
}
