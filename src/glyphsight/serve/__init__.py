"""The server: pictures and sounds in a request become text for a text-only model."""
