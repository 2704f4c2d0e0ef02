import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

import glyphsight as package
from glyphsight.cli.app import app
from glyphsight.errors import GlyphsightError


@contextmanager
def running(*arguments, **variables):
    """A server in a process of its own, the line that tells its address, and its port."""
    home = str(Path(package.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "glyphsight", "serve", "--port", "0", *arguments],
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": home} | variables,
    )
    try:
        lines = iter(process.stderr.readline, b"")
        line = next(line for line in lines if b"http://127" in line).decode()
        yield process, line, int(re.search(r"http://127.0.0.1:(\d+): ", line)[1])
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def get(port, path, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers=headers)
    with connection.getresponse() as reply:
        reply.read()
    connection.close()
    return reply.status


def test_the_first_line_says_what_is_served_keys_stay_secret_and_a_signal_ends_it():
    keys = {"GLYPHSIGHT_API_KEY": "secret", "GLYPHSIGHT_UPSTREAM_KEY": "other"}
    arguments = "--upstream", "http://127.0.0.1:1", "--model", "nano-digits"
    with running(*arguments, **keys) as (process, line, port):
        assert "http://127.0.0.1:1 answers, and reads the text of pictures and what nano-" in line
        assert "secret" not in line
        assert get(port, "/v1/models") == 401
        assert get(port, "/v1/models", Authorization="Bearer secret") == 502
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM)
        assert process.stderr.read() == b""


def refused(*arguments):
    """Return what the command says where it ends at once."""
    done = CliRunner().invoke(app, ["serve", "--port", "0", *arguments])
    if not isinstance(done.exception, GlyphsightError):
        assert done.exit_code == 2
        return " ".join(done.output.split())
    return str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "nano-digits", "--talker", "nano-digits"], "has no chat template"),
        (["--upstream", "http://127.0.0.1:1", "--show", "text", "--tokenizer", "none"], "none"),
        (["--upstream", "http://127.0.0.1:1", "--show", "text", "--format", "half"], "half"),
    ],
)
def test_what_fails_while_it_starts_is_said(arguments, said):
    assert said in refused(*arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--upstream", "localhost:11434"], "give one such as http://localhost:11434"),
        (["--host", "0.0.0.0"], "GLYPHSIGHT_API_KEY"),
        (["--host", "no.such.host.invalid", "--without-key"], "--host"),
        (["--host", "203.0.113.1", "--without-key"], "--host"),
        (["--model", "sigt"], "--model sigt: no such directory here; give sight"),
        (["--model", "smollm2-135m"], "labels are not known; give --model sight"),
        (["--show", "all"], "text, answer, both"),
        (["--upstream", "http://a", "--format", "mosaic"], "plain"),
    ],
)
def test_what_cannot_be_served_is_told_at_once_with_the_fix(arguments, said):
    assert said in refused(*arguments)


def test_a_port_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = refused("--upstream", "http://a", "--port", port)
    assert f"127.0.0.1:{port}: cannot listen there: another program" in said
    assert "--port 0" in said
