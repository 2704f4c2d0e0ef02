import re

from glyphsight import Answer, Record
from glyphsight.inference.reading import PictureText
from glyphsight.pages import bars_html, text_html


def answer(label, **more):
    shares = {label: 0.9, "<b>": 0.1}
    return Answer(label, label, 0.9, shares, "▓<\n█ \n", False, False, False, **more)


def test_a_text_keeps_its_cells_and_the_colours_of_the_notebook():
    html = text_html(" ▓<\n█  \n")
    assert re.search(r">( ▓&lt;\n█  )</pre>$", html)
    assert "monospace" in html
    assert "background:none;color:inherit" in html


def test_bars_are_as_long_as_their_shares_and_no_more_than_wanted():
    html = bars_html({"a": 0.75, "b": 0.25, "c": 0.0}, most=2)
    assert re.findall(r";width:([\d.]+)em\"", html) == ["6.00", "2.00"]
    assert re.findall(r"([\d.]+) %", html) == ["75.0", "25.0"]


def test_an_answer_shows_its_text_and_probabilities():
    html = answer("5")._repr_html_()
    assert "▓&lt;\n█ " in html
    assert "<b>5</b>" in html
    assert "90.0 %" in html
    assert "<b><b>" not in html


def test_each_of_several_things_is_shown():
    html = answer("5", parts=(answer("5"), answer("7")), found="two things <i>")._repr_html_()
    assert html.count("<pre") == 2
    assert "<b>7</b>" in html
    assert html.endswith("<div>two things &lt;i&gt;</div>")


def test_texts_and_records_are_shown():
    assert "▓&lt;" in PictureText("▓<\n", 2, 2, False, False)._repr_html_()
    assert Record("▓<\n", "5", "Which?")._repr_html_().endswith("<div>Which? <b>5</b></div>")
    assert Record((), "▓<\n█ \n", "Draw.")._repr_html_().count("<pre") == 1
