"""The hub: runs and datasets pushed to it with their cards, and pulled from it.

Files go through ``huggingface_hub``, so ``HF_ENDPOINT``, ``HF_TOKEN`` and its other settings hold.
"""

from __future__ import annotations

import glob
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from glyphsight.dataset.storage import MANIFEST, split_files
from glyphsight.errors import GlyphsightError, one_line
from glyphsight.files import walk
from glyphsight.models.runs import RUN_FILE, RunRecord, resolve
from glyphsight.version import __version__

CARD = "README.md"
_TEXTS = (".json", ".jsonl", ".md", ".txt", ".jinja")
_SUFFIXES = {"model": (*_TEXTS, ".safetensors"), "dataset": (*_TEXTS, ".parquet")}
"""Files that are pushed and pulled; weights are safetensors alone, which hold no program."""
_MARKS = {"model": RUN_FILE, "dataset": MANIFEST}
_LOGIN = "run: hf auth login, or set HF_TOKEN, with a token that may write"


class HubError(GlyphsightError):
    """The hub does not take or give something."""


def push(
    directory: Path, name: str, kind: str, *, private: bool = False, force: bool = False
) -> str:
    """Put a run or a dataset on the hub, its card checked, in one commit; return its address.

    ``kind`` is ``model`` or ``dataset``; with ``force`` a new version goes into what exists.

    Raises:
        HubError: The directory is not ready, or the hub refuses; names the fix.
        ModelError: The run is damaged.
    """
    from huggingface_hub import HfApi, get_token

    names = _files(directory, kind)
    if get_token() is None:
        raise HubError(f"no token for the hub; {_LOGIN}")
    api = HfApi(library_name="glyphsight", library_version=__version__)
    with _telling(name):
        _check_card(directory, kind)
        made = api.create_repo(name, repo_type=kind, private=private, exist_ok=force)
        api.upload_folder(
            repo_id=made.repo_id,
            folder_path=directory,
            repo_type=kind,
            allow_patterns=list(map(glob.escape, names)),
            commit_message=f"Written by glyphsight {__version__}",
        )
    return str(made)


def pull(name: str, out: Path, kind: str) -> Path:
    """Get a run or a dataset that was pushed; after a stop the same call resumes.

    Raises:
        HubError: ``out`` exists, the hub refuses, or what it has was not made by glyphsight; names
            the fix.
        ModelError: The run is damaged.
    """
    from huggingface_hub import HfApi

    if out.exists():
        raise HubError(f"{out}: exists; give another --out, or remove it")
    api = HfApi(library_name="glyphsight", library_version=__version__)
    begun = out.with_name(f"{out.name}.pulled")
    with _telling(name):
        info = api.model_info(name) if kind == "model" else api.dataset_info(name)
        there = [one.rfilename for one in info.siblings or ()]
        if (mark := _MARKS[kind]) not in there:
            other = "name it as it is where a model is asked for" if kind == "model" else ""
            fix = other or f"read it with --source hub:{name}"
            raise HubError(f"{name}: holds no {mark}, so glyphsight did not make it; {fix}")
        wanted = [one for one in there if Path(one).suffix in _SUFFIXES[kind]]
        if kind == "model":
            wanted = [one for one in wanted if "/" not in one]
        api.snapshot_download(
            name,
            repo_type=kind,
            revision=info.sha,
            local_dir=begun,
            allow_patterns=list(map(glob.escape, wanted)),
        )
    for name_there in walk(begun):  # what a stopped call for another name or revision left
        if name_there not in wanted:
            (begun / name_there).unlink()
    if kind == "model":
        RunRecord.load(begun)
    shutil.rmtree(begun / ".cache", ignore_errors=True)  # the library's notes of what is there
    begun.rename(out)
    return out


def _files(directory: Path, kind: str) -> list[str]:
    """Name the files of a directory that is ready to push."""
    if kind == "model":
        source = resolve(directory)
        if source.fault or source.run is None:
            fault = source.fault or f"no run (it holds no {RUN_FILE}); give one that train wrote"
            raise HubError(f"{directory}: {fault}")
        base = resolve(source.run.base)
        if source.adapter and base.directory and not base.ships:
            raise HubError(
                f"{directory}: an adapter of {source.run.base}, which others do not have; "
                "push that as a run of its own, and train from its name"
            )
        found = [one for one in directory.iterdir() if one.is_file()]
    else:
        found = [file for files in split_files(directory).values() for file in files]
        found += [directory / MANIFEST]
    if not (directory / CARD).is_file():
        how = (
            "train it again, which writes one"
            if kind == "model"
            else "build it with --output hub, which writes one"
        )
        raise HubError(f"{directory}: holds no card ({CARD}); {how}")
    names = {one.relative_to(directory).as_posix() for one in found} | {CARD}
    return sorted(name for name in names if Path(name).suffix in _SUFFIXES[kind])


def _check_card(directory: Path, kind: str) -> None:
    """Let the hub's library read the card, and the hub check it."""
    from huggingface_hub import DatasetCard, ModelCard

    try:
        card = (ModelCard if kind == "model" else DatasetCard).load(directory / CARD)
        card.validate(repo_type=kind)
    except ValueError as error:  # with the hub's own words
        said = f"the hub refuses the card ({one_line(error)})"
        raise HubError(f"{directory / CARD}: {said}; correct its first lines") from error


@contextmanager
def _telling(name: str) -> Iterator[None]:
    """Say what the hub's library says, with the fix."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
    )

    # Its base is of httpx or httpx2, by the library's release.
    unreachable = cast(type[Exception], HfHubHTTPError.__bases__[0])
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise HubError("HF_HUB_OFFLINE is set; unset it to reach the hub") from error
    except HFValidationError as error:
        raise HubError(f"{name}: no name on the hub; give one such as me/shapes") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        fix = {
            401: f"the hub knows no such repository, or refuses the token (401); {_LOGIN}",
            403: f"the token may not do that (403); {_LOGIN}",
            404: "no such repository (404); check the name, or if it is private: hf auth login",
            409: "exists; give another name, or --force to put a new version into it",
        }.get(status, f"the hub answers {one_line(error)}; try again later")
        raise HubError(f"{name}: {fix}") from error
    except RuntimeError as error:  # of a file's upload, around its cause
        said = f"{one_line(error)} {one_line(error.__cause__ or error)}"
        raise HubError(f"{name}: {said}; give the same command with --force") from error
    except (unreachable, ConnectionError, LocalEntryNotFoundError) as error:
        raise HubError(
            f"{constants.ENDPOINT} cannot be reached ({one_line(error)}); check the network, or "
            "HF_ENDPOINT"
        ) from error
