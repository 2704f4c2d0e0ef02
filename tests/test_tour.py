"""The notebook runs, and shows what is kept in it."""

from pathlib import Path

import pytest

TOUR = Path(__file__).parents[1] / "docs" / "tour.ipynb"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # other people's packages warn of one another
]


def shown(notebook):
    """Return what each cell printed and the text of its results; rich ones by their kind."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            yield output.get("text") or sorted(data) if len(data) != 1 else data["text/plain"]


def test_the_tour_runs_and_shows_what_it_holds():
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    kept, made = nbformat.read(TOUR, 4), nbformat.read(TOUR, 4)
    nbclient.NotebookClient(made, kernel_name="python3", timeout=300).execute()
    assert list(shown(made)) == list(shown(kept))
    assert sum("text/html" in one for one in shown(kept)) >= 4
