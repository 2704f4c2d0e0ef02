import shutil
from dataclasses import replace

import pytest

from glyphsight.dataset.questions import CHAT, PLAIN
from glyphsight.errors import ModelError
from glyphsight.inference import Model
from glyphsight.inference.talk import conversation_ids, task_about
from glyphsight.models import RunRecord
from glyphsight.models.runs import SHIPPED_RUNS, Task

EVEN = Task("Is it even?", ("no", "yes"))
PICTURE = "·█·\n"
ASKED = [{"role": "user", "content": f"{PICTURE}What is it?"}]


def read_by(model, messages, pictures):
    ids = conversation_ids(model, messages, pictures=pictures)
    return model.tokenizer.decode(ids, skip_special_tokens=False)


def test_words_beside_a_picture_mean_a_task_or_belong_to_a_conversation():
    digit = Task("", ("1", "2"))
    assert task_about(RunRecord("nano", tasks=(digit,)), "What is this?") == digit
    both = RunRecord("nano", tasks=(digit, EVEN))
    assert task_about(both, "") == digit
    assert task_about(both, "Is it even? ") == EVEN
    with pytest.raises(ModelError, match="ask one of 'Is it even"):
        task_about(both, "Why?")
    free = RunRecord("smollm2-135m", tasks=(EVEN,), free=True)
    assert task_about(free, "Is it even?") == EVEN
    assert task_about(free, "Why?") is None


@pytest.mark.slow
def test_a_conversation_with_a_picture_is_read_as_the_model_was_trained_to(tmp_path):
    run = shutil.copytree(SHIPPED_RUNS["sight"], tmp_path / "run")
    record = RunRecord.load(run)
    replace(record, prompts=(PLAIN,)).save(run)
    words = [{"role": "user", "content": "Hello"}]
    read = [read_by(Model(run), ASKED, True), read_by(Model(run), words, False)]
    assert read == [PLAIN.ask(PICTURE, "What is it?"), CHAT.ask("", "Hello")]
    replace(record, prompts=(PLAIN, CHAT)).save(run)
    assert read_by(Model(run), ASKED, True) == CHAT.ask(PICTURE, "What is it?")
