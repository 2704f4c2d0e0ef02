import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest

import glyphsight
from glyphsight import parallel
from glyphsight.errors import GlyphsightError
from glyphsight.parallel import Workers, same_processes


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("workers", [1, 2, None])
def test_every_task_is_done_once(workers, ordered):
    with same_processes():
        for base in (2, 3):
            work = partial(pow, base)
            done = list(parallel.map(work, range(50), Workers(workers=workers), ordered=ordered))
            expected = [base**number for number in range(50)]
            assert (done if ordered else sorted(done)) == expected


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("workers", [1, 2])
def test_tasks_are_taken_as_they_are_needed(workers, ordered):
    taken = []

    def tasks():
        for number in range(1000):
            taken.append(number)
            yield number

    results = parallel.map(abs, tasks(), Workers(workers=workers), ordered=ordered)
    for _ in range(10):
        next(results)
    assert len(taken) < 50
    results.close()


def test_a_slow_task_bounds_what_is_done_ahead_of_it_and_order_is_kept():
    taken = []

    def tasks():
        for number in range(200):
            taken.append(number)
            yield 0.0 if number else 1.5

    results = parallel.map(time.sleep, tasks(), Workers(workers=2))
    next(results)
    assert len(taken) < 20
    assert len(list(results)) == 199


def nap(seconds):
    time.sleep(seconds)
    return seconds


def test_results_come_as_they_are_done_where_order_does_not_count():
    naps = [3.0, 0.0, 0.1, 0.2]
    results = parallel.map(nap, naps, Workers(workers=2), ordered=False)
    assert next(results) < 1
    assert len(list(results)) == 3


def process_of(seconds):
    time.sleep(seconds)
    return os.getpid()


def test_work_begins_here_and_moves_to_processes_after_a_second():
    some = list(parallel.map(process_of, [0.01] * 4, Workers()))
    assert set(some) == {os.getpid()}
    many = list(parallel.map(process_of, [0.3] * 8, Workers()))
    if len(os.sched_getaffinity(0)) > 1:
        assert many[0] == os.getpid()
        assert many[-1] != os.getpid()


def test_calls_in_a_block_share_processes():
    with same_processes():
        one, two = (set(parallel.map(process_of, [0.05] * 8, Workers(workers=2))) for _ in range(2))
    assert one == two
    assert os.getpid() not in one


class Counting:
    """A function that is costly to load, and counts its calls since then."""

    def __init__(self):
        self.calls = 0

    def __call__(self, task):
        self.calls += 1
        return self.calls


def test_a_worker_keeps_the_function_between_tasks():
    counts = list(parallel.map(Counting(), range(20), Workers(workers=2)))
    assert max(counts) >= 10


def test_workers_share_the_threads_of_the_machine(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    given = list(parallel.map(os.getenv, ["OMP_NUM_THREADS"] * 4, Workers(workers=2)))
    assert given == ["3"] * 4


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_task_comes_out_as_it_is(workers):
    with pytest.raises(ValueError, match="invalid literal"):
        list(parallel.map(int, ["1", "two", "3"], Workers(workers=workers)))


def test_a_lost_worker_is_said_with_the_fix():
    with pytest.raises(
        GlyphsightError, match=r"worker process ended.*run the same command again.*--workers"
    ):
        list(parallel.map(os._exit, [1, 1], Workers(workers=2)))


ORPHANS = """
import os, time
from glyphsight import parallel
def task(number):
    os.write(1, f"{os.getpid()}{os.linesep}".encode())  # at once: print may write the end apart
    time.sleep(60)
if __name__ == "__main__":
    list(parallel.map(task, range(2), parallel.Workers(workers=2)))
"""


def test_workers_end_with_the_parent_however_it_ends(tmp_path):
    (tmp_path / "orphans.py").write_text(ORPHANS)
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "orphans.py")],
        env=os.environ | {"PYTHONPATH": str(Path(glyphsight.__file__).parents[1])},
        stdout=subprocess.PIPE,
        text=True,
    )
    workers = [int(parent.stdout.readline()) for _ in range(2)]
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


def test_workers_that_make_no_sense_are_refused():
    with pytest.raises(GlyphsightError, match="engine is 'slurm'; give one of local, ray"):
        Workers("slurm")
    with pytest.raises(GlyphsightError, match="--engine ray"):
        Workers("local", 1, "auto")
    with pytest.raises(GlyphsightError, match="workers is 0; give a whole number, at least 1"):
        Workers(workers=0)


def test_ray_that_is_not_installed_is_said_with_the_fix(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(GlyphsightError, match=r"pip install 'glyphsight\[ray\]'"):
        Workers("ray")


RAY = """
import os, sys
from pathlib import Path
from ray.cluster_utils import Cluster
from glyphsight import parallel
from glyphsight.errors import GlyphsightError
from work import read

Path("elsewhere").mkdir()
Path("numbers").write_text("7")
os.chdir("elsewhere")
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
os.chdir("..")
workers = parallel.Workers("ray", None, cluster.address)

assert list(parallel.map(read, ["numbers"] * 5, workers)) == [7] * 5
assert list(parallel.map(pow, [], workers)) == []
try:
    list(parallel.map(read, ["wrong"], workers))
except GlyphsightError as error:
    print("said:", error)
try:
    list(parallel.map(read, ["numbers", "deadly"], workers))
except GlyphsightError as error:
    print("said:", error, len(Path("deaths").read_text()))
__import__("ray").shutdown()
cluster.shutdown()
"""


WORK = """
import os
from pathlib import Path
from glyphsight.errors import GlyphsightError

def read(task):
    if task == "wrong":
        raise GlyphsightError("a wrong task")
    if task == "deadly":
        with Path("deaths").open("a") as stream:
            stream.write("x")
        os._exit(1)
    return int(Path(task).read_text())
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_ray_reads_paths_where_the_work_was_started_and_gives_up_a_deadly_task(tmp_path):
    (tmp_path / "script.py").write_text(RAY)
    (tmp_path / "work.py").write_text(WORK)
    home = str(Path(glyphsight.__file__).parents[1])
    run = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([home, str(tmp_path)])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "said: a wrong task" in run.stdout
    assert re.search(r"said: a worker process ended.*with fewer --workers 4\n", run.stdout)
