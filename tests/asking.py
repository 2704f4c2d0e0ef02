"""Ask a loaded model the same answers after many prompts, as tests do."""

import numpy as np

from glyphsight.dataset import Prompt
from glyphsight.inference import Model, Request

PLAIN = Prompt()


def requests(prompts, labels, prompt=PLAIN):
    replies = tuple(map(prompt.reply, labels))
    return [Request(text, replies) for text in prompts]


def scores(loaded, prompts, labels, prompt=PLAIN, **options):
    """Score every label after every prompt, float32[N, L]."""
    return np.array(Model(loaded).score(requests(prompts, labels, prompt), **options))


def replies(loaded, prompts, labels, prompt=PLAIN, **options):
    """Return the answers inside what the model writes after each prompt."""
    written = Model(loaded).generate(requests(prompts, labels, prompt), **options)
    return [prompt.read_reply(text) for text in written]


def see(picture, loaded):
    """Answer one picture."""
    [answer] = Model(loaded).see([picture])
    return answer
