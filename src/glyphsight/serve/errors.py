"""Errors of the server, each in the shape of the API that was asked."""

from __future__ import annotations

import json
import traceback

from starlette.exceptions import HTTPException
from starlette.responses import Response

from glyphsight.errors import GlyphsightError
from glyphsight.inference.parts import PartError


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
        self.type = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
        self.headers = headers or {}

    def response(self, path: str) -> Response:
        """Return the reply to a request of ``path``, as the API there words its errors."""
        said = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        told = self.message if path.startswith("/api/") else said  # Ollama's is the message alone
        body = json.dumps({"error": told})  # in ASCII: it may repeat half a character
        return Response(body, self.status, self.headers, "application/json")


_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


def as_api_error(error: Exception) -> ApiError:
    """Return what a client is told; a flaw of ours is printed for who runs the server."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, PartError):
        return ApiError(400, str(error), code=error.code, param=error.param)
    if isinstance(error, HTTPException):
        fix = {404: "there is nothing here; see docs/serve.md for the paths"}
        said = fix.get(error.status_code, error.detail)
        return ApiError(error.status_code, said, headers=dict(error.headers or {}))
    traceback.print_exception(error)
    return ApiError(500, "the server failed; look at what it printed")
