import random
import shutil
import signal
import time

import pytest

from forks import forking

SCRIPT = """
from importlib.util import find_spec
from PIL import Image
from glyphsight.dataset import BuildSettings, build_dataset
from glyphsight.parallel import Workers

if find_spec("pyarrow"):
    import pyarrow.parquet
def work(out, output, workers):
    settings = BuildSettings(output=output, limit=400, copies=2, shard_size=50)
    workers = Workers(workers=int(workers))
    build_dataset("bundled", out, settings, workers=workers, quiet=True)
"""
KILLS = 10  # of each layout: 20 in all


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
    moments = random.Random(output)
    kills = finished = 0
    with forking(SCRIPT) as start:
        started = time.monotonic()
        assert start(whole, output, 1).wait() == 0
        length = time.monotonic() - started
        expected = contents(whole)
        while kills < KILLS or not finished:
            build = start(out, output, 1 + kills % 2)
            if kills < KILLS:
                time.sleep(moments.uniform(0.1, 1.0) * length)
                build.kill()
            code = build.wait()
            assert code in (0, -signal.SIGKILL)
            kills += code != 0
            found = contents(out) if out.exists() else {}
            visible = {name: data for name, data in found.items() if not name.startswith(".build/")}
            for name, data in visible.items():
                assert data == expected[name], name
            if code == 0:
                finished += 1
                assert found == expected
                shutil.rmtree(out)
