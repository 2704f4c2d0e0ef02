import importlib.util
import re
from pathlib import Path

import pytest

from glyphsight.integrations import open_webui


@pytest.fixture
def body(golden):
    import base64

    data = base64.b64encode((golden / "five.png").read_bytes()).decode()
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    text = {"type": "text", "text": "Which digit?"}
    messages = [{"role": "user", "content": [text, picture]}]
    return {"model": "llama3.2:1b", "stream": True, "messages": messages}


@pytest.fixture
def pasted(tmp_path):
    """The filter of a file of its own, as Open WebUI loads what users paste."""
    copy = tmp_path / "function_pictures.py"
    copy.write_bytes(Path(open_webui.__file__).read_bytes())
    spec = importlib.util.spec_from_file_location("function_pictures", copy)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Filter()


def test_the_file_begins_with_the_fields_that_open_webui_reads():
    head = Path(open_webui.__file__).read_text("utf-8").split('"""')
    assert head[0] == ""
    fields = dict(re.findall(r"^(\w+): (.+)$", head[1], re.MULTILINE))
    assert fields["requirements"] == "glyphsight"
    assert {"title", "author", "version", "license"} <= set(fields)


def test_pictures_in_messages_become_text_and_the_request_stays(pasted, body):
    found = pasted.inlet(body, {"id": "1", "role": "user"})
    [text, picture] = found["messages"][0]["content"]
    assert text == body["messages"][0]["content"][0]
    assert picture["text"].startswith("Picture 1 (28x28 pixels) as text")
    assert (found["model"], found["stream"]) == (body["model"], True)


def test_valves_name_the_models_that_get_text_and_one_that_looks(pasted, body):
    pasted.valves = pasted.Valves(models="llava, llama3.2:1b", looks="nano-digits")
    picture = pasted.inlet(body)["messages"][0]["content"][1]
    assert "a handwritten digit: 5" in picture["text"]
    pasted.valves = pasted.Valves(models="llava")
    assert pasted.inlet(body) is body
