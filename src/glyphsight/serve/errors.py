"""Errors of the server, each in the shape of the API that was asked."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from glyphsight.errors import GlyphsightError


class ApiError(GlyphsightError):
    """A request that is not answered. The message goes to the client: no path, no key.

    Attributes:
        status: HTTP status.
        message: Problem and fix.
        type: Kind of error in OpenAI's words, by status.
        code: Short name of the problem, for programs.
        param: Place in the request, such as ``messages[0].content[1]``.
        headers: Headers of the reply, such as ``Retry-After``.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.type = _TYPES.get(status, "server_error" if status >= 500 else _INVALID)
        self.headers = headers or {}

    def as_json(self, path: str) -> dict[str, Any]:
        """Return the body of the reply, as the API at ``path`` words its errors."""
        if path.startswith("/api/"):  # Ollama's
            return {"error": self.message}
        said = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": said}

    def response(self, path: str) -> Response:
        """Return the reply to a request of ``path``."""
        body = json.dumps(self.as_json(path))  # in ASCII: it may repeat half a character
        return Response(body, self.status, self.headers, "application/json")


_INVALID = "invalid_request_error"
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
