import base64
import io
from copy import deepcopy

import numpy as np
import pytest

from glyphsight import encode
from glyphsight.inference.parts import PartError
from glyphsight.integrations.messages import as_text, make_reader


@pytest.fixture
def asked(golden):
    data = base64.b64encode((golden / "five.png").read_bytes()).decode()
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    question = {"type": "text", "text": "Which digit?"}
    return [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [picture, question, picture]},
    ]


def test_pictures_become_numbered_texts_and_all_else_stays(asked, golden):
    before = deepcopy(asked)
    system, user = as_text(asked, make_reader(width=20))
    first, question, second = user["content"]
    assert asked == before
    assert (system, question) == (before[0], before[1]["content"][1])
    text = encode(golden / "five.png", format="plain", invert="auto")
    words = "Picture {} (28x28 pixels) as text, glyphs from ground to ink ' ▓█':\n{}"
    assert first == {"type": "text", "text": words.format(1, text)}
    assert second == {"type": "text", "text": words.format(2, text)}


def test_a_text_holds_as_many_tokens_as_are_given(asked):
    sizes = [len(str(as_text(asked, make_reader(tokens=most)))) for most in (40, 160)]
    assert sizes[0] < sizes[1]


def test_a_model_says_what_it_sees_beside_the_text(asked):
    said = as_text(asked, make_reader("nano-digits"))[1]["content"][0]["text"]
    assert said.endswith("A small model says of Picture 1: a handwritten digit: 5 (100 %)")


def test_parts_of_other_types_stay(asked):
    asked[1]["content"] += [{"type": "file", "file": {"file_id": "a"}}]
    assert as_text(asked)[1]["content"][3] == {"type": "file", "file": {"file_id": "a"}}


@pytest.mark.parametrize(
    ("url", "fix"),
    [
        ("https://example.com/five.png", "send the file itself"),
        ("data:image/png;base64,QUJD", "not a picture"),
        ("five.png", "give a data URI"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_place(asked, url, fix):
    asked[1]["content"][2] = {"type": "image_url", "image_url": {"url": url}}
    with pytest.raises(PartError, match=rf"^messages\[1\]\.content\[2\]: .*{fix}") as caught:
        as_text(asked)
    assert caught.value.param == "messages[1].content[2]"


def test_a_sound_becomes_text():
    soundfile = pytest.importorskip("soundfile")
    sound = io.BytesIO()

    soundfile.write(sound, np.sin(np.arange(4000) / 5), 8000, format="wav")
    data = base64.b64encode(sound.getvalue()).decode()
    part = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
    [message] = as_text([{"role": "user", "content": [part]}])
    assert message["content"][0]["text"].startswith("Sound 1 (0.49 s) as text")
