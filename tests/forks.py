"""Processes to be killed, each a fork of one that has imported everything: else that takes longer
than what they do.
"""

import json
import os
import select
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import glyphsight

SERVER = """
import json, os, sys
for line in sys.stdin:
    if child := os.fork():
        os.setpgid(child, child)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    os.setpgid(0, 0)  # here too, for whoever is first
    work(*json.loads(line))
    os._exit(0)
"""


LONGEST = 600
"""Seconds that a fork may take."""


def answer(server):
    """Read a line of the process that forks."""
    if not select.select([server.stdout], [], [], LONGEST)[0]:
        raise TimeoutError(f"no answer of a fork after {LONGEST} s")
    return server.stdout.readline()


@dataclass(frozen=True)
class Fork:
    """A process, and first of a group of processes, that does the work."""

    pid: int
    server: subprocess.Popen

    def kill(self):
        """Kill the group at once, unless it has ended."""
        try:
            os.killpg(self.pid, 9)
        except ProcessLookupError:
            return

    def wait(self):
        """Wait for its end; its exit status, or less a signal that ended it."""
        return int(answer(self.server))


@contextmanager
def forking(script):
    """Give a function that starts ``work`` of a script, with its words, in a fork of its own."""
    server = subprocess.Popen(
        [sys.executable, "-c", script + SERVER],
        env=os.environ
        | {"PYTHONPATH": str(Path(glyphsight.__file__).parents[1]), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    forks = []

    def start(*words):
        print(json.dumps(list(map(str, words))), file=server.stdin, flush=True)
        forks.append(Fork(int(answer(server)), server))
        return forks[-1]

    try:
        yield start
        server.stdin.close()
        assert server.wait(LONGEST) == 0
    finally:  # nothing outlives a test that failed
        server.kill()
        for fork in forks:
            fork.kill()
        server.stdin.close()
        server.stdout.close()
        server.wait()
