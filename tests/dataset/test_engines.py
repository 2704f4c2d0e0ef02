import logging
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

import glyphsight
from glyphsight.dataset import BuildSettings, build_dataset

SETTINGS = BuildSettings(limit=300, copies=1, shard_size=40, output="parquet")


def contents(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def program(script, *arguments):
    """A Python process of its own session, which can import this package."""
    home = str(Path(glyphsight.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": home},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


CLUSTER = """
import sys, threading, time
from pathlib import Path
from ray.cluster_utils import Cluster
from glyphsight.dataset import BuildSettings, build_dataset
from glyphsight.parallel import Workers

out, kill = Path(sys.argv[1]), sys.argv[2] == "kill"
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
second = cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()

def lose_a_node():
    while len(list(out.glob(".build/done/train-*"))) < 3:
        time.sleep(0.01)
    cluster.remove_node(second, allow_graceful=False)
    lost = len(list(out.glob(".build/done/*")))
    Path(sys.argv[3]).write_text(f"lost {lost}\\n")  # on standard output Ray's words run in between

if kill:
    thread = threading.Thread(target=lose_a_node, daemon=True)
    thread.start()
settings = BuildSettings(limit=300, copies=1, shard_size=40, output="parquet")
workers = Workers("ray", None, cluster.address)
build_dataset("bundled", out, settings, workers=workers, quiet=True)
if kill:
    thread.join(60)
alive = lambda: sum(node["Alive"] for node in __import__("ray").nodes())
for _ in range(120 if kill else 0):  # a busy cluster is slow to notice
    if alive() == 1:
        break
    time.sleep(0.5)
if kill:
    with Path(sys.argv[3]).open("a") as said:
        said.write(f"nodes {alive()}\\n")
__import__("ray").shutdown()
cluster.shutdown()
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_ray_writes_the_same_bytes_though_a_node_is_lost_midway(tmp_path):
    build_dataset("bundled", tmp_path / "local", SETTINGS, quiet=True)
    run = program(CLUSTER, tmp_path / "ray", "kill", tmp_path / "said")
    try:
        said, _ = run.communicate(timeout=400)
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
    assert run.returncode == 0, said
    lost, nodes = map(int, re.findall(r"\d+", (tmp_path / "said").read_text("utf-8")))
    shards = len(list((tmp_path / "local").glob("data/*")))
    assert lost < shards, said
    assert nodes == 1, said
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")


@pytest.mark.slow
@pytest.mark.skipif(find_spec("moto") is None or find_spec("s3fs") is None, reason="needs S3")
@pytest.mark.parametrize("output", ["parquet", "json"])
def test_s3_is_written_and_gone_on_with_like_a_local_directory(tmp_path, monkeypatch, output):
    boto3 = pytest.importorskip("boto3")
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)

    for name, value in (
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        client = boto3.client("s3")
        client.create_bucket(Bucket="data")
        settings = replace(SETTINGS, output=output)
        build_dataset("bundled", tmp_path / "local", settings, quiet=True)
        run = program(
            "import sys; from glyphsight.dataset import BuildSettings, build_dataset; "
            "from glyphsight.parallel import Workers; "
            "build_dataset('bundled', 's3://data/digits', BuildSettings(limit=300, copies=1, "
            "shard_size=40, output=sys.argv[1]), workers=Workers(workers=2), quiet=True)",
            output,
        )
        while not client.list_objects_v2(Bucket="data", Prefix="digits/.build/done").get(
            "Contents"
        ):
            assert run.poll() is None, run.communicate()[0]
            time.sleep(0.05)
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
        report = build_dataset("bundled", "s3://data/digits", settings, quiet=True)
        assert report.files["test"].startswith("s3://data/digits/")
        assert build_dataset("bundled", "s3://data/digits", settings, quiet=True).found
        there = {
            item["Key"].removeprefix("digits/"): client.get_object(Bucket="data", Key=item["Key"])[
                "Body"
            ].read()
            for item in client.list_objects_v2(Bucket="data")["Contents"]
        }
        assert there == contents(tmp_path / "local")
    finally:
        server.stop()
