"""Where the work of a build is done: in processes of this machine, or on a Ray cluster."""

from glyphsight.parallel.base import ENGINES, Engine, open_engine

__all__ = ["ENGINES", "Engine", "open_engine"]
