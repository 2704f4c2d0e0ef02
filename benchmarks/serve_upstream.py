"""An upstream for ``benchmarks/serve.py``: answers at once, or fails as ``X-How`` says.

    python benchmarks/serve_upstream.py

``stream`` sends twenty events in a second, ``die`` and ``garbage`` break off after two of them,
``silent`` says nothing. ``GET /count`` tells how many requests of each kind came.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from contextlib import suppress

CHAT = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "A digit."}}],
}  # fmt: skip
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = b"9\r\ndata: 1\n\n\r\n"
EVENTS, PAUSE = 20, 0.05
count: Counter[str] = Counter()


def whole(value: object) -> bytes:
    """Write a reply."""
    body = json.dumps(value).encode()
    head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "
    return f"{head}{len(body)}\r\n\r\n".encode() + body


ANSWER = whole(CHAT)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of a connection."""
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
            given = dict(line.split(": ", 1) for line in head[1:] if line)
            await reader.readexactly(int(given.get("content-length", 0)))
            how = given.get("x-how", "")
            if head[0].startswith("get /count"):
                writer.write(whole(count))
                continue
            count[how] += 1
            if how == "silent":
                await asyncio.sleep(3600)
            if not how:
                writer.write(ANSWER)
                continue
            writer.write(STREAM)
            for number in range(EVENTS):
                writer.write(EVENT)
                await writer.drain()
                if number == 1 and how != "stream":
                    writer.write(b"no chunk\r\n" if how == "garbage" else b"")
                    await writer.drain()
                    break
                await asyncio.sleep(PAUSE)
            else:
                writer.write(b"0\r\n\r\n")
                continue
            break
    writer.close()


async def main() -> None:
    """Serve on a free port until the process is told to stop."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=1 << 26)
    print(f"upstream: http://127.0.0.1:{server.sockets[0].getsockname()[1]}", file=sys.stderr)
    await server.serve_forever()


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    asyncio.run(main())
