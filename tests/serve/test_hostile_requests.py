import base64
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("starlette")
from glyphsight.inference.parts import Part, PartError
from glyphsight.serve.document import Document, slots
from glyphsight.serve.errors import ApiError

DATA = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256))).decode()
HEADS = ("", "data:", "data:image/png", "DATA:image/png;base64", "data:;charset=x;base64")
BODIES = ("", DATA, DATA.rstrip("="), DATA + "=", DATA.replace("+", "%2B"), "%", "%zz", "=====")
ODD = ("", " ", "\n", "\0", "é", "\ud800", "=", "-_", "%3D", "😀", ",", "data:")
SOURCES = st.one_of(
    st.text(max_size=40),
    st.builds(
        lambda head, comma, body, at, odd: head + comma + body[:at] + odd + body[at:],
        st.sampled_from(HEADS),
        st.sampled_from(["", ",", ",,", ";"]),
        st.sampled_from(BODIES),
        st.integers(0, 360),
        st.sampled_from(ODD),
    ),
)
KEYS = (
    *("messages", "content", "type", "text", "image_url", "url", "detail", "input_audio", "data"),
    *("images", "prompt", "variables", "input", "output", "role", "other"),
)
KINDS = ("text", "image_url", "input_image", "input_audio", "computer_screenshot", "low", DATA)
LEAVES = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.sampled_from(KINDS))
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    ),
    max_leaves=14,
)
PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS)},
    optional=dict.fromkeys(("text", "image_url", "input_audio", "detail", "other"), VALUES),
)
PATHS = ("/v1/chat/completions", "/v1/responses", "/v1/completions", "/api/chat", "/api/generate")
REQUESTS = st.dictionaries(
    st.sampled_from(("messages", "prompt", "input", "images", "other")),
    st.one_of(
        VALUES,
        st.lists(st.fixed_dictionaries({"content": st.lists(PARTS, max_size=3)}), max_size=2),
    ),
    max_size=3,
)


def found_or_refused(function, *given):
    """Return a result and None, or None and the error, which has a status and a fix."""
    try:
        return function(*given), None
    except (ApiError, PartError) as raised:
        error = raised
    assert getattr(error, "status", 400) == 400  # as a PartError is answered
    assert "; " in str(error) or ": " in str(error)
    return None, error


@settings(max_examples=100)
@given(SOURCES)
@example("data:,")
def test_any_source_is_bytes_or_refused_with_its_place(source):
    data, error = found_or_refused(Part("Picture", source, "auto", "messages[0]").data)
    assert data or error.param == "messages[0]"


@settings(max_examples=100)
@given(st.sampled_from(PATHS), REQUESTS, st.sampled_from([None, 2]))
@example("/v1/responses", {"prompt": {"variables": [1]}}, None)
def test_any_request_is_replaced_whole_or_refused(path, body, indent):
    raw = json.dumps(body, indent=indent).encode()
    document = Document(raw)
    document.locate()
    assert document.value == body
    found, _ = found_or_refused(lambda: list(slots(path, document.value)))
    for slot in found or ():
        slot.write(document, ["READ"] * len(slot.parts))
    written = document.encode()
    assert found or written == raw
    assert written.count(b"READ") == sum(len(slot.parts) for slot in found or ())
    if found:
        assert not list(slots(path, json.loads(written)))  # no picture is left


@settings(max_examples=60)
@given(st.binary(max_size=60), st.integers(0, 200), st.integers(0, 200))
def test_any_bytes_are_a_request_or_refused(odd, start, stop):
    part = {"type": "image_url", "image_url": DATA}
    raw = json.dumps({"messages": [{"content": [part]}] * 2}).encode()
    for bad in (odd, raw[:start] + odd + raw[stop:]):
        document, _ = found_or_refused(Document, bad)
        if document is not None:
            document.locate()
            assert document.encode() == bad
            found_or_refused(lambda: list(slots("/api/chat", document.value)))  # noqa: B023
