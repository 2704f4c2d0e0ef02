import pytest
from typer.testing import CliRunner

from glyphsight.cli.app import app
from glyphsight.errors import GlyphsightError

COMMANDS = [("encode",), ("tokens", "--format", "seed"), ("see", "--model", "nano-digits")]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_the_limit_of_pixels_is_named_with_the_option_that_raises_it(golden, command):
    def run(limit):
        words = [*command, str(golden / "five.png"), "--max-pixels", limit]
        done = CliRunner().invoke(app, words)
        if isinstance(done.exception, GlyphsightError):  # main() prints it
            return f"{done.output}{done.exception}", 1
        return done.output, done.exit_code

    said, code = run("783")
    assert code == 1
    assert "five.png: 784 pixels, the limit is 783" in said
    assert "max_pixels: 784 in a recipe or a plan, else --max-pixels 784" in said
    *_, option, limit = said.split()
    assert (option, limit) == ("--max-pixels", "784")
    assert run(limit)[1] == 0
