import importlib.util
import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from glyphsight.codec import PUBLISHED, Profile, encode_batch
from glyphsight.codec.formats import get_format
from glyphsight.errors import DatasetError
from glyphsight.evaluate import baselines as baselines_module
from glyphsight.evaluate.baselines import ALL, Grids, Task, baselines, hold_out
from glyphsight.extras import MissingPackageError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("GLYPHSIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def few(cells, labels, levels=3, where="toys"):
    return Grids([np.asarray(grid, dtype=np.uint8) for grid in cells], labels, levels, where)


def bars(count, seed, size=(6, 5)):
    """Noisy pictures of a bright row or a bright column; no two alike."""
    rng = np.random.default_rng(seed)
    cells, labels = [], []
    for number in range(count):
        grid = rng.integers(0, 2, size).astype(np.uint8)
        if number % 2:
            grid[rng.integers(size[0])] = 2
        else:
            grid[:, rng.integers(size[1])] = 2
        cells.append(grid)
        labels.append("row" if number % 2 else "column")
    return Grids(cells, labels, 3, "bars")


def measure(train, test, **options):
    return {b.name: b for b in baselines(train, test, quiet=True, **options)}


@pytest.fixture(scope="module")
def seven(validation):
    """Real digits as text: 600 to learn from, 200 to be judged on, in 14 columns."""
    profile = Profile(width=14)
    texts = encode_batch(validation.pixels[:800], profile)
    labels = list(validation.labels[:800])
    return (
        Grids.read(texts[:600], labels[:600], profile),
        Grids.read(texts[600:], labels[600:], profile),
    )


@pytest.mark.slow
def test_the_floor_lies_far_below_the_ceiling_on_real_digits(seven):
    train, test = seven
    found = measure(train, test)
    assert tuple(found) == ALL
    assert found["majority"].share.accuracy < 0.2
    assert all(found[name].share.accuracy > 0.6 for name in ALL[1:])
    assert found["svm"].share.accuracy > found["logistic"].share.accuracy
    for one in found.values():
        right = sum(a == b for a, b in zip(one.answers, test.labels, strict=True))
        assert (right / 200, 200) == (one.share.accuracy, one.share.n)
        assert one.trained_on == 600


def test_the_grids_are_those_of_the_text():
    cells = np.random.default_rng(0).integers(0, 3, (3, 11, 20)).astype(np.uint8)
    texts = get_format("seed").render_batch(cells, PUBLISHED.palette)
    read = Grids.read(texts, ["a", "b", "c"])
    assert np.array_equal(np.stack(read.cells), cells)
    assert (read.levels, read.size) == (3, (11, 20))


def test_a_text_that_cannot_be_read_is_named():
    text = "<row:1> ▓█</row:1>\n"
    with pytest.raises(DatasetError, match=r"here: record 2: line 1: .*glyph '#'.*palette"):
        Grids.read([text, text.replace("█", "#")], ["a", "b"], PUBLISHED, "here")


def test_a_second_time_comes_from_the_cache():
    train, test = bars(60, 0), bars(20, 1)
    first = measure(train, test)
    again = measure(train, test)
    assert not any(one.cached for one in first.values())
    assert all(one.cached for one in again.values())
    assert {n: replace(one, cached=False) for n, one in again.items()} == first
    assert not any(one.cached for one in measure(train, test, cache=False).values())


@pytest.mark.parametrize("change", ["seed", "train", "label", "levels", "shape"])
def test_other_content_is_measured_anew(change):
    train, test = bars(30, 0), bars(10, 1)
    measure(train, test, names=["knn"])
    seed = 0
    if change == "seed":
        seed = 1
    elif change == "train":
        train.cells[3][0, 0] ^= 1
    elif change == "label":
        train.labels[0] = "row"
    elif change == "levels":
        train, test = replace(train, levels=4), replace(test, levels=4)
    else:
        test.cells[0] = test.cells[0].reshape(5, 6)
    assert not measure(train, test, names=["knn"], seed=seed)["knn"].cached


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"\0"])
def test_a_damaged_file_of_the_cache_is_said_and_replaced(cache, caplog, damage):
    train, test = bars(30, 0), bars(10, 1)
    first = measure(train, test, names=["knn"])["knn"]
    [file] = (cache / "baselines").rglob("output.pkl")
    file.write_bytes(damage(file.read_bytes()))
    second = measure(train, test, names=["knn"])["knn"]
    assert "Exception while loading results" in caplog.text
    assert second.answers == first.answers
    caplog.clear()
    assert measure(train, test, names=["knn"])["knn"].answers == first.answers
    assert caplog.text == ""


def test_a_cache_that_cannot_be_written_costs_no_figure(cache, capsys):
    cache.write_text("a file where the directory should be")
    found = measure(bars(30, 0), bars(10, 1), names=["majority"])
    assert found["majority"].share.n == 10
    assert "not kept" in capsys.readouterr().err


def test_the_same_seed_gives_the_same_answers(monkeypatch, tmp_path):
    train, test = bars(60, 0), bars(40, 1)
    first = measure(train, test, seed=5)
    monkeypatch.setenv("GLYPHSIGHT_CACHE", str(tmp_path / "other"))
    second = measure(train, test, seed=5)
    assert {n: b.answers for n, b in first.items()} == {n: b.answers for n, b in second.items()}


def test_grids_of_unequal_shapes_are_padded_around_their_middle():
    grids = few([[[1, 2]], [[1], [2], [1]]], ["a", "b"])
    assert grids.size == (3, 2)
    assert grids.padded((3, 3)).tolist() == [
        [[0, 0, 0], [1, 2, 0], [0, 0, 0]],
        [[0, 1, 0], [0, 2, 0], [0, 1, 0]],
    ]
    train = Grids(bars(40, 0).cells + bars(40, 2, (9, 3)).cells, bars(40, 0).labels * 2, 3, "both")
    found = measure(train, bars(10, 1, (4, 12)))
    assert all(one.share.n == 10 for one in found.values())


def test_few_records_and_labels_never_trained_are_handled():
    train = few([[[0, 2]], [[2, 0]], [[2, 0]]], ["left?", "ja\n", "ja\n"])
    test = few([[[0, 2]], [[2, 0]], [[0, 0]]], ["left?", "ja\n", "nobody knows"])
    found = measure(train, test)
    assert found["majority"].answers == ["ja\n"] * 3
    assert found["knn"].answers[:2] == ["left?", "ja\n"]
    assert all(one.share.accuracy < 1 for one in found.values())
    assert all(one.trained_on == 3 for one in found.values())


def test_a_class_of_one_record_among_many_is_learnt_from():
    train, test = bars(200, 0), bars(10, 1)
    train.cells.append(np.full((6, 5), 2, dtype=np.uint8))
    train.labels.append("full")
    test.cells.append(np.full((6, 5), 2, dtype=np.uint8))
    test.labels.append("full")
    found = measure(train, test)
    assert found["knn"].answers[-1] == "full" or "7 nearest" in found["knn"].what
    assert found["svm"].answers[-1] == "full"


def test_one_label_is_all_there_is_to_say():
    train, test = few([[[0]], [[1]]], ["x", "x"]), few([[[2]]], ["y"])
    found = measure(train, test)
    assert {tuple(one.answers) for one in found.values()} == {("x",)}
    assert found["svm"].what == "always 'x', the only training label"


def test_grids_that_are_all_alike_break_nothing():
    train = few([[[0]]] * 20, ["a", "b"] * 10)
    assert all(one.share.n == 1 for one in measure(train, few([[[0]]], ["b"])).values())


def test_of_more_records_than_the_most_a_stratified_part_is_learnt_from():
    found = measure(bars(100, 0), bars(10, 1), names=["majority", "knn"], most=40)
    assert {one.trained_on for one in found.values()} == {40}


def test_too_many_labels_are_said():
    train = few([[[1]]] * 300, [str(n) for n in range(300)])
    with pytest.raises(DatasetError, match="300 different labels"):
        measure(train, bars(2, 0))


def test_many_labels_are_no_matter_to_the_nearest_neighbour():
    train = few([[[n % 3, n // 3 % 3]] for n in range(300)], [str(n) for n in range(300)])
    assert measure(train, few([[[1, 0]]], ["1"]), names=["knn"])["knn"].answers == ["1"]


def test_a_missing_package_is_named(monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "sklearn" else there(name)
    )
    with pytest.raises(MissingPackageError, match=r"not installed: sklearn; .*glyphsight\[train\]"):
        measure(bars(2, 0), bars(2, 1))


def test_json_says_everything_but_the_answers():
    [one] = baselines(bars(4, 0), bars(4, 1), names=["majority"], quiet=True)
    document = json.loads(json.dumps(one.as_json()))
    assert set(document) == {"name", "what", "share", "seconds", "trained_on", "cached"}
    assert document["share"]["n"] == 4


def test_quiet_prints_nothing_and_progress_goes_to_standard_error(capsys, monkeypatch):
    baselines(bars(30, 0), bars(4, 1), names=["knn"], quiet=True)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    baselines(bars(30, 2), bars(4, 1), names=["majority", "knn"])
    out, err = capsys.readouterr()
    assert out == ""
    assert "baseline knn: 100%" in err


def test_of_tied_neighbours_the_nearest_class_wins():
    # Distances 0, 1, 4, 9 to the classes b, a, a, b: a pair each of four neighbours.
    levels, labels = [0, 1, 2, 3], ["b", "a", "a", "b"]
    train = few([[[level]] for level in levels] * 30, labels * 30, levels=9)
    nearest = measure(train, few([[[0]], [[3]], [[1]]], ["b", "b", "a"], levels=9), names=["knn"])
    assert nearest["knn"].answers == ["b", "b", "a"]
    weights = baselines_module._votes(np.zeros((2, 7)))
    assert (weights[:, 0] > weights[:, 1:].max()).all()
    assert weights[0, 0] > 1 + (weights[0, 1:] - 1).sum()
    assert (weights - 1).sum(axis=1).max() < 1


def test_neighbours_are_those_of_plain_distances_and_of_equal_ones_the_first():
    train, test = bars(80, 3), bars(60, 4)
    cells = np.stack(train.cells).reshape(80, -1).astype(int)
    distances = [((cells - grid.reshape(-1).astype(int)) ** 2).sum(axis=1) for grid in test.cells]
    assert any((one == one.min()).sum() > 1 for one in distances)
    nearest = [train.labels[int(one.argmin())] for one in distances]
    assert measure(train, test, names=["knn"])["knn"].answers == nearest  # too few to choose k


def test_the_settings_that_are_right_most_often_are_chosen():
    from sklearn.svm import SVC

    train, test = bars(300, 0), bars(5, 1)
    task, _ = Task.of(train, test, seed=0)
    inputs, (fit_on, held) = task.features(task.train), hold_out(task.classes, 3000, seed=0)
    scale = 1 / (inputs.shape[1] * inputs.var())
    rights = {
        (c, factor * scale): SVC(C=c, gamma=factor * scale)
        .fit(inputs[fit_on], task.classes[fit_on])
        .score(inputs[held], task.classes[held])
        for c in (1, 10)
        for factor in (1, 2, 4)
    }
    c, gamma = max(rights, key=rights.get)
    assert measure(train, test, names=["svm"])["svm"].what == f"RBF-SVM, C {c}, gamma {gamma:.3g}"


def test_what_is_held_out_leaves_every_class_something_to_fit_on():
    classes = np.repeat([0, 1, 2], [150, 50, 1])
    kept, held = hold_out(classes, 3000, seed=0)
    assert sorted([*kept, *held]) == list(range(201))
    assert (len(held), set(classes[kept])) == (20, {0, 1, 2})
    assert len(hold_out(classes, 12, seed=0)[1]) == 12
    assert len(hold_out(classes[:50], 3000, seed=0)[1]) == 0
