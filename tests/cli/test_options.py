from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from glyphsight.cli.help import Command
from glyphsight.cli.options import Group, with_settings
from glyphsight.errors import GlyphsightError
from glyphsight.settings import Setting, check, setting


@dataclass(frozen=True)
class Baking:
    """Settings of a loaf.

    Attributes:
        minutes: Time in the oven.
        heat_top: Heat from above.
        grain: Grain of the flour.
        salted: Add salt.
        cuts: Depths of the cuts.
        helper: Something that no text can name.
    """

    minutes: float = setting(50.0, above=0)
    heat_top: int = setting(240, low=100)
    grain: str = setting("rye", choices=("rye", "wheat"))
    salted: bool = False
    cuts: str | tuple[int, ...] = setting("even", read=lambda text: tuple(map(int, text)))
    helper: object = None

    def __post_init__(self) -> None:
        check(self)
        if self.salted and self.grain == "wheat":
            raise GlyphsightError("wheat takes no salt; leave salted out")


def run(function, *arguments):
    app = typer.Typer(rich_markup_mode=None)
    app.command(cls=Command)(function)
    return CliRunner().invoke(app, list(arguments))


@with_settings
def bake(name: str, *, loaf: Annotated[Baking, Group("The loaf")], quiet: bool = False) -> None:
    """Bake."""
    print(name, loaf, quiet)


def test_a_command_gets_the_settings_that_its_options_describe():
    assert run(bake, "bun").stdout == f"bun {Baking()} False\n"
    options = ["--minutes", "5", "--heat-top", "300", "--grain", "wheat", "--cuts", "12"]
    loaf = Baking(5.0, 300, "wheat", cuts=(1, 2))
    assert run(bake, "bun", *options, "--quiet").stdout == f"bun {loaf} True\n"
    assert run(bake, "bun", "--salted").stdout == f"bun {Baking(salted=True)} False\n"


def test_the_help_shows_each_field_with_its_values_under_the_title_of_the_group():
    said = run(bake, "--help").stdout
    assert said.index("Options:") < said.index("The loaf:") < said.index("--minutes")
    words = " ".join(said.split())
    assert "--heat-top N Heat from above. [at least 100; default: 240]" in words
    assert "--grain NAME Grain of the flour. [rye, wheat; default: rye]" in words
    assert "--helper" not in words


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--minutes", "0"], "--minutes: minutes is 0.0; give a number, above 0"),
        (["--heat-top", "9"], "--heat-top: heat_top is 9; give a whole number, at least 100"),
        (["--grain", "oat"], "--grain: grain is 'oat'; give one of rye, wheat"),
        (["--salted", "--grain", "wheat"], "wheat takes no salt; leave salted out"),
    ],
)
def test_a_value_that_cannot_be_is_wrong_usage_and_names_the_option(options, complaint):
    result = run(bake, "bun", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert complaint in result.stderr


def test_a_command_may_take_some_fields_and_only_what_was_given():
    @with_settings
    def warm(
        values: Annotated[
            dict[str, Any],
            Group("Loaf", ("minutes", "salted"), Baking, dict, notes=lambda name: [f"{name}!"]),
        ],
    ) -> None:
        print(values)

    assert run(warm).stdout == "{}\n"
    assert run(warm, "--minutes", "3").stdout == "{'minutes': 3.0}\n"
    said = " ".join(run(warm, "--help").stdout.split())
    assert "Time in the oven. [above 0; default: 50.0; minutes!]" in said
    assert "--grain" not in said


def test_a_maker_may_have_options_of_its_own():
    def cut(parts: int = 1, **values: Any) -> float:
        return Baking(**values).minutes / parts

    parts = Setting("parts", "Number of loaves.", int, True, None, low=1)

    @with_settings
    def heat(minutes: Annotated[float, Group("Loaf", ("minutes",), Baking, cut, (parts,))]) -> None:
        print(minutes)

    assert run(heat, "--parts", "2").stdout == "25.0\n"
    assert "--parts" in run(heat, "--parts", "0").stderr
