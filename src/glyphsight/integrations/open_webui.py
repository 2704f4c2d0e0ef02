"""
title: Pictures as text
author: glyphsight
description: A text-only model reads pictures and sounds: they become text before it is asked.
version: 0.1.0
license: Apache-2.0
requirements: glyphsight
"""

from functools import lru_cache
from typing import Any

from pydantic import BaseModel, Field

from glyphsight.integrations.messages import as_text, make_reader

_reader = lru_cache(maxsize=4)(make_reader)  # a model is loaded once, not per request


class Filter:
    """Filter function of Open WebUI. Paste this file whole: Admin Panel, Functions, New."""

    class Valves(BaseModel):
        """Settings in Open WebUI."""

        priority: int = Field(0, description="Place among filters; lower ones go first.")
        models: str = Field(
            "", description="Ids of the models that get text, by commas; empty for all."
        )
        tokens: int = Field(256, ge=1, description="Largest number of tokens per picture.")
        looks: str = Field(
            "",
            description="Model that says beside the text what it sees, such as nano-digits, sight "
            "or the path of a run; empty for the text alone.",
        )
        hears: str = Field("", description="Model of sounds, such as hearing; likewise.")

    def __init__(self) -> None:
        self.valves = self.Valves()

    def inlet(self, body: dict[str, Any], __user__: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the request with text in place of its pictures and sounds.

        Raises:
            PartError: One cannot be read; Open WebUI shows the message.
        """
        valves = self.valves
        models = {name.strip() for name in valves.models.split(",")} - {""}
        if models and body.get("model") not in models:
            return body
        reader = _reader(valves.looks or None, valves.hears or None, tokens=valves.tokens)
        return body | {"messages": as_text(body.get("messages") or [], reader)}
