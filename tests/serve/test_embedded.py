import asyncio
import base64
import io
import json
import math
import shutil
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import ollama
import openai
import pytest
from PIL import Image
from serving import b64, png, png_of, served, uri

import glyphsight
from glyphsight.codec import Profile
from glyphsight.dataset.questions import refers
from glyphsight.inference import Answer, DrawSettings, Model
from glyphsight.inference.stream import Piece
from glyphsight.inference.words import Read
from glyphsight.models import LoadedModel, RunRecord
from glyphsight.models.nano import MadeFor, make_nano
from glyphsight.models.runs import SHIPPED_RUNS
from glyphsight.serve import embedded
from glyphsight.serve.asked import Asked
from glyphsight.serve.drawings import DRAWINGS, read_drawing
from glyphsight.serve.embedded import Embedded
from glyphsight.serve.errors import ApiError
from glyphsight.serve.page import sample_picture
from glyphsight.serve.request import Incoming
from glyphsight.serve.settings import ServeSettings

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def digit(golden):
    return (golden / "five.png").read_bytes()


def shown(*pictures, words=None):
    """A message with pictures, and words after them."""
    parts = [{"type": "image_url", "image_url": {"url": uri(one)}} for one in pictures]
    return {
        "role": "user",
        "content": parts + ([{"type": "text", "text": words}] if words else []),
    }


def said(words):
    return {"role": "user", "content": words}


@pytest.fixture(scope="module")
def server(loop):
    with served(loop, ServeSettings(model="nano-digits", timeout=10.0)) as client:
        yield client


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as one:
        yield one


@pytest.fixture(scope="module")
def local(server):
    one = ollama.Client(server.url)
    yield one
    one.close()


@pytest.fixture(scope="module")
def chat(client):
    """Ask for the reply to messages."""

    def ask(*messages, **how):
        return client.chat.completions.create(model="nano-digits", messages=list(messages), **how)

    return ask


@pytest.fixture(scope="module")
def writer(loop, tmp_path_factory):
    """A client of a free run, which writes: a nano by its weights, so that it is quick."""
    run = shutil.copytree(SHIPPED_RUNS["nano-digits"], tmp_path_factory.mktemp("runs") / "writer")
    record = json.loads((run / "glyphsight.json").read_text())
    (run / "glyphsight.json").write_text(json.dumps(record | {"free": True}))
    with (
        served(loop, ServeSettings(model=str(run), timeout=10.0)) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def talk(writer):
    """Have the free run reply to messages."""

    def ask(*messages, **how):
        return writer.chat.completions.create(model="writer", messages=list(messages), **how)

    return ask


def test_a_picture_alone_is_answered_with_the_probability_of_every_label(chat, golden):
    reply = chat(shown(digit(golden)), logprobs=True, top_logprobs=20)
    [choice] = reply.choices
    assert (choice.message.content, choice.finish_reason) == ("5", "stop")
    [token] = choice.logprobs.content
    assert token.token == token.top_logprobs[0].token == "5"
    chances = {one.token: math.exp(one.logprob) for one in token.top_logprobs}
    assert sorted(chances) == [*"0123456789", "unknown"]
    assert sum(chances.values()) == pytest.approx(1, abs=1e-4)
    assert (reply.object, reply.model) == ("chat.completion", "nano-digits")
    usage = reply.usage
    assert usage.prompt_tokens > 10
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_several_pictures_are_answered_in_order_and_n_times(chat, golden, validation):
    three = png_of(validation.pixels[0])
    reply = chat(shown(digit(golden), three), n=2)
    assert [choice.message.content for choice in reply.choices] == ["5\n3", "5\n3"]
    assert [choice.index for choice in reply.choices] == [0, 1]


def test_each_thing_in_a_picture_is_answered_and_counted(server, chat, golden):
    sheet = png_of(sample_picture(10))
    reply = chat(shown(sheet, digit(golden)), logprobs=True)
    assert reply.choices[0].message.content == "4, 2, 7\n5"
    assert [one.token for one in reply.choices[0].logprobs.content] == ["4", "2", "7", "5"]
    one = chat(shown(digit(golden))).usage
    assert reply.usage.prompt_tokens > 3 * one.prompt_tokens
    [answer] = server.app.state.eye.model.see([sample_picture(10)])
    read = asyncio.run(server.app.state.eye.read(sheet))
    assert read.text == "\n".join(part.ascii_image.rstrip("\n") for part in answer.parts) + "\n"


@pytest.mark.parametrize(
    ("how", "text", "finish"),
    [
        ({"max_tokens": 2}, "4, 2, ", "length"),
        ({"max_tokens": 3}, "4, 2, 7", "stop"),
        ({"stop": ", 7"}, "4, 2", "stop"),
        ({"stop": ["2", "x"], "temperature": 2.0, "seed": 1}, "4, ", "stop"),
    ],
)
def test_an_answer_to_pictures_ends_where_the_client_says(chat, how, text, finish):
    [choice] = chat(shown(png_of(sample_picture(10))), **how).choices
    assert (choice.message.content, choice.finish_reason) == (text, finish)


def test_a_response_repeats_what_belongs_to_it(writer):
    given = {"metadata": {"of": "mine"}, "instructions": "Be short.", "max_output_tokens": 2}
    reply = writer.responses.create(model="writer", input="Hi", **given)
    assert {name: getattr(reply, name) for name in given} == given


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [said("\ud800")]},
        {"messages": [said("Hi")], "\ud800": 1},
        {"messages": [said([{"type": "\ud800"}])]},
        {"messages": [said("Hi")], "stop": "\udfff"},
    ],
)
def test_half_a_character_is_refused(server, body):
    assert server.error("/v1/chat/completions", body)[0] == 400


def test_an_empty_picture_is_nothing_the_model_knows(chat):
    reply = chat(shown(png(0)), logprobs=True, top_logprobs=3)
    assert reply.choices[0].message.content == "nothing I know"
    assert reply.choices[0].logprobs.content[0].token == "unknown"


def test_a_picture_is_answered_in_a_stream_of_each_api(client, local, server, golden):
    picture = digit(golden)
    given = {"model": "nano-digits", "messages": [shown(picture)]}
    chunks = list(client.chat.completions.create(**given, stream=True))
    assert "".join(one.choices[0].delta.content or "" for one in chunks) == "5"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[0].choices[0].delta.role == "assistant"
    part = {"type": "input_image", "image_url": uri(picture)}
    asked = {"model": "nano-digits", "input": [{"role": "user", "content": [part]}]}
    whole = client.responses.create(**asked)
    assert (whole.output_text, whole.status) == ("5", "completed")
    events = list(client.responses.create(**asked, stream=True))
    assert [one.sequence_number for one in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == "5"
    assert events[-1].response.output_text == "5"
    assert events[-1].response.usage.output_tokens == 1
    found = local.chat("nano-digits", [{"role": "user", "content": "", "images": [picture]}])
    assert (found.message.content, found.done_reason, found.eval_count) == ("5", "stop", 1)
    message = {"role": "user", "content": "", "images": [b64(picture)]}
    body = {"model": "nano-digits", "messages": [message], "stream": False, "truncate": True}
    assert json.loads(server.ask("/api/chat", body)[2])["message"]["content"] == "5"
    pieces = list(local.generate("nano-digits", "", images=[picture], stream=True))
    assert ("".join(one.response for one in pieces), pieces[-1].done) == ("5", True)
    body = {"model": "nano-digits", "prompt": "", "images": [b64(picture)], "logprobs": 2}
    status, _, done = server.ask("/v1/completions", body)
    [choice] = json.loads(done)["choices"]
    assert (status, choice["text"], choice["logprobs"]["tokens"]) == (200, "5", ["5"])


def test_text_is_written_on_alike_whole_and_streamed(client, local):
    given = {"model": "nano-digits", "prompt": "▓█", "max_tokens": 6}
    given |= {"temperature": 2.0, "seed": 4}
    whole = client.completions.create(**given, logprobs=2, n=2)
    first, second = whole.choices
    assert first.text != second.text
    assert first.finish_reason in ("stop", "length")
    assert "".join(first.logprobs.tokens) == first.text
    assert all(len(one) == 2 for one in first.logprobs.top_logprobs)
    count = sum(len(one.logprobs.tokens) for one in whole.choices)
    assert whole.usage.completion_tokens == count
    usage = {"include_usage": True}
    chunks = list(client.completions.create(**given, stream=True, stream_options=usage))
    assert "".join(one.choices[0].text for one in chunks if one.choices) == first.text
    assert chunks[-1].usage.completion_tokens == len(first.logprobs.tokens)
    options = {"temperature": 2.0, "seed": 4, "num_predict": 6}
    pieces = list(local.generate("nano-digits", "▓█", raw=True, options=options, stream=True))
    assert "".join(one.response for one in pieces) == first.text


def test_a_conversation_is_written_on_in_the_models_own_wording(talk, golden):
    asked = shown(digit(golden)), {"role": "assistant", "content": "5"}, said("And now?")
    whole = talk(*asked, logprobs=True, top_logprobs=1)
    [choice] = whole.choices
    assert choice.logprobs.content
    chunks = list(talk(*asked, stream=True, stream_options={"include_usage": True}))
    text = "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)
    assert text == choice.message.content
    assert chunks[-1].usage == whole.usage
    assert choice.finish_reason in ("stop", "length")


@pytest.mark.parametrize("words", ["What is this?", "Describe the picture.", "7 or 8?"])
def test_words_beside_a_picture_change_no_label(chat, golden, words):
    told = {"role": "system", "content": "You are helpful."}
    earlier = shown(digit(golden)), {"role": "assistant", "content": "5"}
    picture = shown(digit(golden))
    bare = chat(picture).choices[0].message.content
    assert chat(shown(digit(golden), words=words)).choices[0].message.content == bare
    several = chat(told, *earlier, shown(digit(golden), words=words))
    assert several.choices[0].message.content == bare
    both = chat(shown(digit(golden), digit(golden), words=words))
    assert both.choices[0].message.content == f"{bare}\n{bare}"


@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_says_where_the_words_beside_a_picture_were_not_read(client, golden, stream):
    def note(*messages):
        given = {"model": "nano-digits", "messages": messages, "stream": stream}
        reply = client.chat.completions.with_raw_response.create(**given)
        return reply.headers.get("X-Glyphsight-Note", "")

    assert "one question" in note(shown(digit(golden), words="Is it odd?"))
    assert note(shown(digit(golden))) == ""


@pytest.mark.parametrize(
    ("path", "given", "param"),
    [
        ("/v1/chat/completions", {"tools": [TOOL]}, "tools"),
        ("/v1/chat/completions", {"response_format": {"type": "json_object"}}, "response_format"),
        ("/v1/chat/completions", {"frequency_penalty": 0.5}, "frequency_penalty"),
        ("/v1/chat/completions", {"temperature": "hot"}, "temperature"),
        ("/v1/chat/completions", {"n": 1000}, "n"),
        ("/v1/chat/completions", {"stop": [""]}, "stop"),
        ("/v1/chat/completions", {"top_logprobs": 2}, "top_logprobs"),
        ("/v1/chat/completions", {"colour": "blue"}, "colour"),
        ("/v1/chat/completions", {"messages": []}, "messages"),
        (
            "/v1/chat/completions",
            {"messages": [{"role": "tool", "content": ""}]},
            "messages[0].role",
        ),
        ("/v1/chat/completions", {"model": "gpt-4o"}, "model"),
        ("/v1/completions", {"echo": True}, "echo"),
        ("/v1/responses", {"previous_response_id": "resp_1"}, "previous_response_id"),
        ("/v1/responses", {"text": {"format": {"type": "json_schema"}}}, "text.format"),
        ("/api/chat", {"options": {"mirostat": 2}}, "options.mirostat"),
        ("/api/generate", {"format": "json"}, "format"),
    ],
)
def test_what_the_model_cannot_honour_is_refused_by_its_name(server, path, given, param):
    body = {"model": "nano-digits"}
    body |= {"messages": [said("Hi")]} if "chat" in path else {}
    body |= {"prompt": "Hi"} if path in ("/v1/completions", "/api/generate") else {}
    body |= {"input": "Hi"} if "responses" in path else {}
    status, error = server.error(path, body | given)
    assert status == (404 if param == "model" else 400)
    if path.startswith("/api/"):
        assert param in error
    else:
        assert error["param"] == param


def test_parameters_that_ask_for_nothing_else_are_taken(talk):
    nothing = {"tools": [], "tool_choice": "none", "presence_penalty": 0, "user": "me"}
    assert talk(said("Hi"), response_format={"type": "text"}, max_tokens=2, **nothing).choices


def test_a_conversation_beyond_the_window_is_refused_without_the_model_s_path(talk):
    with pytest.raises(openai.BadRequestError, match="tokens writer takes") as error:
        talk(said("x" * 5000))
    assert error.value.code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [said("What is the capital of France?")]}),
        ("/v1/chat/completions", {"messages": [said("Draw a 7")], "stream": True}),
        ("/v1/responses", {"input": "Hello", "instructions": "Be short."}),
        ("/api/chat", {"messages": [said("Hello")]}),
        ("/api/generate", {"prompt": "Hello"}),
    ],
)
def test_a_model_without_words_refuses_them_and_says_what_it_takes(server, path, body):
    status, error = server.error(path, body)
    told = error if path.startswith("/api/") else error["message"]
    assert status == 400
    for word in ("nano-digits has no words but its labels", "picture", "--model sight"):
        assert word in told
    assert DRAWINGS not in told  # it draws nothing


def test_words_after_a_picture_are_refused_until_the_next_picture(chat, golden):
    seen = shown(digit(golden)), {"role": "assistant", "content": "5"}
    with pytest.raises(openai.BadRequestError, match="picture in the last message"):
        chat(*seen, said("Are you sure?"))
    assert chat(*seen, shown(digit(golden), words="And now?")).choices[0].message.content == "5"


def test_the_model_that_draws_says_where(drawing):
    body = json.dumps({"messages": [said("Draw a 7")]}).encode()
    with pytest.raises(ApiError, match=f"ask {DRAWINGS} for a drawing"):
        asyncio.run(
            Embedded(drawing).handle(Incoming("POST", "/v1/chat/completions", "", [], body))
        )


class Talker:
    """Notes what it reads, and says yes."""

    name = "talker"

    def __init__(self):
        self.read = []

    def settle(self, *_):
        return "numpy"

    def turns(self, messages):
        self.read.append([one["content"] for one in messages])
        return [0]

    def stream(self, ids, writing):
        yield Piece("Yes", None, "stop")


@pytest.fixture
def told(loop, monkeypatch):
    """Ask a server whose model has a talker: status, reply, and what the talker read."""
    talker = Talker()
    monkeypatch.setattr(Model, "talker", talker)
    with served(loop, ServeSettings(model="nano-digits", timeout=10.0)) as server:

        def ask(*messages):
            body = {"model": "nano-digits", "messages": messages}
            status, _, reply = server.ask("/v1/chat/completions", body)
            return status, json.loads(reply), talker.read

        yield ask


def test_pictures_in_one_message_are_numbered_for_the_talker(told, golden):
    words = "Which is larger?"
    status, reply, read = told(shown(digit(golden), digit(golden), words=words))
    assert (status, reply["choices"][0]["message"]["content"]) == (200, "Yes")
    names = "Picture 1 shows the digit 5.\nPicture 2 shows the digit 5."
    assert read == [[f"{names}\n{words}"]]


@pytest.mark.parametrize(
    ("words", "said", "read"),
    [
        ("Is it odd?", "nothing I know", []),
        ("Name a fruit, please.", "Yes", [["Name a fruit, please."]]),
    ],
)
def test_a_talker_is_not_told_of_what_the_model_does_not_know(told, words, said, read):
    status, reply, asked = told(shown(png_of(np.full((60, 60), 230, np.uint8)), words=words))
    assert (status, reply["choices"][0]["message"]["content"]) == (200, said)
    assert asked == read


def test_of_what_the_model_does_not_know_nothing_is_said_in_later_turns(told, golden):
    blank = shown(png_of(np.full((60, 60), 230, np.uint8)), words="Is it odd?")
    before = [blank, {"role": "assistant", "content": "nothing I know"}]
    later, aside = said("Is it larger than three?"), said("Name a fruit, please.")
    for turns, reply in (
        ((*before, later), "nothing I know"),
        ((*before, aside), "Yes"),
        ((shown(digit(golden), words="Is it odd?"), *before, later), "Yes"),
    ):
        answered = told(*turns)[1]
        assert answered["choices"][0]["message"]["content"] == reply


def test_a_sound_that_no_model_heard_is_not_told_to_the_talker(told, tmp_path, wav):
    pytest.importorskip("soundfile")
    tone = np.sin(np.arange(4000) / 5).astype(np.float32)
    data = wav(tmp_path / "a" / "tone.wav", tone).read_bytes()
    part = {"type": "input_audio", "input_audio": {"data": b64(data), "format": "wav"}}
    words = {"type": "text", "text": "Is it loud?"}
    status, reply, read = told({"role": "user", "content": [part, words]})
    assert (status, read) == (400, [])
    assert "--sound-model" in reply["error"]["message"]


def test_a_sound_is_refused_where_no_model_hears(chat, tmp_path, wav):
    pytest.importorskip("soundfile")
    tone = np.sin(np.arange(4000) / 5).astype(np.float32)
    data = wav(tmp_path / "a" / "tone.wav", tone).read_bytes()
    part = {"type": "input_audio", "input_audio": {"data": b64(data), "format": "wav"}}
    with pytest.raises(openai.BadRequestError, match="--sound-model"):
        chat({"role": "user", "content": [part]})


def test_the_tokens_of_a_sound_are_those_of_the_model_that_hears(loop, spoken):
    pytest.importorskip("soundfile")
    data = (spoken / "7_theo_0.flac").read_bytes()
    part = {"type": "input_audio", "input_audio": {"data": b64(data), "format": "flac"}}
    settings = ServeSettings(model="nano-digits", sound_model="hearing")
    with served(loop, settings) as client:
        body = {"model": "nano-digits", "messages": [{"role": "user", "content": [part]}]}
        _, headers, said = client.ask("/v1/chat/completions", body)
    reply = json.loads(said)
    assert reply["choices"][0]["message"]["content"] == "7"
    read = {name.lower(): value for name, value in headers.items()}["x-glyphsight-read"]
    assert read.endswith(";tokens=81")
    assert 81 < reply["usage"]["prompt_tokens"] < 100


def test_clients_learn_which_model_answers(client, local):
    assert [one.id for one in client.models.list()] == ["nano-digits"]
    assert client.models.retrieve("nano-digits").id == "nano-digits"
    assert [one.model for one in local.list().models] == ["nano-digits:latest"]
    assert "vision" in local.show("nano-digits").capabilities
    assert local.generate("nano-digits", "").done_reason == "load"
    with pytest.raises(openai.NotFoundError, match="--upstream"):
        client.embeddings.create(model="nano-digits", input="x")


def endless(server, monkeypatch):
    """Make the model write without end, and count the tokens."""
    return slowed(server.app.state.backend._model, monkeypatch)


def slowed(model, monkeypatch):
    """Make a model write slowly and never end a text itself, and count the tokens."""
    engine, written = model._open().engine, []
    advance = engine.advance

    def slow(new, states):
        found = advance(new, states)
        written.extend(new)
        time.sleep(0.01)
        for logprobs, _ in found:
            logprobs[[model.tokenizer.eos_token_id]] = -np.inf
        return found

    monkeypatch.setattr(engine, "advance", slow)
    return written


def test_nothing_is_written_for_a_client_that_has_gone(server, client, monkeypatch):
    written = endless(server, monkeypatch)
    stream = client.completions.create(
        model="nano-digits", prompt="▓", max_tokens=1500, stream=True
    )
    next(iter(stream))
    stream.close()
    time.sleep(0.3)
    count = len(written)
    time.sleep(0.3)
    assert len(written) == count < 200


def test_replies_that_have_begun_are_finished_when_the_server_stops(loop, monkeypatch):
    got = []
    with served(loop, ServeSettings(model="nano-digits", timeout=10.0)) as server:
        written = endless(server, monkeypatch)
        body = {"prompt": "▓", "max_tokens": 60}

        def ask():
            got.append(server.ask("/v1/completions", body | {"stream": True}))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        while len(written) < 30:
            time.sleep(0.01)
    for thread in threads:
        thread.join()
    assert all(done.endswith(b"data: [DONE]\n\n") for _, _, done in got)
    assert all(b'"finish_reason": "length"' in done for _, _, done in got)


def test_beyond_the_queue_clients_are_asked_to_come_again(loop, monkeypatch):
    with served(loop, ServeSettings(model="nano-digits", queue=2, timeout=10.0)) as server:
        endless(server, monkeypatch)
        body = {"prompt": "▓", "max_tokens": 40}
        got = []
        ask = [
            threading.Thread(target=lambda: got.append(server.ask("/v1/completions", body)))
            for _ in range(6)
        ]
        for thread in ask:
            thread.start()
        for thread in ask:
            thread.join()
    assert sorted(status for status, _, _ in got) == [200, 200, 429, 429, 429, 429]
    assert all("retry-after" in head for status, head, _ in got if status == 429)


@pytest.mark.slow
def test_sight_sees_converses_and_needs_no_torch(loop, validation):
    pixels, labels = validation.pixels[:3], list(validation.labels[:3])
    with served(loop, ServeSettings(timeout=60.0)) as server:
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none") as client:

            def ask(message, **how):
                reply = client.chat.completions.create(model="sight", messages=[message], **how)
                return reply.choices[0].message.content

            pictures = [png_of(one) for one in pixels]
            assert ask(shown(*pictures)).split() == labels
            found = [ask(shown(one, words="What digit is this?"), max_tokens=4) for one in pictures]
            assert found == labels
            assert "Paris" in ask(said("What is the capital of France? Answer shortly."))
        assert server.app.state.backend._model._loaded is None


def test_pictures_are_drawn_through_openais_client(client):
    done = client.images.generate(
        model="draw", prompt="Draw a 7, please.", n=2, size="64x48", extra_body={"seed": 1}
    )
    for one, same in zip(done.data, glyphsight.draw("7", n=2, seed=1), strict=True):
        picture = Image.open(io.BytesIO(base64.b64decode(one.b64_json)))
        assert (picture.format, picture.size) == ("PNG", (64, 48))
        assert one.revised_prompt == "Draw 7."
        assert one.ASCII_image == same.ascii_image


@pytest.mark.parametrize(
    ("prompt", "label"),
    [("a", "a"), ("Draw a.", "a"), ("Draw a B", "B"), ("an ice cream, please", "ice cream"),
     ("Draw a letter", None), ("B or cream", None)],
)  # fmt: skip
def test_a_label_is_told_from_the_words_around_it(prompt, label):
    labels = ["B", "a", "cream", "ice cream"]
    if label is not None:
        assert read_drawing({"prompt": prompt}, labels).label == label
        return
    with pytest.raises(ApiError, match="must name one of"):
        read_drawing({"prompt": prompt}, labels)


@pytest.fixture(scope="module")
def drawing():
    """A nano called ``mine`` that knows nothing, but may draw two labels."""
    model, tokenizer = make_nano(0, made_for=MadeFor(Profile(width=8)))
    run = RunRecord("nano", profile=Profile(width=8), draws=("7", "8"))
    return Model(LoadedModel(model.eval(), tokenizer, "mine", run))


def drawn(backend, **asked):
    body = json.dumps({"prompt": "7", "seed": 1} | asked).encode()
    reply = asyncio.run(backend.handle(Incoming("POST", DRAWINGS, "", [], body)))
    return json.loads(reply.body)["data"][0]["ASCII_image"]


@pytest.mark.parametrize("first", ["mine", "draw"])
def test_each_request_is_drawn_by_the_model_that_it_names(drawing, first):
    mine, package = (model.draw("7", DrawSettings(seed=1)) for model in (drawing, Model("draw")))
    backend = Embedded(drawing)
    drawn(backend, model=first)
    assert drawn(backend, model="draw") == package[0].ascii_image
    for name in ("mine", None, "mine:latest"):
        assert drawn(backend, model=name) == mine[0].ascii_image


def test_the_package_s_model_that_is_served_draws_itself(monkeypatch):
    backend = Embedded(Model("draw"))
    monkeypatch.setattr(embedded, "Model", None)
    assert drawn(backend, model="draw") == drawn(backend)


def test_a_seed_gives_the_drawing_of_the_command_line(loop):
    with served(loop, ServeSettings(model="draw", timeout=10.0)) as server:
        _, _, said = server.ask(DRAWINGS, {"prompt": "7", "seed": 1})
        assert server.app.state.backend._model.dtype == "float32"
    [same] = glyphsight.draw("7", seed=1)
    assert json.loads(said)["data"][0]["ASCII_image"] == same.ascii_image


def test_a_drawing_that_the_model_cannot_end_is_the_clients_error(drawing, monkeypatch):
    asked = drawing.tokenizer("Draw 7.\nResponse:", add_special_tokens=True)["input_ids"]
    monkeypatch.setattr(Model, "window", len(asked) + 2)
    with pytest.raises(ApiError, match="tokens") as caught:
        drawn(Embedded(drawing))
    assert caught.value.status == 400


def test_nothing_is_drawn_for_a_client_that_has_gone(server, client, monkeypatch):
    client.images.generate(model="draw", prompt="7")
    drawer = server.app.state.backend._package
    written = slowed(drawer, monkeypatch)
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3).images.generate(model="draw", prompt="7")
    time.sleep(0.3)
    count = len(written)
    time.sleep(0.3)
    assert 0 < len(written) == count < 100


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"prompt": "a cat"}, "prompt"),
        ({"prompt": "7 or 8"}, "prompt"),
        ({"prompt": "7", "size": "99999x1"}, "size"),
        ({"prompt": "7", "n": 17}, "n"),
        ({"prompt": "7", "response_format": "url"}, "response_format"),
    ],
)
def test_what_cannot_be_drawn_names_the_parameter(client, asked, param):
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(model="draw", **asked)
    assert caught.value.param == param


def answered(label):
    """A picture in a request, and what the model saw in it."""
    text = f"picture of {label}\n"
    answer = Answer(label, label, 1.0, {}, text, False, False, False, known=label != "unknown")
    return Read("Picture", text, 3, "28x28", answer, "", text)


def own_words(messages, reads, texts=()):
    model = SimpleNamespace(talker=True, name="x", writes=lambda words: refers(words, surely=True))
    asked = Asked(texts, tuple({"role": role, "content": said} for role, said in messages), None)
    return Embedded(model)._own_words_about(asked, reads)


def test_a_free_run_writes_about_the_pictures_of_the_last_message_that_has_some():
    four, seven, blank = answered("4"), answered("7"), answered("unknown")
    both = f"{four.shown}{seven.shown}What are these?"
    one = [("user", both)]
    later = [*one, ("assistant", "4, 7"), ("user", "Which of the two is larger?")]
    assert own_words(one, [four, seven]) == [four.text, seven.text]
    assert own_words(later, [four, seven]) == [four.text, seven.text]
    newer = [*later, ("assistant", "7"), ("user", f"{four.shown}Is it even?")]
    assert own_words(newer, [four, seven, four]) == [four.text]
    aside = [*one, ("assistant", "4, 7"), ("user", "Who was Plato?")]
    assert own_words(aside, [four, seven]) == []
    assert own_words([("user", f"{blank.shown}Is it even?")], [blank]) == []


def test_a_free_run_writes_nothing_of_its_own_where_no_user_asks():
    four = answered("4")
    begun = [("user", f"{four.shown}Is it even?"), ("assistant", "It is")]
    assert own_words(begun, [four]) == []
    assert own_words([], [four, four], (f"{four.shown}Is it even?",) * 2) == []
    sound = replace(four, kind="Sound")
    assert own_words([("user", f"{sound.shown}Is it even?")], [sound]) == []
