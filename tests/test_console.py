import sys

from glyphsight.console import progress_bar


def test_a_bar_written_into_a_file_is_a_few_lines_at_most(capsys):
    with progress_bar(1000, "pic", "score") as bar:
        for _ in range(1000):
            bar.set_postfix_str("loss=1", refresh=False)
            bar.update()
    written = capsys.readouterr().err
    assert "score" in written
    assert "1000/1000" in written
    assert written.count("\r") <= 3


def test_a_bar_on_a_terminal_moves_ten_times_a_second(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert progress_bar(1, "pic", disable=False).mininterval == 0.1
    monkeypatch.undo()
    assert progress_bar(1, "pic").maxinterval == 30


def test_a_quiet_bar_says_nothing(capsys):
    with progress_bar(3, "pic", disable=True) as bar:
        bar.update(3)
    assert capsys.readouterr().err == ""
