"""``python -m glyphsight`` is the same program as ``glyphsight``."""

from glyphsight.cli.app import main

main()
