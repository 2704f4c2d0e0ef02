"""The location in a SPEC: a folder, file or glob, local or remote, and options."""

from __future__ import annotations

import glob
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from glyphsight.errors import DatasetError
from glyphsight.extras import need
from glyphsight.files import matching, normal
from glyphsight.media.picture import MAX_PIXELS
from glyphsight.sources.base import naming

_ALIASES = {
    "train": ("train", "training", "trn"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "tst", "eval", "evaluation"),
}
_SPLITS = {alias: split for split, aliases in _ALIASES.items() for alias in aliases}
_FILLERS = {"set", "data", "dataset", "split", "images", "image", "imgs", "pictures", "files"}
_VERSION = re.compile(r"v\d+|(19|20)\d\d")
_OPTIONS = re.compile(r"[a-z]+=[^&]*(&[a-z]+=[^&]*)*")


def split_options(location: str) -> tuple[str, dict[str, str]]:
    """Split a location from ``?name=value&name=value`` at its end."""
    path, _, query = location.rpartition("?")
    if not path or not _OPTIONS.fullmatch(query):
        return location, {}
    return path, dict(pair.split("=", 1) for pair in query.split("&"))


def take_options(location: str, *names: str) -> tuple[str, dict[str, str]]:
    """Take the options off a location.

    Raises:
        DatasetError: An option is none of ``names``. The query of a URL may hold any.
    """
    path, options = split_options(location)
    unknown = sorted(set(options) - set(names))
    if unknown and "://" in path:
        return location, {}
    if unknown:
        raise DatasetError(f"unknown option {unknown[0]!r}; take one of {', '.join(names)}")
    return path, options


def directory(location: str, give: str) -> Path:
    """Return the local directory that a location names."""
    path = Path(location)
    if not location or not path.is_dir():
        raise DatasetError(f"{location}: no such directory; give {give}")
    return path


def find(pattern: str) -> tuple[str, list[str]]:
    """Find the files that a path, a glob or a remote URL with ``*`` names.

    Returns:
        The folder they are in, with its ``/``, and their names relative to it, sorted.
    """
    if "://" not in pattern:
        root, names = matching(pattern)
        if not names and not glob.has_magic(pattern):
            raise DatasetError(f"{pattern}: no such file; give a file, or a glob in quotes")
    else:

        def folder(path: str) -> str:
            head = re.split(r"[*\[]", path)[0]  # a URL's ? begins its query
            return head[: head.rfind("/") + 1]

        root, names = folder(pattern), [pattern[len(folder(pattern)) :]]
        if re.search(r"[*\[]", pattern):
            with need("data", "fsspec"):
                from fsspec.core import url_to_fs
            with naming(pattern, "cannot be listed", "check its name and your rights"):
                system, inner = url_to_fs(pattern)
                names = sorted(path[len(folder(inner)) :] for path in system.glob(inner))
    if not names:
        raise DatasetError(f"{pattern}: matches no file; fix the pattern")
    return root, names


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Open a local or remote file for reading."""
    with naming(path, "cannot be opened", "check its name and your rights"):
        try:
            if "://" in path:
                with need("data", "fsspec"):
                    import fsspec
                stream = cast(BinaryIO, fsspec.open(path, "rb").open())
            else:
                stream = Path(path).open("rb")  # noqa: SIM115 - closed below
        except FileNotFoundError:
            raise DatasetError(f"{path}: no such file; fix its name") from None
    with stream:
        yield stream


def folder_splits(names: Iterable[str]) -> dict[str, str]:
    """Return the splits of the folders whose names say one, such as ``val`` or ``test_set``.

    A version or a year may follow: ``train_v2``, ``val2017``. With other words it counts only where
    folders differ in it alone: ``asl_train``, ``asl_test``.
    """
    splits: dict[str, str] = {}
    pairs: defaultdict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for name in names:
        words = re.findall(r"v\d+|[^\W\d_]+|\d+", normal(name).lower())
        words = [part for word in words for part in re.sub(r"(?<=.)set$", " set", word).split()]
        said = [_SPLITS[word] for word in words if word in _SPLITS]
        others = tuple(word for word in words if word not in _SPLITS)
        if len(said) == 1 and all(each in _FILLERS or _VERSION.fullmatch(each) for each in others):
            splits[name] = said[0]
        elif len(said) == 1:
            pairs[others][name] = said[0]
    for found in pairs.values():
        if "train" in found.values() and len(set(found.values())) == len(found) > 1:
            splits |= found
    return splits


class SplitFiles:
    """Local or remote files whose names, or those of their folders, say the split, else train."""

    options: tuple[str, ...] = ()  # names of the options that may follow the location
    max_pixels = MAX_PIXELS

    def __init__(self, location: str) -> None:
        pattern, self._chosen = take_options(location, *self.options)
        self._root, names = find(pattern)
        self._files: dict[str, list[str]] = defaultdict(list)
        for name in names:
            self._files[file_split(self._root, name)].append(name)
        self.splits = in_order(self._files)

    @property
    def licence(self) -> str:
        """Licence beside local files, or beside a folder ``data`` that holds them."""
        if "://" in self._root:
            return ""
        root = Path(self._root)
        return licence_of(root) or (licence_of(root.parent) if root.name == "data" else "")


def file_split(root: str, name: str) -> str:
    """Return the split of a file by its name, else by its folders' names, else train.

    ``train-00000-of-00002.parquet``, ``test_images.tar`` and ``val/0000.parquet`` say it; in the
    hub's numbered names any other word is a split too, such as ``extra-00000-of-00001``.
    """
    *folders, base = f"{root.rstrip('/').rpartition('/')[2]}/{name}".split("/")
    if numbered := re.match(r"(\w[\w.]*)-\d+-of-\d+", base):
        return _SPLITS.get(numbered[1].lower(), numbered[1])
    word = re.match(r"[A-Za-z]*", base)
    for candidate in (word[0] if word else "", *reversed(folders)):
        if split := folder_splits([candidate]).get(candidate):
            return split
    return "train"


def in_order(splits: Iterable[str]) -> tuple[str, ...]:
    """Return each split once: train, validation, test, then others by name."""
    known = list(_ALIASES)
    return tuple(sorted(set(splits), key=lambda s: (known.index(s) if s in known else 3, s)))


def licence_of(root: Path) -> str:
    """Return the first line of a folder's LICENSE file, else its dataset card's licence, or ""."""
    try:
        for path in sorted(root.iterdir()):
            if path.is_file() and path.name.upper().startswith(("LICENSE", "LICENCE", "COPYING")):
                text = path.read_text(encoding="utf-8", errors="replace")
                lines = (line.strip("# \t") for line in text.splitlines() if line.strip())
                if said := next(lines, ""):
                    return said
        card = (root / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    header = re.match(r"---\n(.*?)\n---", card, re.DOTALL)
    pattern = r"^license:(?:[ \t]*|\s*-[ \t]*)(\S.*)$"
    found = re.search(pattern, header[1] if header else "", re.MULTILINE)
    return found[1].strip("\"' ") if found else ""
