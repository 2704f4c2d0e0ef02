import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glyphsight.serve.document import Document
from glyphsight.serve.errors import ApiError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(max_examples=50)
@given(VALUES, VALUES, st.sampled_from([None, 1]))
def test_one_value_is_replaced_and_the_rest_stays(before, after, indent):
    texts = [json.dumps(value, indent=indent).encode() for value in (before, after)]
    body = b'{"a": %s, "b": ["here"], "c":%s}' % tuple(texts)
    document = Document(body)
    document.locate()
    document.replace(document.value["b"][0], {"there": 1})
    assert document.encode() == b'{"a": %s, "b": [{"there": 1}], "c":%s}' % tuple(texts)


def test_numbers_spaces_order_and_double_keys_are_kept():
    body = b'{ "x":1.50,"n":1e400, "x" : 12345678901234567890.0, "p":{"q":"old"},\n "u":"\\u00e9" }'
    document = Document(body)
    document.locate()
    document.replace(document.value["p"], "new")
    assert document.encode() == body.replace(b'{"q":"old"}', b'"new"')


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'"text"', "no JSON object"),
        (b"\xff{}", "not UTF-8"),
        (b'{"a":' + b"[" * 100_000, "nested"),
        (b'{"a":' + b"9" * 5000 + b"}", "not JSON"),
    ],
)
def test_a_body_that_is_no_object_is_refused(body, said):
    with pytest.raises(ApiError, match=said) as caught:
        Document(body)
    assert caught.value.status == 400


def test_millions_of_values_are_refused_before_they_are_made():
    with pytest.raises(ApiError) as caught:
        Document(b'{"a":[' + b"[]," * 600_000 + b"0]}")
    assert caught.value.status == 413


def test_commas_in_a_text_are_no_values():
    Document(json.dumps({"a": "," * 600_000}).encode())
