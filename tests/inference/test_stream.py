import threading

import numpy as np
import pytest

from glyphsight.errors import ModelError
from glyphsight.inference import Model, Request
from glyphsight.inference.stream import Piece, Writing, pieces

STEPS = 12


class Bytes:
    """A tokenizer whose tokens are the bytes of UTF-8."""

    def decode(self, ids, *, skip_special_tokens):
        return bytes(ids).decode("utf-8", "replace")


def written(text, **how):
    """Write a text byte by byte, as a model that is sure of it."""
    left = iter([*text.encode(), 0])
    prompt = [65]

    def advance(new):
        logprobs = np.full(256, -9.0, np.float32)
        logprobs[next(left)] = -0.1
        return logprobs

    return list(pieces(advance, prompt, Bytes(), {0}, Writing(**how)))


def test_pieces_are_whole_characters():
    found = written("aé▓😀b")
    assert [piece.text for piece in found if piece.text] == ["a", "é", "▓", "😀", "b"]
    assert len(found) == len("aé▓😀b".encode()) + 1
    assert found[-1] == Piece("", None, "stop")
    cut = written("a😀", most=3)
    assert cut[-1].finish == "length"
    assert "".join(piece.text for piece in cut).encode()


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        (("cd",), "ab"),
        (("x", "de"), "abc"),
        (("cx",), "abcdef"),
        (("a",), ""),
        (("ef", "f"), "abcd"),
    ],
)
def test_a_stop_text_ends_the_text_before_any_of_it_is_told(stop, text):
    found = written("abcdef", stop=stop)
    assert "".join(piece.text for piece in found) == text
    assert found[-1].finish == "stop"
    assert all(not piece.finish for piece in found[:-1])


def test_a_token_is_told_with_the_likeliest_in_its_place():
    [first, *_] = written("ab", top=3)
    assert (first.token.text, first.token.top[0]) == ("a", ("a", pytest.approx(-0.1)))
    assert len(first.token.top) == 3


def test_tokens_are_drawn_as_often_as_they_are_likely():
    chances = np.array([0.5, 0.3, 0.15, 0.05], np.float32)

    def draws(**how):
        drawn = pieces(lambda new: np.log(chances), [1], Bytes(), {9}, Writing(2000, **how))
        text = "".join(piece.text for piece in drawn)
        return np.bincount(list(text.encode()), minlength=4) / 2000

    np.testing.assert_allclose(draws(temperature=1.0, seed=1), chances, atol=0.04)
    np.testing.assert_allclose(
        draws(temperature=1.0, top_p=0.7, seed=1), [0.625, 0.375, 0, 0], atol=0.04
    )
    assert draws(temperature=0.0)[0] == 1
    assert draws(temperature=0.01, seed=1)[0] == 1
    assert (draws(temperature=2.0, seed=3) == draws(temperature=2.0, seed=3)).all()


@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_a_stream_writes_what_generate_writes(engine, validation):
    model = Model.load("nano-digits", engine)
    asked = [Request("ab " * n) for n in (1, 3, 400)]  # the last is read in several steps
    whole = model.generate(asked)
    for request, text in zip(asked, whole, strict=True):
        assert "".join(piece.text for piece in model.stream(request.prompt, Writing(60))) == text
    with pytest.raises(ModelError, match="exceed"):
        model.stream("x" * 5000)


def test_texts_of_several_threads_are_written_together(monkeypatch):
    model = Model.load("nano-digits", "numpy")
    engine, sizes = model._open().engine, []
    advance = engine.advance

    def counted(new, states):
        sizes.append(len(new))
        found = advance(new, states)
        for logprobs, _ in found:
            logprobs[model.tokenizer.eos_token_id] = -np.inf
        return found

    monkeypatch.setattr(engine, "advance", counted)
    prompts = ["a" * n for n in range(1, 9)]

    def write(row, into):
        into[row] = "".join(piece.text for piece in model.stream(prompts[row], Writing(STEPS)))

    alone, together = {}, {}
    for row in range(8):
        write(row, alone)
    sizes.clear()
    threads = [threading.Thread(target=write, args=(row, together)) for row in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone
    assert sum(sizes) == 8 * STEPS
    assert len(sizes) < 4 * STEPS  # alone it were 8 x STEPS


def test_a_chat_is_written_in_the_models_template_without_torch(monkeypatch):
    model = Model.load("nano-digits", "numpy")
    model.tokenizer.chat_template = (
        "{% for one in messages %}{% if one.role == 'tool' %}{{ raise_exception('no tools') }}"
        "{% endif %}<{{ one.role }}>{{ one.content }}{{ eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    ids = model.turns([{"role": "user", "content": "Hello"}])
    text = model.tokenizer.decode(ids, skip_special_tokens=False)
    assert text == "<user>Hello<eos><assistant>"
    assert isinstance(model.chat([{"role": "user", "content": "Hello"}], most=2), str)
    assert model._loaded is None
    with pytest.raises(ModelError, match="refuses the messages"):
        model.turns([{"role": "tool", "content": ""}])


def test_nothing_is_written_after_an_empty_prompt():
    with pytest.raises(ModelError, match="empty"):
        Model("nano-digits").stream([])
