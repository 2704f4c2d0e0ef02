from dataclasses import dataclass
from pathlib import Path

import pytest

from glyphsight.errors import DatasetError
from glyphsight.settings import check, read_assignments, setting, settings_of


@dataclass(frozen=True)
class Baking:
    """Settings of a loaf.

    Attributes:
        kind: Grain of the
            flour.
        minutes: Time in the oven.
        heat: Heat of the oven, in degrees.
        loaves: Number of loaves.
        salted: Add salt.
        form: Form to bake in; left out, none.
        cuts: Depths of the cuts.
    """

    kind: str = setting("rye", choices=("rye", "wheat"))
    minutes: float = setting(50.0, above=0)
    heat: int = setting(240, low=100, high=300)
    loaves: int | None = setting(None, low=1)
    salted: bool = True
    form: str | Path | None = None
    cuts: str | tuple[int, ...] = setting("even", read=lambda text: tuple(map(int, text)))

    def __post_init__(self) -> None:
        check(self, DatasetError)


def test_a_field_is_documented_under_attributes_and_its_values_are_named():
    lines = {name: one.line() for name, one in settings_of(Baking).items()}
    assert lines == {
        "kind": "Grain of the flour. [rye, wheat; default: rye]",
        "minutes": "Time in the oven. [above 0; default: 50.0]",
        "heat": "Heat of the oven, in degrees. [100 to 300; default: 240]",
        "loaves": "Number of loaves. [at least 1]",
        "salted": "Add salt.",
        "form": "Form to bake in; left out, none.",
        "cuts": "Depths of the cuts. [default: even]",
    }
    assert settings_of(Baking)["heat"].line("steel 260").endswith("default: 240; steel 260]")


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"kind": "oat"}, "kind is 'oat'; give one of rye, wheat"),
        ({"kind": 1}, "kind is 1; give one of rye, wheat"),
        ({"minutes": 0}, "minutes is 0; give a number, above 0"),
        ({"minutes": float("nan")}, "minutes is nan; give a number, above 0"),
        ({"minutes": float("inf")}, "minutes is inf; give a number, above 0"),
        ({"heat": 301}, "heat is 301; give a whole number, 100 to 300"),
        ({"heat": 200.0}, "heat is 200.0; give a whole number, 100 to 300"),
        ({"heat": True}, "heat is True; give a whole number, 100 to 300"),
        ({"heat": None}, "heat is None; give a whole number, 100 to 300"),
        ({"loaves": 0}, "loaves is 0; give a whole number, at least 1"),
        ({"salted": 1}, "salted is 1; give true or false"),
        ({"form": 3}, "form is 3; give a path"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_field_values_and_value(given, complaint):
    with pytest.raises(DatasetError) as refused:
        Baking(**given)
    assert str(refused.value) == complaint


def test_a_whole_number_is_a_number_and_what_is_optional_may_be_none():
    assert Baking(minutes=5, loaves=None, form=Path("tin")).minutes == 5


def test_assignments_are_read_by_the_type_of_the_field():
    texts = ["minutes=5", "heat=200", "salted=no", "kind=wheat", "cuts=123", "loaves=2", "form=tin"]
    assert Baking(**read_assignments(Baking, texts)) == Baking(
        "wheat", 5.0, 200, 2, False, Path("tin"), (1, 2, 3)
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("heat", "--set heat: give NAME=VALUE with a NAME of kind, minutes, heat"),
        ("height=2", "--set height=2: give NAME=VALUE with a NAME of kind"),
        ("heat=much", "--set heat=much: heat is 'much'; give a whole number, 100 to 300"),
        ("salted=perhaps", "--set salted=perhaps: salted is 'perhaps'; give true or false"),
    ],
)
def test_a_wrong_assignment_is_refused_with_the_fix(text, complaint):
    with pytest.raises(DatasetError) as refused:
        read_assignments(Baking, [text], DatasetError)
    assert str(refused.value).startswith(complaint)
