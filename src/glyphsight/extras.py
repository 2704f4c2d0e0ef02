"""The package's extras: one way to say that something is not installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager

from glyphsight.errors import GlyphsightError

_MODULES = {
    "train": ("torch", "transformers", "peft", "accelerate"),
    "page": ("jinja2", "matplotlib"),
    "audio": ("soundfile", "soxr"),
    "data": ("datasets", "fsspec", "pyarrow"),
    "ray": ("ray",),
    "fast": ("onnxruntime", "onnx"),
    "export": ("onnx", "onnxruntime", "onnxscript", "xllamacpp"),
    "serve": ("starlette", "uvicorn", "aiohttp", "httptools", "jinja2", "prometheus_client"),
}
_INSTALLED_BY = {"page": "train"}


class MissingPackageError(GlyphsightError):
    """A package that an optional part of glyphsight needs is missing or too old."""


def need(part: str, *modules: str) -> AbstractContextManager[None]:
    """Fail early, and without importing anything, where a part's packages are not installed.

    Args:
        part: Name of the extra: ``train``, ``page``, ``audio``, ``data``, ``ray``,
            ``fast``, ``export`` or ``serve``.
        modules: Names of the needed modules; left out, all of the part.

    Returns:
        A context whose failing imports, as of a package that is too old, get the same error.

    Raises:
        MissingPackageError: Names the missing packages and the command that installs them.
    """
    if missing := _lacking(modules or _MODULES[part]):
        raise _missing(f"not installed: {', '.join(missing)}", part)
    return _importing(part)


def installed(part: str) -> bool:
    """Return whether all packages of a part are installed; see :func:`need`."""
    return not _lacking(_MODULES[part])


def _lacking(modules: Iterable[str]) -> list[str]:
    return [name for name in modules if importlib.util.find_spec(name) is None]


@contextmanager
def _importing(part: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise _missing(f"not installed: {error.name}", part) from error
    except ImportError as error:
        raise _missing(str(error), part) from error


def _missing(what: str, part: str) -> MissingPackageError:
    extra = _INSTALLED_BY.get(part, part)
    return MissingPackageError(f"{what}; run: pip install 'glyphsight[{extra}]'")
