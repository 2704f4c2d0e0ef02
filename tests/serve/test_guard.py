import json

import pytest

CHAT = "/v1/chat/completions"
BODY = {"messages": []}


OURS = ["127.0.0.1:{}", "localhost:{}", "LOCALHOST", "[::1]:{}", "192.168.1.7", "box.lan"]
NOT_OURS = ["evil.example", "localhost.evil.example:{}", "127.0.0.1.evil.example", "", "::1", "a:b"]
NO_KEYS = [
    {},
    {"Authorization": "Bearer wrong"},
    {"Authorization": "Bearer secre"},
    {"Authorization": "Basic secret"},
    {"Authorization": "secret"},
    {"Authorization": "Bearer \xe9"},
    {"X-Glyphsight-Key": "wrong", "Authorization": "Bearer secret"},
]


def test_names_of_this_server_and_addresses_are_taken(serve):
    with serve(allow_host="box.lan, other") as client:
        for host in OURS:
            assert client.ask(CHAT, BODY, {"Host": host.format(client.port)})[0] == 200, host


@pytest.mark.parametrize("path", [CHAT, "/health", "/metrics", "/nothing"])
def test_another_name_is_refused(serve, upstream, path):
    with serve() as client:
        for host in NOT_OURS:
            given = {"Host": host.format(client.port)}
            status, error = client.error(path, BODY, headers=given)
            assert (status, error["code"]) == (403, "unknown_host"), host
            assert "--allow-host" in error["message"]
    assert not upstream.requests


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1", "file://"])
def test_pages_of_other_sites_may_not_ask(serve, upstream, origin):
    with serve() as client:
        status, error = client.error(CHAT, BODY, headers={"Origin": origin})
        _, headers, _ = client.ask(CHAT, BODY, {"Origin": client.url})
    assert (status, error["code"]) == (403, "other_origin")
    assert len(upstream.requests) == 1
    assert not [name for name in headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("path", [CHAT, "/api/chat", "/metrics", "/nothing"])
def test_without_the_key_nothing_is_answered(serve, upstream, path):
    with serve(api_key="secret") as client:
        for headers in NO_KEYS:
            status, said, body = client.ask(path, BODY, headers)
            assert (status, said["www-authenticate"]) == (401, "Bearer"), headers
            assert "bearer token" in json.dumps(json.loads(body)["error"])
            assert b"secret" not in body
        assert client.ask("/health")[0] == 200
    assert not upstream.requests


def sent_keys(upstream):
    given = {name.lower(): value for name, value in upstream.requests[-1][1]}
    assert b"x-glyphsight-key" not in given
    return given.get(b"authorization")


def test_our_key_stays_here_and_the_upstreams_passes(serve, upstream):
    with serve(api_key="ours") as client:
        assert client.ask(CHAT, BODY, {"Authorization": "bearer ours"})[0] == 200
        assert sent_keys(upstream) is None
        both = {"X-Glyphsight-Key": "ours", "Authorization": "Bearer theirs"}
        assert client.ask(CHAT, BODY, both)[0] == 200
        assert sent_keys(upstream) == b"Bearer theirs"


def test_without_a_key_of_ours_the_clients_passes(serve, upstream):
    with serve() as client:
        client.ask(CHAT, BODY, {"Authorization": "Bearer theirs", "X-Glyphsight-Key": "odd"})
    assert sent_keys(upstream) == b"Bearer theirs"


def test_a_key_for_the_upstream_takes_the_place_of_the_clients(serve, upstream):
    with serve(upstream_key="hosted") as client:
        client.ask(CHAT, BODY, {"Authorization": "Bearer theirs"})
    assert sent_keys(upstream) == b"Bearer hosted"
