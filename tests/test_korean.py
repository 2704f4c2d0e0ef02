"""The pages in Korean keep in step with the English ones."""

import re

import pytest

from pages import ROOT

PAGES = [("README.md", "README.ko.md"), ("docs/tutorial.md", "docs/tutorial.ko.md")]
BLOCK = re.compile(r"^```(\S*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def code(page):
    """List the lines of code of each block: without remarks, which are in the page's language."""
    found = BLOCK.findall((ROOT / page).read_text("utf-8"))
    return [
        (kind, [re.split(r"(?<=\S) {2,}", line)[0] for line in block.splitlines()])
        for kind, block in found
    ]


def levels(page):
    """List the levels of the headings outside the blocks."""
    text = BLOCK.sub("", (ROOT / page).read_text("utf-8"))
    return [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]


def shapes(page):
    """List what a reader meets in order: rows of tables and links that lead to pages."""
    text = BLOCK.sub("", (ROOT / page).read_text("utf-8"))
    return [line.count("|") for line in text.splitlines() if line.startswith("|")]


def figures(page):
    """List the percentages of the page, in order."""
    return sorted(re.findall(r"\d+\.\d+(?= %)", (ROOT / page).read_text("utf-8")))


@pytest.mark.parametrize(("english", "korean"), PAGES)
@pytest.mark.parametrize("part", [levels, code, shapes, figures])
def test_the_page_in_korean_is_that_in_english(english, korean, part):
    assert part(korean) == part(english), f"change {korean} as {english} was changed"


@pytest.mark.parametrize(("english", "korean"), PAGES)
def test_the_words_are_korean(english, korean):
    text = BLOCK.sub("", (ROOT / korean).read_text("utf-8"))
    paragraphs = [one for one in text.split("\n\n") if len(one) > 80 and not one.startswith("<img")]
    for one in paragraphs:
        assert len(re.findall("[가-힣]", one)) > 10, one
    assert text != (ROOT / english).read_text("utf-8")
