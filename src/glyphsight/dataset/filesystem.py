"""The directory a dataset is written to: local, or remote through fsspec; files come whole."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from glyphsight.errors import DatasetError
from glyphsight.files import claimed, replacing_path

STATE = ".build"  # folder of a build that is under way


@dataclass(frozen=True)
class Directory:
    """A directory of this machine, or of a file system that all machines share.

    Names of files in it are relative, with ``/``; ``root`` is its path as the user gave it.
    """

    root: str

    def path(self, name: str) -> str:
        """Return the user's name of a file of the directory."""
        return str(Path(self.root, name))

    def size(self, name: str) -> int | None:
        """Return the bytes of a file; None where there is none."""
        path = Path(self.root, name)
        return path.stat().st_size if path.is_file() else None

    def read(self, name: str) -> bytes:
        """Read a whole file."""
        return Path(self.root, name).read_bytes()

    def read_json(self, name: str) -> Any:
        """Return the JSON value of a file; None where there is no such file, or no JSON in it."""
        try:
            return json.loads(self.read(name))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None

    @contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        """Open a context with a file as a local one."""
        yield Path(self.root, name)

    def names(self, folder: str) -> set[str]:
        """Return the names of the files in a folder; none where there is no such folder."""
        path = Path(self.root, folder)
        return {each.name for each in path.iterdir()} if path.is_dir() else set()

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Open a context with a local path to write, whose file is then put in place whole."""
        # What a killed build leaves half written lies in the state folder and goes with it.
        with replacing_path(Path(self.root, name), Path(self.root, STATE, "tmp")) as path:
            yield path

    def write(self, name: str, data: bytes) -> None:
        """Write a small file whole."""
        with self.writing(name) as path:
            path.write_bytes(data)

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with all in it; nothing where there is none."""
        path = Path(self.root, name)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
            return
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
        if path.parent != Path(self.root):
            with suppress(OSError):  # it holds something else
                path.parent.rmdir()

    def remove_if_empty(self) -> None:
        """Remove the directory itself, unless it holds something."""
        with suppress(OSError):
            Path(self.root).rmdir()

    def locked(self) -> AbstractContextManager[None]:
        """Keep the directory to one build at a time, until the block or the process ends."""
        return claimed(Path(self.root), f"{STATE}/lock", "build")


class _RemoteDirectory(Directory):
    """A directory that fsspec reaches; an object is put in one step, so it is whole or not there.

    Pickled, it connects again. Nothing keeps two builds out of it.
    """

    @cached_property
    def _fs(self) -> Any:
        import fsspec

        # Listings that are kept would hide what other processes have written.
        how = {"use_listings_cache": False, "skip_instance_cache": True}
        return fsspec.core.url_to_fs(self.root, **how)[0]

    def __getstate__(self) -> dict[str, str]:
        return {"root": self.root}

    def path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}"

    def size(self, name: str) -> int | None:
        with suppress(FileNotFoundError):
            return int(self._fs.size(self.path(name)))
        return None

    def read(self, name: str) -> bytes:
        return bytes(self._fs.cat_file(self.path(name)))

    @contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as folder:
            self._fs.get_file(self.path(name), f"{folder}/file")
            yield Path(folder, "file")

    def names(self, folder: str) -> set[str]:
        with suppress(FileNotFoundError):
            found = self._fs.ls(self.path(folder), detail=False)
            return {each.rpartition("/")[2] for each in found}
        return set()

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder, "file")
            self._fs.makedirs(self.path(name).rpartition("/")[0], exist_ok=True)
            self._fs.put_file(f"{folder}/file", self.path(name))

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._fs.rm(self.path(name), recursive=True)

    def remove_if_empty(self) -> None:
        pass  # object stores have no empty directories

    def locked(self) -> AbstractContextManager[None]:
        return nullcontext()


def open_directory(root: str | os.PathLike[str]) -> Directory:
    """Open the directory at a path or an fsspec URL such as ``s3://bucket/digits``."""
    text = os.fspath(root)
    if "://" not in text:
        return Directory(text)
    directory = _RemoteDirectory(text)
    try:
        _ = directory._fs
    except ImportError as error:
        raise DatasetError(
            f"{text}: writing there needs fsspec and the package of its protocol ({error}); "
            "pip install 'glyphsight[data]'"
        ) from None
    except ValueError as error:
        raise DatasetError(
            f"{text}: {error}; give a directory or a URL that fsspec knows"
        ) from None
    return directory
