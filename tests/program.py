"""Run the program in this process: a start of its own costs seconds where it imports torch."""

import io
import subprocess
import sys
import warnings

import pytest

from glyphsight.cli.app import _THREADS, main


def run(*words, directory):
    """Run ``glyphsight`` with these words in a directory; what a process would leave."""
    words = ["glyphsight", *map(str, words)]
    streams = {name: io.TextIOWrapper(io.BytesIO(), "utf-8") for name in ("stdout", "stderr")}
    status = 0
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.chdir(directory)
        for name, value in {**_THREADS, "PYTHONWARNINGS": "ignore"}.items():
            patch.setenv(name, value)  # as the program does, but for its own time
        patch.setattr(sys, "argv", words)
        for name, stream in streams.items():
            patch.setattr(sys, name, stream)
        try:
            main()
        except SystemExit as stop:
            status = stop.code or 0
        if isinstance(status, str):  # as Python itself writes it
            print(status, file=sys.stderr)
            status = 1
    for stream in streams.values():
        stream.flush()
    out, err = (stream.buffer.getvalue() for stream in streams.values())
    return subprocess.CompletedProcess(words, status, out, err)
