"""The server: a port, connections whose clients must be quick, an end that waits for replies."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from glyphsight.console import say
from glyphsight.errors import GlyphsightError
from glyphsight.serve.settings import ServeSettings

_HEAD = 1 << 16  # bytes of the head of a request at most
_IDLE = 30  # seconds that a connection without a request is kept


def listen(host: str, port: int) -> socket.socket:
    """Take a port; raise GlyphsightError where it is taken, or there is no such address here."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        if isinstance(error, socket.gaierror):
            fix = "no such name; give an address of this machine to --host"
        elif error.errno == errno.EADDRINUSE:
            fix = "another program listens there; give another --port, or --port 0 for a free one"
        elif error.errno == errno.EACCES:
            fix = "ports below 1024 are the administrator's; give another --port"
        else:
            fix = f"{os.strerror(error.errno or 0)}; give an address of this machine to --host"
        raise GlyphsightError(f"{host}:{port}: cannot listen there: {fix}") from None


class Protocol(HttpToolsProtocol):
    """Connections that are cut where the head of a request is late or too long."""

    def __init__(self, *given: Any, patience: float, **named: Any) -> None:
        super().__init__(*given, **named)
        self._patience, self._head = patience, 0
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for the first request."""
        super().connection_made(transport)
        # asyncio leaves it out on sockets of socket.create_server: 40 ms between head and body
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._late = self.loop.call_later(self._patience, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        super().connection_lost(exc)
        self._in_time()

    def on_message_begin(self) -> None:
        """Let the application cut the connection."""
        super().on_message_begin()
        self.scope["extensions"] = {"glyphsight.abort": self.transport.abort}  # type: ignore[dict-item]

    def on_headers_complete(self) -> None:
        """Stop waiting: the head is there."""
        self._in_time()
        self._head = 0
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Read on; count what belongs to no request yet."""
        super().data_received(data)
        cycle = self.cycle
        if self.transport.is_closing() or (cycle is not None and cycle.more_body):
            return
        if cycle is None or cycle.response_complete:
            self._head += len(data)
            if self._late is None:
                self._late = self.loop.call_later(self._patience, self.transport.abort)
        elif self._head:  # the beginning of a further request, before the reply to this one
            self._head += len(data)
        if self._head > _HEAD:
            self.transport.abort()

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say so once requests are answered."""
        await super().startup(sockets)
        if self.started:
            self._started()


def make_server(
    app: Starlette, settings: ServeSettings, started: Callable[[], None] = lambda: None
) -> uvicorn.Server:
    """Make the server of an application; its ``serve`` takes sockets."""
    config = uvicorn.Config(
        app,
        http=partial(Protocol, patience=settings.patience),  # type: ignore[arg-type]
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=max(1, round(settings.timeout)),
    )
    return _Server(config, started)


def run(app: Starlette, settings: ServeSettings, port: socket.socket, said: str) -> None:
    """Serve until the process is told to stop, then finish what was begun.

    Raises:
        GlyphsightError: A model cannot be loaded.
    """
    host, number = port.getsockname()[:2]
    where = f"[{host}]" if ":" in host else host
    line = f"glyphsight: http://{where}:{number}: {said}"
    server = make_server(app, settings, lambda: say(line))
    try:
        asyncio.run(server.serve([port]))
    except SystemExit:  # of uvicorn, where the start failed
        if (failed := getattr(app.state, "failed", None)) is None:
            raise
        raise failed from None
