import http.client
import json
import socket
import threading
import time
from contextlib import suppress
from unittest.mock import Mock

import pytest
from serving import png, uri

from glyphsight.inference import words
from glyphsight.serve.server import Protocol

CHAT = "/v1/chat/completions"
BODY = {"messages": []}
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = b"8\r\ndata: 1\n\r\n"


def connect(client, data):
    connection = socket.create_connection(("127.0.0.1", client.port), timeout=10)
    connection.sendall(data)
    return connection


def head(length=None, path=CHAT):
    how = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    return f"POST {path} HTTP/1.1\r\nhost: localhost\r\n{how}\r\n\r\n".encode()


def read_all(connection):
    pieces = []
    try:
        while piece := connection.recv(1 << 16):
            pieces.append(piece)
    except ConnectionResetError:
        pieces.append(b"<reset>")
    connection.close()
    return b"".join(pieces)


def metric(client, name):
    lines = client.ask("/metrics")[2].decode().splitlines()
    return float(next(line for line in lines if line.startswith(name + " ")).split()[1])


def until(true):
    end = time.monotonic() + 5
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused_while_it_comes(serve, upstream, chunked):
    with serve(max_body=2000) as client:
        if chunked:  # endless, as far as the server knows
            connection = connect(client, head() + b"400\r\n" + b"x" * 1024 + b"\r\n")
            connection.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")
        else:
            connection = connect(client, head(10**12))
        said = read_all(connection)
        assert metric(client, "glyphsight_body_bytes_held") == 0
    assert said.startswith(b"HTTP/1.1 413 ")
    assert b"2,000 bytes" in said
    assert not upstream.requests


def test_a_compressed_body_is_refused(serve):
    with serve() as client:
        assert client.ask(CHAT, b"x", {"Content-Encoding": "gzip"})[0] == 415


def test_too_many_pictures_or_pixels_are_refused(serve, upstream):
    part = {"type": "image_url", "image_url": {"url": uri(png())}}
    with serve(max_parts=2, max_pixels=100) as client:
        many = client.error(CHAT, {"messages": [{"role": "user", "content": [part] * 3}]})
        large = client.error(CHAT, {"messages": [{"role": "user", "content": [part]}]})
    assert (many[0], many[1]["code"]) == (413, "too_many_parts")
    assert large[0] == 400
    assert "784 pixels, the limit is 100" in large[1]["message"]
    assert not upstream.requests


def test_files_of_other_machines_count_together(serve, upstream, monkeypatch):
    async def fetch(url, *, max_bytes, timeout, hold):
        hold(len(png()))
        return png()

    monkeypatch.setattr("glyphsight.serve.ask.fetch", fetch)
    part = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    with serve(allow_remote=True, max_body=1024) as client:
        most = 1024 // len(png())
        few, many = (
            client.ask(CHAT, {"messages": [{"content": [part] * count}]})
            for count in (most, most + 1)
        )
        assert metric(client, "glyphsight_body_bytes_held") == 0
    assert (few[0], many[0]) == (200, 413)
    assert len(upstream.requests) == 1


def test_equal_pictures_at_once_are_read_once(serve, upstream, monkeypatch):
    monkeypatch.setattr(words, "load_picture", reads := Mock(side_effect=words.load_picture))
    part = {"type": "image_url", "image_url": {"url": uri(png())}}
    with serve(workers=4) as client:
        assert client.ask(CHAT, {"messages": [{"content": [part] * 12}]})[0] == 200
    assert reads.call_count == 1
    assert upstream.requests[0][2].count(b"Picture ") == 12


@pytest.mark.parametrize("begun", [b"", b"POST /v1", head(100), head(100) + b"{", head()])
def test_a_client_that_sends_nothing_more_is_cut_off(serve, begun):
    with serve(patience=0.3) as client:
        said = read_all(connect(client, begun))
        assert metric(client, "glyphsight_requests_in_progress") == 0
    assert said in (b"", b"<reset>") or said.startswith(b"HTTP/1.1 408 ")


def test_an_endless_head_is_cut_off(serve):
    with serve() as client:
        connection = connect(client, b"GET /health HTTP/1.1\r\nhost: localhost\r\n")
        with suppress(ConnectionError):
            for _ in range(100):
                connection.sendall(b"x: " + b"y" * 1000 + b"\r\n")
        assert read_all(connection) in (b"", b"<reset>")


def test_connections_are_kept_and_pipelines_answered(serve):
    ask = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with serve() as client:
        connection = connect(client, ask * 3)
        said = b""
        while said.count(b'"status"') < 3:
            said += connection.recv(1 << 16)
        connection.sendall(ask[:10])
        connection.sendall(ask[10:-2] + b"connection: close\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 200 ")


def test_a_reply_is_not_held_back_for_the_clients_acknowledgement(serve, monkeypatch):
    made, accept = [], Protocol.connection_made
    monkeypatch.setattr(
        Protocol, "connection_made", lambda self, one: (accept(self, one), made.append(one))[0]
    )
    with serve() as client:
        connection = connect(client, b"")
        until(lambda: made)
        port = made[0].get_extra_info("socket")
        assert port.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        connection.close()


def test_a_full_queue_says_when_to_ask_again(serve, upstream):
    upstream.pieces, upstream.pause = [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"], 0.5
    with serve(queue=2) as client:
        threads = [threading.Thread(target=client.ask, args=(CHAT, BODY)) for _ in range(2)]
        for thread in threads:
            thread.start()
        until(lambda: len(upstream.requests) == 2)
        status, headers, said = client.ask(CHAT, BODY)
        for thread in threads:
            thread.join()
        assert client.ask(CHAT, BODY)[0] == 200
    assert status == 429
    assert headers["retry-after"] == "1"
    assert json.loads(said)["error"]["type"] == "rate_limit_error"


def test_an_upstream_that_is_down_is_told(serve):
    with serve(upstream="http://127.0.0.1:1") as client:
        status, error = client.error(CHAT, BODY)
        ollama = client.error("/api/tags")
    assert (status, error["code"]) == (502, "upstream_unreachable")
    assert ollama[0] == 502
    assert "start it" in ollama[1]


@pytest.mark.parametrize(
    "pieces",
    [
        [b""],
        [b"garbage\r\n\r\n"],
        [b"HTTP/1.1 two hundred\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nbroken"],
        [b"\x16\x03\x01" * 100],
        [b"HTTP/1.1 200 OK\r\nx: " + b"y" * (1 << 18)],
    ],
)
def test_an_upstream_that_sends_no_reply_is_told(serve, upstream, pieces):
    upstream.pieces = pieces
    with serve() as client:
        status, error = client.error(CHAT, BODY)
    assert (status, error["code"]) == (502, "upstream_broken")


def test_an_upstream_that_says_nothing_is_told(serve, upstream):
    upstream.pieces, upstream.pause = [b"", b""], 2
    with serve(timeout=0.2) as client:
        status, error = client.error(CHAT, BODY)
    assert (status, error["code"]) == (504, "upstream_timeout")
    assert "--timeout" in error["message"]


@pytest.mark.parametrize(
    "pieces",
    [
        [STREAM + EVENT],
        [STREAM + EVENT, b"garbage"],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"],
    ],
)
def test_a_reply_that_breaks_off_is_no_whole_one(serve, upstream, pieces, capsys):
    upstream.pieces, upstream.pause = pieces, 0.05
    with serve() as client, pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        client.ask(CHAT, BODY)
    assert "broke off" in capsys.readouterr().err


def test_a_reply_that_stops_is_cut_off(serve, upstream):
    upstream.pieces, upstream.pause = [STREAM + EVENT, b""], 3
    with serve(timeout=0.2) as client:
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            client.ask(CHAT, BODY)
        assert upstream.gone.wait(2)


@pytest.mark.parametrize("begun", [b"", STREAM + EVENT])
def test_a_client_that_goes_away_ends_the_request_to_the_upstream(serve, upstream, begun):
    upstream.pieces, upstream.pause = [begun, b"", b""], 3
    with serve(timeout=60.0) as client:
        connection = connect(client, head(15) + b'{"messages":[]}')
        assert upstream.got.wait(5)
        if begun:
            connection.recv(100)
        connection.close()
        assert upstream.gone.wait(2)
        until(lambda: metric(client, "glyphsight_requests_in_progress") == 0)
        assert metric(client, "glyphsight_clients_gone_total") == 1


def test_a_client_that_takes_nothing_is_cut_off(serve, upstream):
    piece = b"%x\r\n%s\r\n" % (1 << 20, bytes(1 << 20))
    upstream.pieces = [STREAM, *[piece] * 40]
    with serve(patience=0.3) as client:
        connection = connect(client, head(15) + b'{"messages":[]}')
        assert upstream.gone.wait(5)
        until(lambda: metric(client, "glyphsight_requests_in_progress") == 0)
        assert not read_all(connection).endswith(b"0\r\n\r\n")


def test_what_was_begun_is_finished_when_the_server_stops(serve, upstream):
    upstream.pieces, upstream.pause = [STREAM, EVENT, EVENT, b"0\r\n\r\n"], 0.2
    said = []
    with serve() as client:
        asking = threading.Thread(target=lambda: said.append(client.ask(CHAT, BODY)))
        asking.start()
        assert upstream.got.wait(5)
    asking.join()
    [(status, _, body)] = said
    assert (status, body) == (200, b"data: 1\n" * 2)


def test_a_flaw_of_ours_shows_no_trace(serve, monkeypatch, capsys):
    with serve() as client:
        monkeypatch.setattr(client.app.state.backend, "_settings", None)
        status, error = client.error(CHAT, BODY)
    assert (status, error["type"]) == (500, "server_error")
    assert "Trace" not in json.dumps(error)
    assert "Traceback" in capsys.readouterr().err
