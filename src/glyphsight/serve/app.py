"""The application: its routes, what it is made of, its start and its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from glyphsight.files import JsonLog
from glyphsight.serve.ask import Ask, AskWhole
from glyphsight.serve.drawings import DRAWINGS
from glyphsight.serve.embedded import Embedded
from glyphsight.serve.errors import ApiError, as_api_error
from glyphsight.serve.eye import Eye, open_model
from glyphsight.serve.guard import Guard
from glyphsight.serve.metrics import Metrics
from glyphsight.serve.page import STEPS, Page
from glyphsight.serve.request import Backend
from glyphsight.serve.settings import ServeSettings
from glyphsight.serve.upstream import Upstream
from glyphsight.version import __version__

ASKED = (
    "/v1/chat/completions", "/v1/completions", "/v1/responses", "/api/chat", "/api/generate",
)  # fmt: skip
"""Paths of requests that may hold pictures and sounds."""
PASSED = {
    "/v1/models": "GET",
    "/v1/models/{model:path}": "GET",
    "/v1/embeddings": "POST",
    DRAWINGS: "POST",
    "/api/tags": "GET",
    "/api/ps": "GET",
    "/api/version": "GET",
    "/api/show": "POST",
    "/api/embed": "POST",
}
"""Further paths that a backend answers, with their method."""


def create_app(settings: ServeSettings) -> Starlette:
    """Make the application.

    Its ``state`` holds ``settings``, ``eye`` and ``backend``.

    Raises:
        GlyphsightError: A model is unknown, the file of --log-text cannot be written, or
            --samples holds another dataset.
    """
    looks = settings.show != "text" or settings.upstream is None
    model = open_model(settings.model, "--model", settings.talker) if looks else None
    ears = settings.sound_model and open_model(settings.sound_model, "--sound-model")
    bare = model.trained.profile if model and settings.upstream is None else None
    eye = Eye(settings, model, ears or None, bare)
    behind: Backend
    if settings.upstream:
        behind = Upstream(settings)
    else:
        assert model is not None
        behind = Embedded(model, eye.ears)
    metrics = Metrics()
    log = settings.log_text and JsonLog(Path(settings.log_text), {"written_by": "glyphsight serve"})
    ask = Ask(settings, behind.handle, eye, metrics, log or None)
    page = Page(settings, eye)
    drawn = AskWhole(settings, page.handle, eye, metrics)

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok", "version": __version__, "backend": behind.name})

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        try:
            await eye.start()
            await behind.start()
        except Exception as error:
            app.state.failed = error
            raise
        yield
        await behind.close()
        eye.close()
        if log:
            log.close()

    app = Starlette(
        routes=[
            Route("/health", health),
            Route("/metrics", metrics.page),
            *(Route(path, ask, methods=["POST"]) for path in ASKED),
            *(Route(path, ask, methods=[method]) for path, method in PASSED.items()),
            *(Route(f"/page/{step}", drawn, methods=["POST"]) for step in STEPS),
            *page.routes,
        ],
        middleware=[Middleware(Guard, settings)],
        exception_handlers={ApiError: _told, HTTPException: _told, Exception: _told},
        lifespan=lifespan,
    )
    app.state.settings, app.state.eye, app.state.backend = settings, eye, behind
    return app


async def _told(request: Request, error: Exception) -> Response:
    return as_api_error(error).response(request.url.path)
