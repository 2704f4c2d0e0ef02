"""Fetch a picture or sound from the public internet, and from nowhere else.

One parser reads a URL, and the very object that was checked is sent. A host is looked up once,
every address it has must be public, and a socket opens to those addresses alone: a name that leads
elsewhere the next time leads nowhere. Each redirect passes the same checks. Not covered: a network
whose own NAT64 prefix maps public-looking IPv6 addresses to private IPv4 ones.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from glyphsight.serve.errors import ApiError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]
OpenSocket = Callable[[Any], socket.socket]
Hold = Callable[[int], None]

_PORTS = (80, 443)  # A picture on the public web; no other service is spoken to.
_REDIRECTS = 5
_LONGEST = 8000  # characters of a URL; signed ones are long
_HEADERS = {
    "Accept": "image/*, audio/*",
    # Bytes come as they are: nothing to unpack, so nothing that unpacks to more than the limit.
    "Accept-Encoding": "identity",
    "User-Agent": "glyphsight",
}
_INSTEAD = "send the data itself, as a data: URI"
_URL = "the URL"
_REDIRECT = "a redirect of the URL"
_LOOKUPS = ThreadPoolExecutor(8, "glyphsight-lookup")  # their own: a hung one cannot be stopped

# Labels of letters, digits and hyphens, at least two (one alone is a name of the local network);
# the last has a letter and is no hexadecimal number, else the system may read the name as an
# address: 127.1, 0177.0.0.1, 0x7f.1.
_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+"
    r"(?!0x[0-9a-f]*\Z)(?=[a-z0-9-]*[a-z])[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])\Z"
)
_LOCAL_NAMES = (".localhost", ".localdomain", ".local", ".internal", ".home.arpa")

# Beside what ``ipaddress`` of this Python knows, whose tables lack newer entries of the registry.
_NOT_PUBLIC_4 = [
    ipaddress.IPv4Network(text)
    for text in (
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata are at .192
        "192.88.99.0/24",  # relays of 6to4
        "168.63.129.16/32",  # Azure's host agent, at a public address
    )
]
_PUBLIC_6 = ipaddress.IPv6Network("2000::/3")  # all that is given out to the public internet
_NOT_PUBLIC_6 = [
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside
        "3fff::/20",  # documentation
    )
]
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # where a network has IPv6 alone: IPv4 inside


def is_public(address: Address) -> bool:
    """Tell whether an address, and any IPv4 address inside it, belongs to the public internet."""
    if isinstance(address, ipaddress.IPv4Address):
        special = address.is_multicast or address.is_reserved
        return (
            address.is_global and not special and not any(address in net for net in _NOT_PUBLIC_4)
        )
    if address in _NAT64:
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return (
        address in _PUBLIC_6
        and address.is_global
        and not address.scope_id
        and not any(address in net for net in _NOT_PUBLIC_6)
        and (int(address) >> 32) & 0xFDFFFFFF != 0x5EFE  # ISATAP: an IPv4 address inside
    )


async def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a host, none where it has none or the lookup fails."""
    call = asyncio.get_running_loop().run_in_executor
    try:
        found = await call(
            _LOOKUPS, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def fetch(
    url: str,
    *,
    max_bytes: int,
    timeout: float,
    resolve: Resolve = look_up,
    open_socket: OpenSocket = lambda info: socket.socket(*info[:3]),
    hold: Hold = lambda count: None,
) -> bytes:
    """Fetch what a URL leads to, if it is a picture or sound on the public internet.

    Args:
        url: An ``http`` or ``https`` URL on port 80 or 443, without user name or password.
        max_bytes: Size limit of the body, in bytes.
        timeout: Time limit of everything together, redirects too, in seconds.
        resolve: Lookup of a host's addresses, called once for each URL.
        open_socket: Maker of an unconnected socket from one entry of ``getaddrinfo``, called for
            checked addresses alone.
        hold: Count of the bytes of a body, called before each piece is kept; may raise.

    Returns:
        The body, as it came.

    Raises:
        ApiError: 400 where the URL is refused, leads to something that is refused or to more than
            ``max_bytes``; 502 where the remote server fails; 504 where it takes too long. No
            message holds an address or a redirect's target, or tells a private name from none.
    """
    try:
        async with asyncio.timeout(timeout):
            target, subject = _parse(url), _URL
            for _ in range(_REDIRECTS + 1):
                addresses = await _public_addresses(target, subject, resolve)
                found = await _get(target, addresses, max_bytes, open_socket, hold)
                if isinstance(found, bytes):
                    return found
                target, subject = found, _REDIRECT
    except TimeoutError:
        raise ApiError(
            504, f"{_URL} gave no complete answer in {timeout:g} s: try again, or {_INSTEAD}"
        ) from None
    except (aiohttp.ClientError, OSError):
        # Their messages hold addresses.
        raise _failed("cannot be reached, or broke off") from None
    raise _refused(_URL, f"redirects more than {_REDIRECTS} times", "give the last URL")


async def _get(
    target: URL, addresses: Collection[Address], max_bytes: int, open_socket: OpenSocket, hold: Hold
) -> bytes | URL:
    """Ask one checked URL, and return its body or the checked URL that it redirects to.

    Each has a session of its own: no cookie and no connection outlives it.
    """

    def guarded(info: Any) -> socket.socket:
        # The last step before a connection, whatever chose the address.
        if ipaddress.ip_address(info[4][0]) not in addresses:
            raise OSError("not a checked address")
        return open_socket(info)

    connector = aiohttp.TCPConnector(
        resolver=_Pinned(addresses), use_dns_cache=False, force_close=True, socket_factory=guarded
    )
    async with (
        aiohttp.ClientSession(
            connector=connector,
            headers=_HEADERS,
            trust_env=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),  # the caller's covers all
        ) as session,
        session.get(target, allow_redirects=False) as response,
    ):
        if response.status in (301, 302, 303, 307, 308):
            return _parse(response.headers.get("Location", ""), base=target)
        return await _body(response, max_bytes, hold)


async def _body(response: aiohttp.ClientResponse, max_bytes: int, hold: Hold) -> bytes:
    """Return the body of an answer that is a picture or sound within the limit."""
    if response.status != 200:
        raise _failed(f"answers with status {response.status}")
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise _failed("answers with a compressed body, though asked for a plain one")
    kind = response.content_type
    if not kind.startswith(("image/", "audio/")) and not kind.endswith("/octet-stream"):
        raise _refused(_URL, "is neither a picture nor a sound", "give the file's own URL")
    body = bytearray()
    too_large = _refused(_URL, f"holds more than {max_bytes} bytes", "send a smaller file")
    if (response.content_length or 0) > max_bytes:
        raise too_large
    async for chunk in response.content.iter_any():
        if len(body) + len(chunk) > max_bytes:
            raise too_large
        hold(len(chunk))
        body += chunk
    return bytes(body)


def _parse(text: str, base: URL | None = None) -> URL:
    """Return a URL whose text, scheme, user, port and host may be used; lookups come later.

    With ``base`` it is the target of a redirect, which no message repeats.
    """
    subject = _URL if base is None else _REDIRECT
    if not 0 < len(text) <= _LONGEST:
        raise _refused(subject, f"does not have 1 to {_LONGEST} characters", _INSTEAD)
    # What parsers read differently.
    if not text.isprintable() or " " in text or "\\" in text:
        raise _refused(subject, "holds a space, backslash or control character", "escape it")
    try:
        url = URL(text) if base is None else base.join(URL(text))
        scheme, user, port = url.scheme, "@" in url.raw_authority, url.port
    except ValueError:
        raise _refused(subject, "is not a URL", "write https://host/path") from None
    if scheme not in ("http", "https"):
        raise _refused(subject, "is neither http nor https", "write https://host/path")
    if base is not None and (base.scheme, scheme) == ("https", "http"):
        raise _refused(subject, "leads from https to http", "give a URL that stays on https")
    if user:
        raise _refused(subject, "holds a user name or password", "leave it out")
    if port not in _PORTS:
        raise _refused(subject, "names a port other than 80 and 443", _INSTEAD)
    host = url.raw_host or ""
    if address := _literal(host):
        usable = is_public(address)
    else:
        usable = bool(_NAME.match(host)) and not host.endswith(_LOCAL_NAMES)
    if not usable:
        raise _no_public_host(subject)
    return url


async def _public_addresses(url: URL, subject: str, resolve: Resolve) -> list[Address]:
    """Return the addresses of a checked URL's host, all of them public."""
    host, port = url.raw_host or "", url.port or 0
    literal = _literal(host)
    found = [literal] if literal else [_literal(text) for text in await resolve(host, port)]
    addresses = [address for address in found if address is not None and is_public(address)]
    # One that is not public refuses them all: a mixed answer is an attack or a mistake.
    if not found or len(addresses) < len(found) or any(map(_is_own, addresses)):
        raise _no_public_host(subject)
    return addresses


def _literal(host: str) -> Address | None:
    """Return the address that a host is, in its one canonical form, or None where it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_own(address: Address) -> bool:
    """Tell whether an address is this machine's own; sends nothing."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        # A service here is open to itself where a firewall shuts it to others.
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return ipaddress.ip_address(probe.getsockname()[0]) == address
    except OSError:
        return False


class _Pinned(AbstractResolver):
    """Answers with addresses that are known and checked; looks nothing up."""

    def __init__(self, addresses: Collection[Address]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        pass


def _refused(subject: str, reason: str, fix: str) -> ApiError:
    return ApiError(400, f"{subject} {reason}: {fix}")


def _no_public_host(subject: str) -> ApiError:
    # One message for a name that is unknown and one that is private: nobody learns which exist.
    return _refused(
        subject, "names no host with a public address", f"check the host, or {_INSTEAD}"
    )


def _failed(reason: str) -> ApiError:
    return ApiError(502, f"{_URL} {reason}: check that it opens in a browser, or {_INSTEAD}")
