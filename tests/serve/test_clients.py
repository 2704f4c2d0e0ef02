"""The clients that people use, against a server in front of an upstream."""

import json

import ollama
import openai
import pytest
from serving import b64, png, uri

USAGE = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
MESSAGE = {"role": "assistant", "content": "A one."}
CHAT = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": USAGE,
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
}  # fmt: skip
ASKED = [
    {"type": "text", "text": "What is it?"},
    {"type": "image_url", "image_url": {"url": uri(png()), "detail": "low"}},
]


@pytest.fixture
def client(serve):
    with serve() as server, openai.OpenAI(base_url=f"{server.url}/v1", api_key="k") as client:
        yield client.with_options(max_retries=0)


def read(upstream):
    return json.loads(upstream.requests[-1][2])


def test_openai_chat_with_a_picture(client, upstream):
    upstream.replies(json.dumps(CHAT).encode())
    raw = client.chat.completions.with_raw_response.create(
        model="m", messages=[{"role": "user", "content": ASKED}], seed=7
    )
    assert raw.parse().choices[0].message.content == "A one."
    assert raw.parse().usage.total_tokens == 10
    assert raw.headers["x-glyphsight-read"].startswith("picture;")
    assert read(upstream)["messages"][0]["content"][1]["text"].startswith("Picture 1 (28x28")
    assert read(upstream)["seed"] == 7


def test_openai_stream(client, upstream):
    words = [
        {"index": 0, "delta": {"content": one}, "finish_reason": None} for one in ("A ", "one.")
    ]
    chunk = CHAT | {"object": "chat.completion.chunk"}
    events = [b"data: " + json.dumps(chunk | {"choices": [one]}).encode() for one in words]
    body = b"\n\n".join([*events, b"data: [DONE]\n\n"])
    upstream.replies(body, b"content-type: text/event-stream")
    messages = [{"role": "user", "content": ASKED}]
    stream = client.chat.completions.create(model="m", messages=messages, stream=True)
    assert "".join(one.choices[0].delta.content for one in stream) == "A one."


def test_openai_responses(client, upstream):
    text = {"type": "output_text", "text": "A one.", "annotations": []}
    output = {"type": "message", "id": "1", "role": "assistant", "status": "completed"}
    reply = {"id": "r", "object": "response", "created_at": 1, "model": "m"}
    reply |= {"output": [output | {"content": [text]}]}
    upstream.replies(json.dumps(reply).encode())
    content = [{"type": "input_image", "image_url": uri(png()), "detail": "auto"}]
    done = client.responses.create(model="m", input=[{"role": "user", "content": content}])
    assert done.output_text == "A one."
    assert read(upstream)["input"][0]["content"][0]["type"] == "input_text"


def test_openai_errors_have_their_classes(client):
    image = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    with pytest.raises(openai.BadRequestError, match="--allow-remote") as caught:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": [image]}])
    assert caught.value.code == "remote_not_allowed"
    assert caught.value.param == "messages[0].content[0]"


def test_ollama_chat_and_generate(serve, upstream):
    reply = {"model": "m", "created_at": "2026-01-01T00:00:00Z", "done": True}
    with serve() as server, ollama.Client(server.url) as client:
        upstream.replies(json.dumps(reply | {"message": MESSAGE}).encode())
        message = {"role": "user", "content": "What is it?", "images": [png()]}
        assert client.chat("m", [message]).message.content == "A one."
        assert read(upstream)["messages"][0]["content"].endswith("\n\nWhat is it?")
        upstream.replies(json.dumps(reply | {"response": "A one."}).encode())
        assert client.generate("m", "What is it?", images=[b64(png())]).response == "A one."
        assert read(upstream)["prompt"].startswith("Picture 1")
        with pytest.raises(ollama.ResponseError, match=r"images.0."):
            client.generate("m", "What is it?", images=[b64(b"no picture")])
