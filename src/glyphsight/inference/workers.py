"""Work that needs a model, chunk by chunk: in this process, in several, or on a Ray cluster."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from glyphsight.errors import DatasetError, GlyphsightError
from glyphsight.models import LoadedModel, load_model
from glyphsight.parallel import ENGINES
from glyphsight.parallel.local import LocalEngine
from glyphsight.parallel.ray import RayEngine

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Where:
    """Where work is done.

    Attributes:
        engine: ``local`` or ``ray``.
        workers: Processes, each with the model. None: this process alone; with Ray one a core of
            the cluster.
        ray_address: Of a running cluster; None starts one on this machine.

    Raises:
        DatasetError: There is no such engine, or the options do not fit it.
    """

    engine: str = "local"
    workers: int | None = None
    ray_address: str | None = None

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise DatasetError(f"unknown engine {self.engine!r}; there is {', '.join(ENGINES)}")
        if self.engine == "local" and self.ray_address is not None:
            raise DatasetError("a Ray address is of use with --engine ray only; give both")

    @property
    def here(self) -> bool:
        """Whether this process does the work itself."""
        return self.engine == "local" and self.workers in (None, 1)


class Model:
    """A model that is loaded when it is first asked.

    Pickled, it goes to another process by its name and the dtype of its weights, so that all
    compute alike; a model that was loaded by the caller goes as it is, weights and all.

    Args:
        model: What :func:`glyphsight.models.load_model` takes, or a loaded model.
        dtype: Of the weights of one that is loaded; None for what this machine is good at.
    """

    def __init__(self, model: str | Path | LoadedModel, dtype: str | None = None) -> None:
        self._name = None if isinstance(model, LoadedModel) else model
        self._loaded = model if isinstance(model, LoadedModel) else None
        self._dtype = dtype

    def get(self) -> LoadedModel:
        """The model."""
        if self._loaded is None:
            assert self._name is not None
            self._loaded = load_model(self._name, dtype=self._dtype)
        return self._loaded

    def __getstate__(self) -> dict[str, Any]:
        if self._name is None or self._loaded is None:
            return self.__dict__
        return self.__dict__ | {"_loaded": None, "_dtype": dtype_of(self._loaded)}


def dtype_of(loaded: LoadedModel) -> str:
    """The dtype of a model's weights, as :func:`glyphsight.models.load_model` takes it."""
    return str(loaded.model.dtype).removeprefix("torch.")


def in_order(
    function: Callable[[Task], Result], tasks: Iterable[Task], where: Where
) -> Iterator[Result]:
    """The result of each task, in their order.

    Args:
        function: Picklable, and kept by a worker between its tasks, so that it may hold a model.
        tasks: Picklable; taken as they are needed, at once by Ray. Of what is done before an
            earlier task, processes of this machine hold a few results each, and Ray as many as its
            object store has room for.
        where: Where the work is done.

    Raises:
        GlyphsightError: What a task raised, or a worker was lost for good.
    """
    if where.here:
        yield from map(function, tasks)
        return
    if where.engine == "ray":
        yield from _on_ray(function, tasks, where)
        return
    workers = where.workers or 1
    with closing(LocalEngine(workers)) as engine:
        yield from engine.run_in_order(_Shared(function, workers), tasks)


class _Shared:
    """A function for one of several processes of a machine, which share its cores."""

    def __init__(self, function: Callable[[Any], Any], workers: int) -> None:
        self._function, self._workers = function, workers
        self._ready = False

    def __call__(self, task: Any) -> Any:
        if not self._ready:
            import torch

            torch.set_num_threads(max(1, torch.get_num_threads() // self._workers))
            self._ready = True
        return self._function(task)


def _on_ray(
    function: Callable[[Task], Result], tasks: Iterable[Task], where: Where
) -> Iterator[Result]:
    """As a Ray Data pipeline of actors, each of which holds the function, and so the model."""
    engine = RayEngine(where.workers, where.ray_address)
    rows = [{"task": pickle.dumps(task)} for task in tasks]
    if not rows:
        return
    engine.connect()
    import ray
    import ray.data

    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    most = min(len(rows), where.workers or int(resources.get("CPU", 1)))
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
    del rows
    done = dataset.map_batches(
        _Actor,
        fn_constructor_args=(pickle.dumps(function),),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most),
        num_gpus=1 if resources.get("GPU") else None,
    )
    for row in done.iter_rows():
        result = pickle.loads(row["result"])
        if isinstance(result, GlyphsightError):
            raise result
        yield result


class _Actor:
    """What a Ray actor keeps."""

    def __init__(self, function: bytes) -> None:
        self._function = pickle.loads(function)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        """One task; an error of ours comes back as a value, so that nothing retries it."""
        results: list[bytes] = []
        for task in batch["task"]:
            try:
                results.append(pickle.dumps(self._function(pickle.loads(task))))
            except GlyphsightError as error:
                results.append(pickle.dumps(error))
        return {"result": results}
