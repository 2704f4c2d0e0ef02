"""``glyphsight serve``: eyes and ears for a text-only model, over HTTP."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from typing import Annotated, Any

from glyphsight.cli.options import PROFILE_LEVELS, Group, make_profile, with_settings
from glyphsight.codec import Profile
from glyphsight.console import say
from glyphsight.extras import need
from glyphsight.inference.words import SHOWN
from glyphsight.serve.settings import ServeSettings
from glyphsight.settings import settings_of

_KEYS = {"api_key": "GLYPHSIGHT_API_KEY", "upstream_key": "GLYPHSIGHT_UPSTREAM_KEY"}


def _settings(**given: Any) -> ServeSettings:
    keys = {name: os.environ[where] for name, where in _KEYS.items() if os.environ.get(where)}
    return ServeSettings(**keys | given)


def _profile(**given: Any) -> Profile:
    return make_profile(**{name: getattr(SHOWN, name) for name in ("format", "invert")} | given)


_TEXT = tuple(
    replace(one, default=getattr(SHOWN, name))
    for name, one in settings_of(Profile).items()
    if name != "width"
)


@with_settings
def serve(
    *,
    settings: Annotated[ServeSettings, Group("Server", make=_settings)],
    profile: Annotated[
        Profile,
        Group(
            "From picture to text, for --upstream",
            fields=tuple(one.name for one in fields(Profile) if one.name != "width"),
            make=_profile,
            extra=(*_TEXT, PROFILE_LEVELS),
        ),
    ],
) -> None:
    """Answer OpenAI's and Ollama's API; pictures and sounds in requests become text.

    With --upstream another server answers, which reads the text; without it the model of --model.

    Example:
        glyphsight serve --upstream http://localhost:11434
    """
    settings = replace(settings, profile=profile)
    with need("serve"):
        from glyphsight.serve.app import create_app
        from glyphsight.serve.server import listen, run
    if settings.upstream is None:
        said = f"{settings.model} answers"
    else:
        reads = {
            "text": "the text of pictures",
            "answer": f"what {settings.model} says of pictures",
            "both": f"the text of pictures and what {settings.model} says of them",
        }
        said = f"{settings.upstream} answers, and reads {reads[settings.show]}"
    with listen(settings.host, settings.port) as port:  # a port that is taken is told first
        if settings.upstream is None or settings.show != "text":
            say(f"glyphsight: loading {settings.model}")
        run(create_app(settings), settings, port, said)
