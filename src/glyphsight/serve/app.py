"""The application: routes, what each request must pass, how it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from glyphsight.serve.errors import ApiError
from glyphsight.serve.request import Backend, Incoming
from glyphsight.serve.settings import ServeSettings
from glyphsight.version import __version__

ASKED = (
    "/v1/chat/completions", "/v1/completions", "/v1/responses", "/api/chat", "/api/generate",
)  # fmt: skip
"""Paths of requests that may hold pictures and sounds; POST."""
PASSED = (*ASKED, "/v1/models", "/v1/models/{model:path}", "/api/tags", "/api/version", "/api/show")
"""Paths that a backend answers."""


class NoBackend:
    """Stands where no backend is; every request gets 503."""

    name = "none"

    async def handle(self, request: Incoming) -> Response:
        """Refuse."""
        raise ApiError(503, "no model answers here; give --upstream URL")

    async def start(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""


def create_app(
    settings: ServeSettings, backend: Backend | None = None, routes: Sequence[BaseRoute] = ()
) -> Starlette:
    """Make the application.

    Args:
        settings: Settings of the server.
        backend: Backend that answers; None for the one that the settings mean.
        routes: Further routes, such as the page's; all checks hold for them too.
    """
    behind = backend or NoBackend()

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok", "version": __version__, "backend": behind.name})

    async def passed(request: Request) -> Response:
        try:
            return await behind.handle(
                Incoming(
                    request.method,
                    request.url.path,
                    request.url.query,
                    request.headers.raw,
                    await request.body(),
                )
            )
        except ApiError as error:
            return error.response(request.url.path)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await behind.start()
        yield
        await behind.close()

    app = Starlette(
        routes=[
            Route("/health", health),
            *(Route(path, passed, methods=["GET", "POST"]) for path in PASSED),
            *routes,
        ],
        lifespan=lifespan,
    )
    app.state.settings = settings
    return app
