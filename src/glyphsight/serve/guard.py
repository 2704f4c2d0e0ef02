"""What every request must pass before a route sees it: Host, Origin, key."""

from __future__ import annotations

import hmac
import ipaddress

from starlette.types import ASGIApp, Receive, Scope, Send

from glyphsight.serve.errors import ApiError
from glyphsight.serve.settings import ServeSettings

KEY_HEADER = b"x-glyphsight-key"
"""Header for this server's key where the bearer token is the upstream's."""
# asked by machines that watch, and by a browser before its user gives the key
_OPEN = ("/health", "/", "/page/page.css", "/page/page.js", "/page/pad.js", "/page/cells.woff")


class Guard:
    """Refuses requests to another name, from another site's page, or without the key.

    The key is taken out of the headers: nothing behind sees it.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app, self._settings = app, settings
        self._hosts = settings.hosts
        self._key = None if settings.api_key is None else settings.api_key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request and let it pass."""
        if scope["type"] == "http":
            try:
                self._check(scope)
            except ApiError as error:
                error.headers["Connection"] = "close"  # what else the client sends is not read
                await error.response(scope["path"])(scope, receive, send)
                return
        elif scope["type"] != "lifespan":
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or not self._known(_name(hosts[0])):
            raise ApiError(
                403,
                "this server does not go by the name in the Host header; ask it by its address, "
                "or start it with --allow-host NAME",
                code="unknown_host",
            )
        for name, value in headers:
            if name == b"origin" and value.lower().split(b"://")[-1] != hosts[0].lower():
                raise ApiError(
                    403, "pages of other sites may not ask; ask from a program", code="other_origin"
                )
        if self._key is not None and scope["path"] not in _OPEN:
            self._check_key(headers)
        headers[:] = [one for one in headers if one[0] != KEY_HEADER]

    def _known(self, host: str) -> bool:
        """Tell whether a name is ours; an address cannot be bound to another, as names can."""
        try:
            ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return host in self._hosts
        return True

    def _check_key(self, headers: list[tuple[bytes, bytes]]) -> None:
        carrier = KEY_HEADER
        given = [value for name, value in headers if name == carrier]
        if not given:
            carrier = b"authorization"
            given = [
                value[7:].strip()
                for name, value in headers
                if name == carrier and value[:7].lower() == b"bearer "
            ]
        assert self._key is not None
        if len(given) != 1 or not hmac.compare_digest(given[0], self._key):
            said = "no API key, or not this server's; give it as a bearer token"
            bearer = {"WWW-Authenticate": "Bearer"}
            raise ApiError(401, said, code="invalid_api_key", headers=bearer)
        headers[:] = [one for one in headers if one[0] != carrier]  # it may be authorization


def _name(host: bytes) -> str:
    """Return the name in a Host header, without its port."""
    text = host.decode("latin-1").lower()
    name, colon, port = text.rpartition(":")
    return name if colon and port.isdigit() else text
