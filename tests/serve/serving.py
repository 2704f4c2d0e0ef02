"""Servers and clients on loopback for the tests of serve."""

import asyncio
import base64
import http.client
import io
import json
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from glyphsight.serve.app import create_app
from glyphsight.serve.server import listen, make_server


@dataclass
class Upstream:
    """A server on loopback that records what it reads and answers with ``reply``, byte for byte.

    ``pieces`` are sent one by one with ``pause`` seconds between; then the connection is closed.
    """

    port: int = 0
    requests: list = field(default_factory=list)
    pieces: list = field(default_factory=list)
    pause: float = 0.0
    gone: threading.Event = field(default_factory=threading.Event)
    got: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def replies(self, body=b'{"ok": 1}', head=b"content-type: application/json", status=b"200 OK"):
        length = b"\r\ncontent-length: %d\r\n\r\n" % len(body)
        self.pieces = [b"HTTP/1.1 " + status + b"\r\n" + head + length + body]

    async def serve(self, reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            line, *lines = head[:-4].split(b"\r\n")
            headers = [tuple(one.split(b": ", 1)) for one in lines]
            length = int({k.lower(): v for k, v in headers}.get(b"content-length", 0))
            body = await reader.readexactly(length)
            self.requests.append((line, headers, body))
            self.got.set()
            over = asyncio.ensure_future(reader.read())
            over.add_done_callback(lambda _: self.gone.set())
            for piece in self.pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.wait([over], timeout=self.pause)
            over.cancel()
        except (ConnectionError, asyncio.IncompleteReadError):
            self.gone.set()
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def finish():
    """End all other tasks of a loop."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0.01)  # transports close in the next turn


def wait(loop, work):
    return asyncio.run_coroutine_threadsafe(work, loop).result(20)


class Client:
    """A client of a running server."""

    def __init__(self, port, app=None):
        self.port, self.app = port, app

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path, body=None, headers=(), method=None):
        """Return status, headers and body of a reply; a body that is no bytes is sent as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        given = {"content-type": "application/json"} | dict(headers)
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, data, given)
            with connection.getresponse() as reply:
                return reply.status, dict(reply.getheaders()), reply.read()
        finally:
            connection.close()

    def error(self, path, body=None, **how):
        """Return status and error of a refused request."""
        status, _, said = self.ask(path, body, **how)
        return status, json.loads(said)["error"]


@contextmanager
def served(loop, settings):
    app = create_app(settings)
    port = listen("127.0.0.1", 0)
    server = make_server(app, settings)

    async def start():  # as server.serve does, but for its clock of a tenth of a second
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup([port])

    wait(loop, start())
    try:
        yield Client(port.getsockname()[1], app)
    finally:
        wait(loop, server.shutdown([port]))


def png_of(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def png(value=200, shape=(28, 28)):
    pixels = np.zeros(shape, np.uint8)
    pixels[4:24, 12:16] = value
    return png_of(pixels)


def b64(data):
    return base64.b64encode(data).decode()


def uri(data, kind="image/png"):
    return f"data:{kind};base64,{b64(data)}"
