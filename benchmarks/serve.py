"""Requests per second, waiting times, memory and failures of ``glyphsight serve``.

    pip install -e '.[serve,fast]'
    python benchmarks/serve.py embedded                        # pictures, sight
    python benchmarks/serve.py embedded --model nano-digits --requests 256
    python benchmarks/serve.py embedded --write                # text of 32 tokens, streamed
    python benchmarks/serve.py proxy                           # time added to a request
    python benchmarks/serve.py load                            # 10,000 requests, 200 clients
    python benchmarks/serve.py failures                        # who hangs, dies or goes away

``embedded`` starts a server without an upstream and asks it over loopback, with as many clients at
a time as ``--clients`` says, each of which asks again as soon as it has its reply. Every request
holds another of the bundled digits, and the server remembers none. The rounds run in turn, so that
a busy machine slows all alike; the table has medians over the rounds, and the median of the ratios
to one client. ``first`` is the time to the first piece of a stream, CPU the server's processor time
per request, which other jobs of a busy machine hardly change.

The other parts put a server in front of ``benchmarks/serve_upstream.py``, which answers at once.
``proxy`` asks the upstream and the server in turn and takes the difference of each pair; every
picture is another one and none is remembered. ``load`` reads the resident memory on the way.
``failures`` prints one row per case, and ends with status 1 where something was lost or hung.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
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
def running(*command: str) -> Iterator[tuple[str, int]]:
    """Start a server that tells its address on standard error; its address and process."""
    server = subprocess.Popen([sys.executable, *command], stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        line = next((one for one in server.stderr if ": http://" in one), "")
        if not line:
            sys.exit("the server did not start")
        threading.Thread(target=server.stderr.read, daemon=True).start()  # a full pipe blocks
        yield line.split(": ")[1].strip(), server.pid
    finally:
        server.terminate()
        server.wait()


def serving(*options: str) -> AbstractContextManager[tuple[str, int]]:
    """Start a server on a free port."""
    return running("-m", "glyphsight", "serve", "--port", "0", *options)


def cpu_seconds(process: int) -> float:
    """CPU seconds that a process has used, on Linux."""
    used = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, used)) / os.sysconf("SC_CLK_TCK")


def about_pictures(count: int) -> Iterator[dict[str, Any]]:
    """Requests with one picture each."""
    pixels = load_split(open_source("bundled"), "validation").pixels
    for number in range(count):
        yield one_picture(pixels[number % len(pixels)], "PNG")


def one_picture(pixels: Any, kind: str, **how: Any) -> dict[str, Any]:
    """Make a request with a picture of this kind of file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **how)
    url = f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
    part = {"type": "image_url", "image_url": {"url": url}}
    return {"messages": [{"role": "user", "content": [part]}]}


def about_photographs(count: int) -> Iterator[dict[str, Any]]:
    """Requests with one JPEG of a megapixel each: a digit on uneven ground."""
    random = np.random.default_rng(0)
    pixels = load_split(open_source("bundled"), "validation").pixels
    for number in range(count):
        ground = Image.fromarray(random.integers(120, 220, (6, 8, 3), dtype=np.uint8))
        picture = np.asarray(ground.resize((1154, 866), Image.Resampling.BICUBIC)).astype(np.int16)
        ink = Image.fromarray(pixels[number % len(pixels)]).resize((400, 400))
        picture[200:600, 300:700] -= np.asarray(ink, np.int16)[..., None] // 2
        picture += random.integers(-6, 7, picture.shape, dtype=np.int16)
        yield one_picture(picture.clip(0, 255).astype(np.uint8), "JPEG", quality=90)


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


def memory(process: int) -> float:
    """Resident memory of a process in MiB, on Linux."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def proxied(*options: str) -> Iterator[tuple[str, str, int]]:
    """Start an upstream and a server in front; both addresses, the server's process."""
    upstream = str(Path(__file__).with_name("serve_upstream.py"))
    with running(upstream) as (behind, _), serving("--upstream", behind, *options) as (url, pid):
        yield behind, url, pid


async def pairs(behind: str, url: str, bodies: list[bytes]) -> list[tuple[float, float]]:
    """Ask the upstream and the server in turn; seconds of both."""
    done = []
    async with aiohttp.ClientSession() as session:
        for body in bodies:
            taken = []
            for where in (behind, url):
                began = time.perf_counter()
                async with session.post(f"{where}/v1/chat/completions", data=body) as reply:
                    await reply.read()
                    assert reply.status == 200
                taken.append(time.perf_counter() - began)
            done.append((taken[0], taken[1]))
    return done


def proxy(arguments: argparse.Namespace) -> None:
    """Measure what the server adds to a request."""
    count = arguments.requests
    text = {"messages": [{"role": "user", "content": "What does a lighthouse do? " * 20}]}
    kinds = {
        "text alone": [text] * count,
        "28x28 PNG": list(about_pictures(count)),
        "1-megapixel JPEG": list(about_photographs(count)),
    }
    print(f"{count} pairs per row, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    print("show    request           direct ms  added ms: p10    p50    p90  CPU ms")
    for show in arguments.show:
        with proxied("--show", show, "--remember", "0") as (behind, url, server):
            for kind, bodies in kinds.items():
                sent = [json.dumps(one).encode() for one in bodies]
                asyncio.run(pairs(behind, url, sent[:3]))
                used = cpu_seconds(server)
                done = np.array(asyncio.run(pairs(behind, url, sent))) * 1000
                used = 1000 * (cpu_seconds(server) - used) / len(sent)
                low, half, high = np.percentile(done[:, 1] - done[:, 0], (10, 50, 90))
                row = f"{show:6}  {kind:16}  {np.median(done[:, 0]):9.1f}  {low:13.1f}"
                print(f"{row}  {half:5.1f}  {high:5.1f}  {used:6.1f}", flush=True)


def load(arguments: argparse.Namespace) -> None:
    """Measure memory and waiting times under many clients."""
    bodies = list(about_pictures(arguments.requests))
    print(f"{arguments.clients} clients, {os.cpu_count()} processors, show {arguments.show}")
    print("requests  requests/s  p50 ms  p99 ms  CPU ms  resident MiB")
    with proxied("--show", arguments.show) as (_, url, server):
        for start in range(0, len(bodies), 1000):
            part = bodies[start : start + 1000]
            one = asyncio.run(ask(url, server, part, arguments.clients))
            half, most = 1000 * np.percentile(one.whole, (50, 99))
            row = f"{start + len(part):8}  {one.rate:10.1f}  {half:6.0f}  {most:6.0f}"
            print(f"{row}  {1000 * one.cpu:6.1f}  {memory(server):12.1f}", flush=True)


async def streamed(session: aiohttp.ClientSession, url: str, how: str) -> str:
    """Ask once; say what became of it: whole, refused before a reply began, status, or cut off."""
    begun = False
    try:
        body = next(about_pictures(1))
        asked = session.post(f"{url}/v1/chat/completions", json=body, headers={"X-How": how})
        async with asked as reply:
            if reply.status != 200:
                return str(reply.status)
            begun = True
            await reply.read()
            return "whole"
    except (aiohttp.ClientError, OSError):
        return "cut off" if begun else "refused"


async def goes_away(session: aiohttp.ClientSession, url: str) -> str:
    """Leave in the middle of a stream; say whether the server noticed."""
    body, how = next(about_pictures(1)), {"X-How": "stream"}
    reply = await session.post(f"{url}/v1/chat/completions", json=body, headers=how)
    await reply.content.readany()
    reply.close()
    for _ in range(100):
        await asyncio.sleep(0.05)
        async with session.get(f"{url}/metrics") as page:
            if b"glyphsight_requests_in_progress 0.0" in await page.read():
                return "ended"
    return "still under way"


async def half_a_request(url: str) -> str:
    """Send a part of a body and nothing more; say what the server does."""
    reader, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
    writer.write(b"POST /api/chat HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{")
    line = await reader.readline()
    writer.close()
    return line.split()[1].decode() if line else "cut off"


async def stopped(behind: str, url: str, server: int, clients: int) -> str:
    """Send SIGTERM while all clients stream; say what became of their requests."""
    ends: Counter[str] = Counter()

    async def client(session: aiohttp.ClientSession) -> None:
        while (end := await streamed(session, url, "stream")) == "whole":
            ends[end] += 1
        ends[end] += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        async with session.get(f"{behind}/count") as reply:
            before = (await reply.json()).get("stream", 0)
        asking = [asyncio.create_task(client(session)) for _ in range(clients)]
        await asyncio.sleep(3)
        os.kill(server, signal.SIGTERM)
        await asyncio.gather(*asking)
        async with session.get(f"{behind}/count") as reply:
            asked = (await reply.json())["stream"] - before
    lost = asked - ends["whole"]
    told = ", ".join(f"{number} {end}" for end, number in ends.items())
    return f"{lost} lost" + (f" ({told})" if lost or set(ends) - {"whole", "refused"} else "")


async def every_failure(behind: str, url: str, server: int, clients: int) -> list[bool]:
    """Let every part fail in turn; whether each ended as it must."""
    timeout = aiohttp.ClientTimeout(total=60)
    good = []
    async with aiohttp.ClientSession(timeout=timeout) as session:
        cases = (
            ("an upstream that dies in a stream", "cut off", streamed(session, url, "die")),
            ("an upstream that sends garbage", "cut off", streamed(session, url, "garbage")),
            ("an upstream that says nothing", "504", streamed(session, url, "silent")),
            ("a client that sends half a request", "408", half_a_request(url)),
            ("a client that leaves in a stream", "ended", goes_away(session, url)),
            ("a request after all that", "whole", streamed(session, url, "stream")),
            (f"SIGTERM, {clients} clients", "0 lost", stopped(behind, url, server, clients)),
        )
        for case, must, work in cases:
            began = time.perf_counter()
            try:
                end = await asyncio.wait_for(work, 120)
            except TimeoutError:
                end = "hung"
            good.append(end == must)
            seconds = time.perf_counter() - began
            print(f"{case:34}  {must:7}  {end:7}  {seconds:7.1f}", flush=True)
    return good


def failures(arguments: argparse.Namespace) -> None:
    """Let clients, upstream and server fail."""
    print("case                                must     did      seconds")
    options = "--show", "text", "--timeout", "10", "--patience", "3"
    with proxied(*options) as (behind, url, server):
        good = asyncio.run(every_failure(behind, url, server, arguments.clients))
    sys.exit(not all(good))


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
    two = parts.add_parser("proxy", help="time that the server adds to a request")
    two.add_argument("--requests", type=int, default=60)
    two.add_argument("--show", nargs="+", default=["text", "answer", "both"])
    two.set_defaults(measure=proxy)
    three = parts.add_parser("load", help="many clients and requests")
    three.add_argument("--clients", type=int, default=200)
    three.add_argument("--requests", type=int, default=10_000)
    three.add_argument("--show", default="text")
    three.set_defaults(measure=load)
    four = parts.add_parser("failures", help="who hangs, dies or goes away")
    four.add_argument("--clients", type=int, default=50)
    four.set_defaults(measure=failures)
    arguments = parser.parse_args()
    arguments.measure(arguments)


if __name__ == "__main__":
    main()
