"""Settings of the server, with its limits."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from glyphsight.errors import GlyphsightError
from glyphsight.inference.words import ReadSettings
from glyphsight.models.runs import NANO_DIGITS, SIGHT
from glyphsight.settings import setting


@dataclass(frozen=True)
class ServeSettings(ReadSettings):
    """Settings of ``glyphsight serve``, beside those of what an upstream reads.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 for any that is free.
        upstream: URL of an OpenAI-compatible or Ollama server that requests are passed on to; left
            out, the model answers itself.
        model: Model that looks at pictures: its answer is what --show answer shows, and without
            --upstream it answers requests. Left out, nano-digits beside an upstream, else sight.
        sound_model: Run trained on sounds, which answers sounds; left out, a sound is text alone.
        talker: Language model that writes about what the model names, without --upstream; left out,
            the base of the model, where it has one that chats.
        api_key: Key that clients must give as a bearer token, better in GLYPHSIGHT_API_KEY: others
            see a command line.
        upstream_key: Key for the upstream in place of the client's, better in
            GLYPHSIGHT_UPSTREAM_KEY.
        without_key: Consent to serve other machines without an API key.
        allow_host: Further names of this server in the Host header, separated by commas.
        allow_remote: Consent to fetch pictures that a request names by URL.
        max_body: Largest body of a request in bytes.
        max_parts: Largest number of pictures and sounds in a request.
        timeout: Seconds to wait for an upstream that sends nothing, and for replies that are under
            way when the server is stopped.
        patience: Seconds that a client may take to send a request or to take a piece of the reply,
            and another machine to send a remote picture.
        queue: Largest number of requests worked at or waiting; others get 429.
        workers: Threads that turn pictures into text; left out, one for each processor.
        remember: Number of read pictures that are kept, by checksum.
        log_text: File to which one JSON object is appended for each request with pictures: what
            the model read.
        samples: Directory of the dataset that corrections on the page are appended to.
    """

    host: str = "127.0.0.1"
    port: int = setting(8000, low=0, high=65535)
    upstream: str | None = None
    model: str | None = None
    sound_model: str | None = None
    talker: str | None = None
    api_key: str | None = field(default=None, repr=False)
    upstream_key: str | None = field(default=None, repr=False)
    without_key: bool = False
    allow_host: str = ""
    allow_remote: bool = False
    max_body: int = setting(32 << 20, low=1024)
    max_parts: int = setting(32, low=0)
    timeout: float = setting(600.0, above=0)
    patience: float = setting(60.0, above=0)
    queue: int = setting(256, low=1)
    workers: int | None = setting(None, low=1)
    remember: int = setting(256, low=0)
    log_text: str | Path | None = None
    samples: str | Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "model", self.model or (NANO_DIGITS if self.upstream else SIGHT))
        if self.upstream is not None:
            object.__setattr__(self, "upstream", _base(self.upstream))
        if self.upstream and self.talker:
            raise GlyphsightError("the upstream talks; leave --talker or --upstream out")
        for name in ("api_key", "upstream_key"):
            key = getattr(self, name)
            if key is not None and not (key and key.isascii() and key.isprintable()):
                raise GlyphsightError(f"{name} is empty or has odd characters; give another")
        if not (self.api_key or self.without_key or is_loopback(self.host)):
            raise GlyphsightError(
                f"host {self.host} lets other machines in without a key; set GLYPHSIGHT_API_KEY, "
                "or give --without-key where everybody may ask"
            )

    @property
    def hosts(self) -> frozenset[str]:
        """Names in the Host header that are this server's, in lower case; addresses all are."""
        names = {self.host, "localhost", *self.allow_host.split(",")}
        return frozenset(name.strip().lower() for name in names) - {""}


def is_loopback(host: str) -> bool:
    """Tell whether an address to listen on can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _base(url: str) -> str:
    """Return the URL that paths such as /v1/models are appended to."""
    parts = urlsplit(url)
    try:
        right = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number
        right = False
    if not right or parts.query or parts.fragment or parts.username:
        raise GlyphsightError(
            f"upstream {url!r} is no address of a server; give one such as http://localhost:11434"
        )
    return url.rstrip("/").removesuffix("/v1")
