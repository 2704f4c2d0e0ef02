import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tokenizers import Regex, normalizers
from transformers import PreTrainedTokenizerFast

from glyphsight.codec import Profile, encode_batch
from glyphsight.codec.formats import FORMATS, get_format
from glyphsight.errors import FormatError, ModelError
from glyphsight.models.tokens import (
    _widest,
    count_pairs,
    count_tokens,
    largest_grid,
    load_tokenizer,
    merged_pictures,
    model_window,
)


@pytest.fixture(scope="module")
def five(golden):
    with Image.open(golden / "five.png") as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def embedded():
    return load_tokenizer("smollm2-135m")


@pytest.mark.parametrize(
    ("name", "form", "tokens"),
    [
        ("smollm2-135m", "seed", 198),
        ("smollm2-135m", "plain", 74),
        ("smollm2-135m", "digits", 231),
        ("nano", "seed", 34),
    ],
)
def test_the_published_picture_costs(five, name, form, tokens):
    texts = encode_batch(five[None], Profile(format=form))
    assert count_tokens(texts, load_tokenizer(name)) == [tokens]


def test_the_embedded_tokenizer_is_mended_and_whole(embedded):
    assert embedded.encode("   12").tokens == ["ĠĠĠ", "1", "2"]
    assert embedded.get_vocab_size() == 49152


def test_no_text_costs_nothing(embedded):
    assert count_tokens([], embedded) == []
    assert count_tokens([""], embedded) == [0]


def test_a_file_and_its_directory_are_taken_and_their_padding_is_not(embedded, tmp_path):
    value = json.loads(embedded.to_str())
    value["truncation"] = {
        "direction": "Right",
        "max_length": 5,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(value), encoding="utf-8")
    text = "one two three four five six seven"
    for place in (tmp_path, tmp_path / "tokenizer.json", str(tmp_path)):
        tokenizer = load_tokenizer(place)
        assert count_tokens([text, "x"], tokenizer) == count_tokens([text, "x"], embedded)


@pytest.mark.slow
def test_a_trained_run_is_taken(nano_run):
    assert count_tokens(["<row:1>      </row:1>\n"], load_tokenizer(nano_run)) == [2]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "cannot be read"), (b"{}", "no tokenizer of"), (b"\xff", "not UTF-8 at byte 0")],
)
def test_what_is_no_tokenizer_is_named(tmp_path, content, complaint):
    file = tmp_path / "tokenizer.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        load_tokenizer(file)
    assert str(caught.value).startswith(f"{file}: {complaint}")


@pytest.mark.parametrize("form", ["seed", "plain", "digits", "rle", "coords", "hex"])
@pytest.mark.parametrize("budget", [100, 500])
def test_the_largest_grid_fits_and_the_next_ones_do_not(five, embedded, form, budget):
    profile = largest_grid(five[None], Profile(format=form), budget, [embedded])

    def cost(width):
        text = encode_batch(five[None], Profile(width, format=form))
        return count_tokens(text, embedded)[0]

    assert profile == Profile(profile.width, format=form)
    assert cost(profile.width) <= budget
    assert all(cost(profile.width + more) > budget for more in range(1, 5))


def test_prompt_and_completion_are_counted_as_training_cuts_them(nano_run):
    from glyphsight.inference.tokenize import completion_ids, prompt_ids
    from glyphsight.models import load_model

    pairs = [("<row:1> █</row:1>\nResponse:", " 7"), ("Which is it?", " a dog")]
    cut = load_model(nano_run).tokenizer
    asked = prompt_ids(cut, [prompt for prompt, _ in pairs])
    said = completion_ids(cut, [completion for _, completion in pairs])
    expected = [len(one) + len(other) for one, other in zip(asked, said, strict=True)]
    assert count_pairs(pairs, load_tokenizer(nano_run)) == expected


def test_a_models_window_is_read_from_local_files(nano_run, tmp_path):
    assert model_window("smollm2-135m") == 8192
    assert model_window("nano") == model_window(nano_run) == 2048
    (tmp_path / "glyphsight.json").write_text((nano_run / "glyphsight.json").read_text())
    assert model_window(tmp_path) == 2048  # an adapter takes what its base takes
    for content in ("{}", "[]", "{", '{"max_position_embeddings": null}'):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(ModelError, match="does not say how long a sequence it takes"):
            model_window(tmp_path)
    with pytest.raises(ModelError, match="does not say how long"):
        model_window("some/hub-id")


def test_of_several_tokenizers_the_text_fits_each(five, embedded):
    both = [embedded, load_tokenizer("nano")]
    plain = Profile(format="plain")
    widths = [largest_grid(five[None], plain, 100, [each]).width for each in both]
    assert largest_grid(five[None], plain, 100, both).width <= min(widths)


def test_other_settings_are_kept_and_the_palette_counts(five, embedded):
    braille = Profile(7, " █", "braille", filter="box")
    profile = largest_grid(five[None], braille, 300, [embedded])
    assert profile == replace(braille, width=profile.width)
    assert get_format("braille").read(encode_batch(five[None], profile)[0], " █").max() == 1
    with pytest.raises(FormatError, match="carries 2 levels"):
        largest_grid(five[None], Profile(format="braille"), 300, [embedded])


def test_a_budget_below_one_column_is_refused(five, embedded):
    with pytest.raises(ModelError, match=r"one column of format seed costs \d+ tokens, more"):
        largest_grid(five[None], Profile(), 3, [embedded])


def test_the_search_is_bounded_and_finds_what_lies_behind_a_gap():
    assert _widest(lambda width: True, 4096) == 4096
    assert _widest(lambda width: width == 1, 4096) == 1
    assert _widest(lambda width: width <= 20 or width == 23, 4096) == 23


def test_the_largest_grid_keeps_to_the_mean_and_to_the_largest_width(validation, embedded):
    pictures, plain = validation.pixels[:64], Profile(format="plain")

    def cost(profile):
        return np.mean(count_tokens(encode_batch(pictures, profile), embedded))

    tight = largest_grid(pictures, plain, 50, [embedded])
    assert cost(tight) <= 50 < cost(replace(tight, width=tight.width + 1))
    assert largest_grid(pictures, plain, 1e6, [embedded], 28).width == 28


def test_neither_torch_nor_transformers_is_imported():
    code = (
        "import sys; from glyphsight.models.tokens import load_tokenizer;"
        "load_tokenizer('nano'), load_tokenizer();"
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def other(normalizer, unknown=()):
    """The embedded tokenizer with a normalizer, or without some of its glyphs."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    if unknown:
        known = [chr(code) for code in range(10, 127) if chr(code) not in unknown]
        made = Tokenizer(models.BPE({c: i for i, c in enumerate(["?", *known])}, [], unk_token="?"))
        made.pre_tokenizer = pre_tokenizers.Split("", "isolated")
        return made
    made = Tokenizer.from_str(load_tokenizer("smollm2-135m").to_str())
    made.normalizer = normalizer
    return made


@pytest.mark.parametrize(
    ("tokenizer", "profile", "kept"),
    [
        (other(normalizers.Replace(Regex(r"\s+"), " ")), Profile(), "--palette digits"),
        (other(normalizers.Replace(Regex(r"\s+"), " ")), Profile(format="plain"), "digits"),
        *(
            (other(normalizers.Replace(Regex(run), " " * 8)), Profile(width), "--palette ")
            for run, width in ((" {9,}", 20), (" {20,}", 42), (" {100,}", 202))
        ),
        (other(normalizers.Replace(Regex("█{9,}"), "█" * 8)), Profile(), "--palette ascii"),
        (other(normalizers.Lowercase()), Profile(palette=" aA"), "--palette seed"),
        (other(None, unknown="▓█"), Profile(), "--palette ascii"),
        (other(None, unknown="▓█"), Profile(palette=" █", format="half"), "--format "),
    ],
)
def test_a_tokenizer_that_makes_pictures_alike_is_told_with_a_palette_it_keeps_apart(
    tokenizer, profile, kept
):
    said = merged_pictures(tokenizer, profile)
    assert said.startswith("different pictures are the same tokens to its tokenizer, such as ")
    assert kept in said.partition("; encode them with")[2]
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    assert merged_pictures(fast, profile) == said


@pytest.mark.parametrize("name", ["smollm2-135m", "nano"])
def test_our_tokenizers_keep_the_pictures_of_every_format_apart(name):
    for form in FORMATS.own:
        palette = " █" if get_format(form).max_levels == 2 else " ░▒▓█"
        assert not merged_pictures(load_tokenizer(name), Profile(format=form, palette=palette))
