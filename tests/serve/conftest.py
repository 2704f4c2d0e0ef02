import asyncio
import threading

import pytest
from serving import Upstream, finish, served, wait

from glyphsight.serve.settings import ServeSettings


@pytest.fixture(scope="module")
def loop():
    """An event loop in a thread of its own."""
    running = asyncio.new_event_loop()
    thread = threading.Thread(target=running.run_forever)
    thread.start()
    yield running
    wait(running, finish())
    running.call_soon_threadsafe(running.stop)
    thread.join()
    running.close()


@pytest.fixture
def upstream(loop):
    """A recording upstream."""
    one = Upstream()
    one.replies()
    server = wait(loop, asyncio.start_server(one.serve, "127.0.0.1", 0))
    one.port = server.sockets[0].getsockname()[1]
    yield one
    loop.call_soon_threadsafe(server.close)


@pytest.fixture
def serve(loop, upstream):
    """A context of a running server in front of the upstream; settings by name."""

    def run(**given):
        given = {"upstream": upstream.url, "show": "text", "patience": 5.0, "timeout": 5.0} | given
        return served(loop, ServeSettings(**given))

    return run
