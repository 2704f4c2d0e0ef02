import asyncio
import base64
import json
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "integrations.md").read_text("utf-8")
pytestmark = [
    pytest.mark.slow,  # litellm takes seconds to import
    pytest.mark.filterwarnings("default"),  # other people's packages warn of one another
]


@pytest.fixture
def upstream():
    """A server that speaks OpenAI's API, and the requests that it got."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            message = {"role": "assistant", "content": "A five."}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            reply = {"id": "1", "object": "chat.completion", "created": 0, "model": "local"}
            data = json.dumps(reply | {"choices": [choice]}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1", asked
    server.shutdown()
    server.server_close()


@pytest.fixture
def complete(upstream, monkeypatch, golden):
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # no look at the network
    litellm = pytest.importorskip("litellm")
    from glyphsight.integrations.litellm import Eyes

    monkeypatch.setattr(litellm, "callbacks", [Eyes()])
    data = base64.b64encode((golden / "five.png").read_bytes()).decode()

    def call(model, url=f"data:image/png;base64,{data}"):
        picture = {"type": "image_url", "image_url": {"url": url}}
        content = [picture, {"type": "text", "text": "Which digit?"}]
        messages = [{"role": "user", "content": content}]
        given = {"model": model, "messages": messages, "api_base": upstream[0], "api_key": "none"}
        reply = asyncio.run(litellm.acompletion(**given, num_retries=0))
        assert content[0] is picture
        return reply.choices[0].message.content

    return call


def test_a_model_that_does_not_see_is_asked_in_text(complete, upstream):
    assert complete("openai/local") == "A five."
    [asked] = upstream[1]
    picture, question = asked["messages"][0]["content"]
    assert picture["text"].startswith("Picture 1 (28x28 pixels) as text")
    assert question == {"type": "text", "text": "Which digit?"}


def test_a_model_that_sees_gets_the_picture_itself(complete, upstream):
    complete("openai/gpt-4o")
    assert upstream[1][0]["messages"][0]["content"][0]["type"] == "image_url"


def test_a_picture_that_cannot_be_read_is_not_sent(complete, upstream):
    with pytest.raises(Exception, match=r"messages\[0\]\.content\[0\]: .*not fetched"):
        complete("openai/local", "https://example.com/five.png")
    assert upstream[1] == []


def test_the_code_of_the_page_runs(complete, upstream, golden, tmp_path, monkeypatch, capsys):
    shutil.copy(golden / "five.png", tmp_path)
    monkeypatch.chdir(tmp_path)
    [code] = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    exec(code.replace("http://localhost:11434/v1", upstream[0]), {})
    assert capsys.readouterr().out.startswith("A five.")
    [picture, _] = upstream[1][0]["messages"][0]["content"]
    assert "a handwritten digit: 5" in picture["text"]
