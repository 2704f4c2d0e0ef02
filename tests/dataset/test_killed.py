import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import glyphsight

SCRIPT = """
import sys
from glyphsight.dataset import BuildSettings, build_dataset
from glyphsight.parallel import Workers
settings = BuildSettings(output=sys.argv[2], limit=400, copies=2, shard_size=50)
workers = Workers(workers=int(sys.argv[3]))
build_dataset("bundled", sys.argv[1], settings, workers=workers, quiet=True)
"""
KILLS = 10  # of each layout: 20 in all


def start(out, output, workers):
    home = str(Path(glyphsight.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(out), output, str(workers)],
        env=os.environ | {"PYTHONPATH": home},
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )


def contents(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.mark.slow
@pytest.mark.parametrize("output", ["parquet", "json"])
def test_killed_at_any_moment_it_leaves_whole_files_and_goes_on_to_the_same_bytes(tmp_path, output):
    if output == "parquet":
        pytest.importorskip("pyarrow")
    whole, out = tmp_path / "whole", tmp_path / "out"
    started = time.monotonic()
    assert start(whole, output, 1).wait() == 0
    length = time.monotonic() - started
    expected = contents(whole)
    moments = random.Random(output)
    kills = finished = 0
    while kills < KILLS or not finished:
        build = start(out, output, 1 + kills % 2)
        if kills < KILLS:
            time.sleep(moments.uniform(0.1, 1.0) * length)
            if build.poll() is None:
                kills += 1
                os.killpg(build.pid, signal.SIGKILL)
        code = build.wait(timeout=120)
        assert code in (0, -signal.SIGKILL)
        found = contents(out) if out.exists() else {}
        visible = {name: data for name, data in found.items() if not name.startswith(".build/")}
        for name, data in visible.items():
            assert data == expected[name], name
        if code == 0:
            finished += 1
            assert found == expected
            shutil.rmtree(out)
