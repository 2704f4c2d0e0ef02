import json

import pytest
from serving import b64, png, png_of, uri

from glyphsight.serve.page import sample_picture

CHAT = "/v1/chat/completions"


def asked(*content, **more):
    return {"model": "m", "messages": [{"role": "user", "content": list(content)}]} | more


def picture(data=None, **more):
    return {"type": "image_url", "image_url": {"url": uri(data or png())} | more}


def sent(upstream):
    return json.loads(upstream.requests[-1][2])


@pytest.mark.parametrize("path", [CHAT, "/v1/completions", "/v1/responses", "/api/chat"])
def test_a_request_without_pictures_passes_with_the_very_bytes(serve, upstream, path):
    body = b'{"model" : "m",\n "seed":0.70, "unknown":[1.0e2], "messages":[],"prompt":"\xc3\xa9"}'
    with serve() as client:
        status, headers, said = client.ask(f"{path}?a=%2F&b", body, {"X-Own": "1"})
    line, given, read = upstream.requests[0]
    assert (status, said) == (200, b'{"ok": 1}')
    assert line == f"POST {path}?a=%2F&b HTTP/1.1".encode()
    assert read == body
    assert (b"x-own", b"1") in given
    assert "X-Glyphsight-Read" not in headers
    names = {name.lower() for name, _ in given}
    assert b"user-agent" not in names
    assert dict(given)[b"Host"] == upstream.url[7:].encode()


def test_a_reply_passes_with_status_headers_and_bytes(serve, upstream):
    head = b"content-type: a/b\r\ncontent-encoding: gzip\r\nset-cookie: a=1\r\nset-cookie: b=2"
    upstream.replies(b"\x1f\x8b no gzip", head + b"\r\nkeep-alive: x", b"418 Teapot")
    with serve() as client:
        status, headers, said = client.ask(CHAT, {"messages": []})
    assert (status, said) == (418, b"\x1f\x8b no gzip")
    assert headers["content-encoding"] == "gzip"
    assert headers["set-cookie"] == "b=2"
    assert "keep-alive" not in headers


def test_a_stream_passes_byte_for_byte(serve, upstream):
    events = [b'data: {"a": 1}\n\n', b": comment\r\n\r\n", b"data: [DONE]\n\n"]
    chunks = [b"%x\r\n%s\r\n" % (len(one), one) for one in events]
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    upstream.pieces, upstream.pause = [head, *chunks, b"0\r\n\r\n"], 0.01
    with serve() as client:
        status, headers, said = client.ask(CHAT, asked(picture(), stream=True))
    assert (status, said) == (200, b"".join(events))
    assert headers["content-type"] == "text/event-stream"
    assert "x-glyphsight-read" in headers


def test_a_picture_becomes_text_in_its_place_and_the_rest_stays(serve, upstream):
    tools = '"tools": [{"x": 1.50}], "seed": 1e2, "logprobs" : true'
    part = json.dumps(picture() | {"cache_control": {"type": "x"}})
    words = (f'{{"type":"text","text":"{one}"}}' for one in "ab")
    content = f", {part} ,".join(words)
    body = f'{{"messages":[{{"role":"user","content":[{content}]}}], {tools}}}'
    with serve() as client:
        status, headers, _ = client.ask(CHAT, body.encode())
    assert status == 200
    read = upstream.requests[0][2].decode()
    assert read.endswith(f"]}}], {tools}}}")
    first, new, last = sent(upstream)["messages"][0]["content"]
    assert (first["text"], last["text"]) == ("a", "b")
    assert new["type"] == "text"
    assert new["cache_control"] == {"type": "x"}
    assert new["text"].startswith("Picture 1 (28x28 pixels) as text")
    assert "█" in new["text"]
    assert headers["x-glyphsight-read"].startswith("picture;sha256=")


def test_several_pictures_in_any_turn_keep_their_order(serve, upstream):
    system = {"role": "system", "content": "s"}
    tool = {"role": "tool", "tool_call_id": "1", "content": [picture(png(90))]}
    body = asked(picture(), {"type": "text", "text": "and"}, picture(png(120)))
    body["messages"] = [system, *body["messages"], tool]
    with serve() as client:
        _, headers, _ = client.ask(CHAT, body)
    _, user, last = sent(upstream)["messages"]
    said = [part["text"][:9] for part in user["content"]]
    assert said == ["Picture 1", "and", "Picture 2"]
    assert last["content"][0]["text"].startswith("Picture 3")
    assert headers["x-glyphsight-read"].count("picture") == 3


@pytest.mark.parametrize(
    "source", [b64(png()), b64(png()).rstrip("="), "\n".join([b64(png())[:60], b64(png())[60:]]),
               b64(png()).replace("+", "-").replace("/", "_"), uri(png()).replace("data", "DATA")]
)  # fmt: skip
def test_base64_is_taken_in_every_form(serve, upstream, source):
    with serve() as client:
        status, _, said = client.ask(CHAT, asked({"type": "image_url", "image_url": source}))
    assert status == 200, said
    assert "█" in sent(upstream)["messages"][0]["content"][0]["text"]


def test_detail_is_a_budget_of_tokens(serve, upstream):
    big = png(shape=(400, 400))
    parts = [picture(big, detail=detail) for detail in ("low", "auto", "high", "original")]
    with serve(low_tokens=20, tokens=60, high_tokens=180) as client:
        _, headers, _ = client.ask(CHAT, asked(*parts))
    read = headers["x-glyphsight-read"].split(", ")
    low, auto, high, original = (int(one.rpartition("=")[2]) for one in read)
    assert low <= 20 < auto <= 60 < high <= 180
    assert original == high


def test_a_width_that_is_given_is_kept(serve, upstream):
    with serve(width=40) as client:
        client.ask(CHAT, asked(picture()))
    assert len(sent(upstream)["messages"][0]["content"][0]["text"].splitlines()[5]) == 40


def test_responses_take_input_image(serve, upstream):
    image = {"type": "input_image", "image_url": uri(png()), "detail": "low"}
    call = {"type": "function_call_output", "call_id": "1", "output": [image]}
    body = {"input": [{"role": "user", "content": [image]}, call]}
    with serve() as client:
        assert client.ask("/v1/responses", body)[0] == 200
    user, output = sent(upstream)["input"]
    assert user["content"][0]["type"] == output["output"][0]["type"] == "input_text"
    assert user["content"][0]["text"].startswith("Picture 1")


@pytest.mark.parametrize(("path", "key"), [("/api/chat", "content"), ("/api/generate", "prompt")])
@pytest.mark.parametrize("text", ["What is it?", None])
def test_ollama_images_go_before_the_words(serve, upstream, path, key, text):
    owner = {"role": "user", "images": [b64(png()), b64(png(90))]}
    owner |= {} if text is None else {key: text}
    body = {"messages": [owner]} if key == "content" else owner
    with serve() as client:
        assert client.ask(path, body)[0] == 200
    read = sent(upstream)
    read = read["messages"][0] if key == "content" else read
    assert read["images"] == []
    assert read[key].startswith("Picture 1")
    assert "\n\nPicture 2" in read[key]
    assert text is None or read[key].endswith(f"\n\n{text}")


def test_a_sound_becomes_text(serve, upstream, wav, tmp_path):
    import numpy as np

    file = wav(tmp_path / "a.wav", np.sin(np.arange(4000) / 5))
    part = {"type": "input_audio", "input_audio": {"data": b64(file.read_bytes()), "format": "wav"}}
    with serve() as client:
        status, headers, said = client.ask(CHAT, asked(part))
    assert status == 200, said
    assert sent(upstream)["messages"][0]["content"][0]["text"].startswith("Sound 1 (0.4")
    assert headers["x-glyphsight-read"].startswith("sound;")


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "eA=="}},
        {"type": "video_url", "video_url": {"url": "data:,"}},
        {"type": "file", "file": {"file_id": "f"}},
        {"type": "input_image", "file_id": "f"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,????"}},
        {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
        {"type": "image_url", "image_url": {"url": uri(b"no picture")}},
        {"type": "image_url", "image_url": {"url": uri(png()), "detail": "huge"}},
        {"type": "input_audio", "input_audio": {"data": b64(b"no sound"), "format": "wav"}},
        {"type": ["x"]},
        {},
    ],
)
def test_a_part_that_cannot_be_read_is_refused_and_never_dropped(serve, upstream, part):
    with serve() as client:
        status, error = client.error(CHAT, asked({"type": "text", "text": "a"}, part))
        ollama = client.error("/api/chat", asked(part))
    assert status == 400
    assert error["type"] == "invalid_request_error"
    assert error["param"].startswith("messages[0].content[1]")
    assert "messages[0].content[1]" in error["message"]
    assert "/" not in error["message"].replace("data:image/png", "").replace("http(s)", "")
    assert ollama[0] == 400
    assert "messages[0].content[0]" in ollama[1]
    assert not upstream.requests


def test_remote_pictures_are_off(serve, upstream):
    part = {"type": "image_url", "image_url": {"url": "http://127.0.0.1/a.png"}}
    with serve() as client:
        status, error = client.error(CHAT, asked(part))
    assert (status, error["code"]) == (400, "remote_not_allowed")
    assert "--allow-remote" in error["message"]


def test_other_paths_pass_or_are_unknown(serve, upstream):
    with serve() as client:
        assert client.ask("/v1/models")[2] == b'{"ok": 1}'
        assert client.ask("/v1/models/a/b")[0] == 200
        assert client.ask("/api/tags")[0] == 200
        assert client.ask("/v1/models/a%3Fb%20%C3%A9?c=%23&d")[0] == 200
        assert client.ask("/v1/models/../../api/delete")[0] == 404
        assert client.ask("/v1/models/%2e%2e/%2e%2e/api/delete")[0] == 404
        status, error = client.error("/api/delete", {"model": "m"})
        wrong, _ = client.error(CHAT)
    assert [line.split()[1] for line, *_ in upstream.requests] == [
        b"/v1/models", b"/v1/models/a/b", b"/api/tags", b"/v1/models/a%3Fb%20%C3%A9?c=%23&d",
    ]  # fmt: skip
    assert status == 404
    assert "docs/serve.md" in error
    assert wrong == 405


def test_the_log_says_what_was_read(serve, upstream, tmp_path):
    file = tmp_path / "log.jsonl"
    with serve(log_text=file, api_key="secret") as client:
        key = {"Authorization": "Bearer secret"}
        client.ask(CHAT, asked(picture()), key)
        client.ask(CHAT, asked(), key)
    [line] = file.read_text().splitlines()
    [part] = json.loads(line)["parts"]
    assert part["read"] == sent_text(upstream)
    assert part["place"] == "messages[0].content[0]"
    assert "secret" not in line


def sent_text(upstream):
    return json.loads(upstream.requests[0][2])["messages"][0]["content"][0]["text"]


def test_both_shows_the_answer_of_our_model(serve, upstream):
    with serve(show="both", model="nano-digits") as client:
        client.ask(CHAT, asked(picture()))
    text = sent_text(upstream)
    assert "█" in text
    assert "\nA small model says of Picture 1: a handwritten digit: 1 (" in text


def test_health_and_metrics(serve, upstream):
    with serve() as client:
        client.ask(CHAT, asked(picture()))
        health = json.loads(client.ask("/health")[2])
        metrics = client.ask("/metrics")[2].decode()
    assert (health["status"], health["backend"]) == ("ok", "upstream")
    assert 'glyphsight_requests_total{path="/v1/chat/completions",status="200"} 1.0' in metrics
    assert 'glyphsight_parts_total{kind="picture"} 1.0' in metrics


def test_each_thing_in_a_picture_is_said(serve, upstream):
    with serve(show="answer", model="nano-digits") as client:
        client.ask(CHAT, asked(picture(png_of(sample_picture(10)))))
    said = sent_text(upstream).partition(": ")[2].split("; ")
    assert [one.partition(" (")[0] for one in said] == [
        f"a handwritten digit: {digit}" for digit in (4, 2, 7)
    ]


def test_the_header_counts_what_it_does_not_list(serve, upstream):
    with serve(max_parts=100) as client:
        headers = client.ask(CHAT, asked(*[picture()] * 66))[1]
    assert headers["x-glyphsight-read"].count("picture;") == 64
    assert headers["x-glyphsight-read"].endswith(", more=2")


def test_what_a_program_printed_passes(serve, upstream):
    printed = {"type": "shell_call_output", "output": [{"stdout": "a", "stderr": ""}]}
    with serve() as client:
        assert client.ask("/v1/responses", {"input": [printed]})[0] == 200


def test_a_long_conversation_is_read_as_a_short_one(serve, upstream):
    long = [{"role": "user", "content": "x" * 100}] * 1000
    body = asked(picture(), picture())
    body["messages"] += long
    with serve(remember=0, workers=2) as client:
        assert client.ask(CHAT, body)[0] == 200
    assert sent(upstream)["messages"][1:] == long
    assert sent_text(upstream).startswith("Picture 1 (")
