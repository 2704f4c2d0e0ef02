"""Callback of LiteLLM: pictures and sounds become text for models that do not see.

In Python ``litellm.callbacks = [Eyes()]``; in the proxy's file::

    litellm_settings:
      callbacks: glyphsight.integrations.litellm.eyes
"""

from __future__ import annotations

import asyncio
from typing import Any

import litellm
from litellm.integrations.custom_logger import CustomLogger

from glyphsight.integrations.messages import as_text, make_reader

_CALLS = ("completion", "acompletion")


class Eyes(CustomLogger):
    """Turns the pictures of a request into text, once a model is chosen and before it is asked.

    A model that sees, by LiteLLM's own table, is left its pictures.

    Args:
        given: What :func:`~glyphsight.integrations.messages.make_reader` takes.
    """

    def __init__(self, **given: Any) -> None:
        super().__init__()
        self._reader = make_reader(**given)

    async def async_pre_call_deployment_hook(
        self, kwargs: dict[str, Any], call_type: Any
    ) -> dict[str, Any] | None:
        """Return the arguments of the call with text in place of pictures; None leaves them.

        Raises:
            PartError: A picture cannot be read; names its place in the request.
        """
        messages, provider = kwargs.get("messages"), kwargs.get("custom_llm_provider")
        if not messages or getattr(call_type, "value", call_type) not in _CALLS:
            return None
        if litellm.supports_vision(kwargs.get("model") or "", provider):
            return None
        read = await asyncio.to_thread(as_text, messages, self._reader)
        return kwargs | {"messages": read}


eyes = Eyes()
"""The callback with its defaults, for the proxy's file."""
