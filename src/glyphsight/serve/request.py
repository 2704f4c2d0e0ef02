"""The seam between the server and what answers: a request whose pictures are text, a backend."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import Scope

from glyphsight.inference.words import Read


@dataclass(frozen=True)
class Incoming:
    """A request for a backend: checked, its pictures replaced by text."""

    method: str  # HTTP method
    path: str  # path without the query, such as ``/v1/chat/completions``
    query: str = ""  # text after the question mark, "" without one
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)  # without this server's key
    body: bytes = b""  # for the upstream: the bytes that came, where nothing was replaced
    reads: tuple[Read, ...] = ()  # pictures and sounds of the request, in order

    @cached_property
    def payload(self) -> Any:
        """JSON value of the body, pictures replaced; an object for every POST."""
        return json.loads(self.body)


class Backend(Protocol):
    """Something that answers requests of the APIs."""

    name: str

    async def handle(self, request: Incoming) -> Response:
        """Answer a request of any path in ``app.PASSED``; cancelled when the client goes away.

        Raises:
            ApiError: The request is not answered; it is told in the API's own shape.
        """

    async def start(self) -> None:
        """Get ready: load a model, open a pool of connections."""

    async def close(self) -> None:
        """Give back what :meth:`start` took."""


def abort(scope: Scope) -> None:
    """Cut the connection of a request, so that its client notices that the reply is not whole."""
    cut = scope.get("extensions", {}).get("glyphsight.abort")  # of server.Protocol
    if cut is not None:
        cut()
