"""The backend that passes requests on to another server, and its replies back as they come."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import aiohttp
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from yarl import URL

from glyphsight.console import say
from glyphsight.serve.errors import ApiError
from glyphsight.serve.request import Incoming, abort
from glyphsight.serve.settings import ServeSettings

Headers = list[tuple[bytes, bytes]]

_HOP_BY_HOP = frozenset((
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization",
    b"proxy-connection", b"te", b"trailer", b"trailers", b"transfer-encoding", b"upgrade",
))  # fmt: skip
_OURS = frozenset((b"host", b"content-length", b"expect"))  # made again for the upstream
_AS_IT_IS = "%/?:@!$&'()*+,;=~[]"  # in a query
_IDLE = 3.0  # seconds; servers close idle connections after five, some without a word


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Leave out the headers that concern one connection (RFC 9110, section 7.6.1)."""
    headers = [(name.lower(), value) for name, value in headers]
    named = {
        one.strip().lower()
        for name, value in headers
        if name == b"connection"
        for one in value.split(b",")
    }
    return [(name, value) for name, value in headers if name not in _HOP_BY_HOP | named]


def _end_with_its_connection(reply: aiohttp.ClientResponse) -> None:
    """Let a body end where its connection does: after a bad chunk aiohttp waits for ever."""
    content, connection = reply.content, reply.connection
    protocol = None if connection is None else connection.protocol
    closed = None if protocol is None else protocol.closed

    def end(over: asyncio.Future[None] | None) -> None:
        if over is not None and not over.cancelled():
            over.exception()  # taken note of
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("the connection closed"))

    if closed is not None:
        closed.add_done_callback(end)
    elif connection is not None:
        end(None)


class _Passing(Response):
    """A reply of the upstream: status, headers and bytes as they come."""

    def __init__(self, reply: aiohttp.ClientResponse) -> None:
        self.status_code = reply.status
        self.raw_headers = end_to_end(reply.raw_headers)
        self.background = None
        self._reply = reply
        _end_with_its_connection(reply)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the reply; where the upstream breaks off, return without the end of it."""
        start = {"type": "http.response.start", "status": self.status_code}
        reply = self._reply
        try:
            await send(start | {"headers": self.raw_headers})
            async for chunk in reply.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            say(f"glyphsight: the upstream broke off a reply ({type(error).__name__})")
            abort(scope)
        finally:
            reply.close() if not reply.content.at_eof() else reply.release()


class Upstream:
    """Another server behind this one."""

    name = "upstream"
    _session: aiohttp.ClientSession
    _fresh: aiohttp.ClientSession  # whose connections are not kept

    def __init__(self, settings: ServeSettings) -> None:
        assert settings.upstream is not None
        self._base, self._settings = settings.upstream, settings

    async def start(self) -> None:
        """Open a pool of connections."""
        wait = self._settings.timeout

        def session(**how: Any) -> aiohttp.ClientSession:
            return aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, **how),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=min(10, wait), sock_read=wait
                ),
                max_line_size=1 << 16,
                max_field_size=1 << 16,
            )

        self._session, self._fresh = session(keepalive_timeout=_IDLE), session(force_close=True)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()
        await self._fresh.close()

    async def handle(self, request: Incoming) -> Response:
        """Pass a request on and return the reply, whose bytes are still to come.

        Raises:
            ApiError: The upstream cannot be reached, says nothing in time or no HTTP.
        """
        if any(one in (".", "..") for one in request.path.split("/")):
            raise ApiError(404, "there is nothing here; leave dots out of the path")
        query = f"?{quote(request.query, safe=_AS_IT_IS)}" if request.query else ""
        path = quote(request.path, safe="/:@")  # it came decoded
        url = URL(f"{self._base}{path}{query}", encoded=True)
        body = request.body if request.method == "POST" else None
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in self._headers(request.headers)
        ]
        asked = request.method, url
        how: dict[str, Any] = {"headers": headers, "data": body, "allow_redirects": False}
        try:
            try:
                reply = await self._session.request(*asked, **how)
            except aiohttp.ClientConnectorError:
                raise
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionResetError):
                # it closed a kept connection just as we wrote, and maybe others too
                reply = await self._fresh.request(*asked, **how)
        except TimeoutError:
            said = "the upstream said nothing in time; ask for less, or raise --timeout"
            raise ApiError(504, said, code="upstream_timeout") from None
        except aiohttp.ClientConnectorError:
            said = "the upstream cannot be reached; start it"
            raise ApiError(502, said, code="upstream_unreachable") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            said = f"the upstream gave no reply in HTTP ({type(error).__name__}); look at its log"
            raise ApiError(502, said, code="upstream_broken") from None
        return _Passing(reply)

    def _headers(self, headers: Headers) -> Headers:
        passed = [one for one in end_to_end(headers) if one[0] not in _OURS]
        if (key := self._settings.upstream_key) is not None:
            passed = [one for one in passed if one[0] != b"authorization"]
            passed.append((b"authorization", f"Bearer {key}".encode()))
        return passed
