import sys

import pytest

from glyphsight.cli.output import print_table
from glyphsight.console import printable, progress_bar


@pytest.fixture(autouse=True)
def no_notebook(monkeypatch):
    """Forget a notebook's kernel that another test of this process has loaded."""
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)


def test_in_a_file_there_is_a_line_each_thirty_seconds_and_no_carriage_return(capsys):
    with progress_bar(1000, "pic", "score") as bar:
        for step in range(1000):
            bar.set_postfix_str("loss=1")
            if step in (300, 600):
                bar.start_t -= 31  # as if 31 seconds had passed
                bar.last_print_t -= 31
                bar.said = max(0.0, bar.said - 31)
            bar.update()
    written = capsys.readouterr().err
    assert "\r" not in written
    first, second, last = written.splitlines()
    assert first.startswith("score: 301/1000 pic [00:31<")
    assert second.startswith("score: 601/1000 pic [01:02<")
    assert last.startswith("score: 1000/1000 pic")
    assert last.endswith("loss=1]")


def test_short_work_writes_nothing_into_a_file(capsys):
    for _ in progress_bar(3, "pic", "read", iterable=range(3)):
        progress_bar(5, "pic", leave=False, position=1).close()
    assert capsys.readouterr().err == ""


def test_a_bar_on_a_terminal_moves_ten_times_a_second(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert progress_bar(1, "pic", disable=False).mininterval == 0.1


def test_a_quiet_bar_says_nothing(capsys):
    with progress_bar(3, "pic", disable=True) as bar:
        bar.update(3)
    assert capsys.readouterr().err == ""


def test_a_line_feed_in_a_label_does_not_break_a_table(capsys):
    print_table([["label", "n"], ["a\nb", "1"], ["c\x1b[31m", "22"], ["été ▓\u3000", "3"]])
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == ["label", "a\\nb", "c\\x1b[31m", "été"]
    assert len({len(line) for line in said}) == 1
    assert printable("a\r\u2028b\t") == "a\\r\\u2028b\\t"
