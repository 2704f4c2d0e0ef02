"""Requests per second and waiting times of ``glyphsight serve``.

    pip install -e '.[serve,fast]'
    python benchmarks/serve.py embedded                        # pictures, sight
    python benchmarks/serve.py embedded --model nano-digits --requests 256
    python benchmarks/serve.py embedded --write                # text of 32 tokens, streamed

``embedded`` starts a server without an upstream and asks it over loopback, with as many clients at
a time as ``--clients`` says, each of which asks again as soon as it has its reply. Every request
holds another of the bundled digits, and the server remembers none. The rounds run in turn, so that
a busy machine slows all alike; the table has medians over the rounds, and the median of the ratios
to one client. ``first`` is the time to the first piece of a stream, CPU the server's processor time
per request, which other jobs of a busy machine hardly change.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import numpy as np
from PIL import Image

from glyphsight.sources import load_split, open_source


class Round(NamedTuple):
    """Requests per second, the server's CPU seconds per request, seconds to first piece and end."""

    rate: float
    cpu: float
    first: list[float]
    whole: list[float]


@contextmanager
def serving(*options: str) -> Iterator[tuple[str, int]]:
    """Start a server on a free port; its address and process."""
    command = [sys.executable, "-m", "glyphsight", "serve", "--port", "0", *options]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        line = next((one for one in server.stderr if ": http://" in one), "")
        if not line:
            sys.exit("the server did not start")
        yield line.split(": ")[1], server.pid
    finally:
        server.terminate()
        server.wait()


def cpu_seconds(process: int) -> float:
    """CPU seconds that a process has used, on Linux."""
    used = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, used)) / os.sysconf("SC_CLK_TCK")


def about_pictures(count: int) -> Iterator[dict[str, Any]]:
    """Requests with one picture each."""
    pixels = load_split(open_source("bundled"), "validation").pixels
    for number in range(count):
        file = io.BytesIO()
        Image.fromarray(pixels[number % len(pixels)]).save(file, "PNG")
        url = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
        part = {"type": "image_url", "image_url": {"url": url}}
        yield {"messages": [{"role": "user", "content": [part]}]}


def to_write(count: int) -> Iterator[dict[str, Any]]:
    """Requests for text, streamed."""
    words = "Tell me a long story about {} lighthouses by the sea, and leave nothing out."
    for number in range(count):
        messages = [{"role": "user", "content": words.format(number + 2)}]
        yield {"messages": messages, "max_tokens": 32, "stream": True}


async def ask(url: str, server: int, bodies: list[dict[str, Any]], clients: int) -> Round:
    """Ask all, ``clients`` at a time."""
    left = iter(bodies)
    first: list[float] = []
    whole: list[float] = []

    async def client(session: aiohttp.ClientSession) -> None:
        for body in left:
            began = time.perf_counter()
            async with session.post(f"{url}/v1/chat/completions", json=body) as reply:
                seen = 0
                async for _ in reply.content.iter_any():
                    seen += 1
                    if seen == 1 + bool(body.get("stream")):  # the first has a role alone
                        first.append(time.perf_counter() - began)
                assert reply.status == 200, await reply.text()
            whole.append(time.perf_counter() - began)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        began, used = time.perf_counter(), cpu_seconds(server)
        await asyncio.gather(*(client(session) for _ in range(clients)))
        seconds, used = time.perf_counter() - began, cpu_seconds(server) - used
        return Round(len(bodies) / seconds, used / len(bodies), first, whole)


def embedded(arguments: argparse.Namespace) -> None:
    """Measure answers of the embedded model."""
    bodies = list((to_write if arguments.write else about_pictures)(arguments.requests))
    done: dict[int, list[Round]] = {clients: [] for clients in arguments.clients}
    with serving("--model", arguments.model, "--remember", "0") as (url, server):
        asyncio.run(ask(url, server, bodies[:4], 2))
        for _ in range(arguments.rounds):
            for clients, rounds in done.items():
                rounds.append(asyncio.run(ask(url, server, bodies, clients)))
    alone = done[arguments.clients[0]]
    print(f"{arguments.model}, {len(bodies)} requests, {os.cpu_count()} processors")
    print("clients  requests/s  p50 ms  p99 ms  first ms  CPU ms  times the first row")
    for clients, rounds in done.items():
        rate = statistics.median(one.rate for one in rounds)
        half, most = (
            1000 * statistics.median(float(np.percentile(one.whole, share)) for one in rounds)
            for share in (50, 99)
        )
        first = 1000 * statistics.median(statistics.median(one.first) for one in rounds)
        cpu = 1000 * statistics.median(one.cpu for one in rounds)
        ratio = statistics.median(
            one.rate / other.rate for one, other in zip(rounds, alone, strict=True)
        )
        row = f"{clients:7}  {rate:10.1f}  {half:6.0f}  {most:6.0f}  {first:8.0f}  {cpu:6.1f}"
        print(f"{row}  {ratio:.2f}")


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = parser.add_subparsers(required=True)
    one = parts.add_parser("embedded", help="answers of the embedded model")
    one.add_argument("--model", default="sight")
    one.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    one.add_argument("--requests", type=int, default=64)
    one.add_argument("--rounds", type=int, default=3)
    one.add_argument("--write", action="store_true", help="ask for text in place of answers")
    one.set_defaults(measure=embedded)
    arguments = parser.parse_args()
    arguments.measure(arguments)


if __name__ == "__main__":
    main()
