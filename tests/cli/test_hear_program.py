import json
import re
import struct

import numpy as np
import pytest
from typer.testing import CliRunner

import glyphsight
from glyphsight.cli.app import app
from sounds import tone


def hear(*arguments, **how):
    return CliRunner().invoke(app, ["hear", *map(str, arguments)], **how)


def test_three_speakers_are_heard(spoken):
    files = [spoken / f"{name}_0.flac" for name in ("3_theo", "6_george", "8_yweweler")]
    done = hear(*files)
    assert done.exit_code == 0
    assert [line.split(": ")[1][0] for line in done.stdout.splitlines()] == ["3", "6", "8"]


def test_unknown_is_named_where_it_is_among_the_likeliest(spoken):
    assert re.search(r": 4 \(5.* %\), unknown 4", hear(spoken / "4_lucas_0.flac").stdout)


def test_sounds_are_heard_in_python_as_pictures_are_seen(spoken):
    files = [spoken / "3_theo_0.flac", spoken / "6_george_0.flac"]
    assert [one.label for one in glyphsight.hear(files)] == ["3", "6"]
    assert glyphsight.hear(files[0]) == glyphsight.see(files[0], "hearing")


def test_a_sound_comes_by_standard_input(spoken):
    file = spoken / "6_theo_0.flac"
    [piped] = json.loads(hear("-", "--json", input=file.read_bytes()).stdout)
    [named] = json.loads(hear(file, "--json").stdout)
    assert piped | {"path": ""} == named | {"path": ""}


def test_a_picture_is_for_see_and_a_sound_for_hear(golden, spoken):
    done = hear(golden / "five.png")
    assert done.exit_code == 1
    assert "ask glyphsight see" in done.stderr
    sound = spoken / "6_theo_0.flac"
    done = CliRunner().invoke(app, ["see", str(sound), "--model", "nano-digits"])
    assert done.exit_code == 1
    assert "ask glyphsight hear" in done.stderr


@pytest.mark.parametrize(
    ("samples", "rate", "subtype"),
    [
        (np.array([0.5]), 8000, "PCM_16"),
        (np.zeros(4000), 8000, "PCM_16"),
        (tone(700, 0.3, 192_000), 192_000, "PCM_24"),
        (tone(700, 0.3), 8000, "PCM_U8"),
        (np.stack([tone(700, 0.3), tone(500, 0.3)], axis=1), 44_100, "PCM_16"),
        (tone(700, 299), 8000, "PCM_16"),
    ],
    ids=["one sample", "silence", "192 kHz", "8 bits", "stereo", "five minutes"],
)
def test_odd_sounds_have_a_text_and_an_answer(samples, rate, subtype, tmp_path):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "x.wav", samples, rate, subtype)
    done = hear(tmp_path / "x.wav", "--json")
    [answer] = json.loads(done.stdout)
    rows = answer["ascii_image"].splitlines()
    assert (len(rows), {len(row) for row in rows}) == (20, {15})
    assert answer["empty"] is not samples.any()
    assert (answer["probability"] is None) is answer["empty"]
    assert ("nothing to hear in it" in done.stderr) is answer["empty"]


def test_what_cannot_be_heard_is_a_line_with_the_fix(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "nan.wav", np.full(800, np.nan), 8000, "FLOAT")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 8000)
    soundfile.write(tmp_path / "long.wav", np.zeros(600 * 100), 100)
    (tmp_path / "none.wav").touch()
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "cut.wav").write_bytes(b"RIFF" + struct.pack("<I", 99) + b"WAVE")
    done = hear(tmp_path)
    lines = done.stderr.splitlines()
    assert done.exit_code == 1
    assert len(lines) == 6
    for line, (name, fix) in zip(
        lines,
        [
            ("cut", "save it as WAV"),
            ("empty", "without samples; save it again"),
            ("long", "600 s, the limit is 300 s; cut it"),
            ("nan", "no finite numbers; save it again"),
            ("none", "an empty file; fetch it again"),
            ("text", "save it as WAV"),
        ],
        strict=True,
    ):
        assert f"{name}.wav: " in line
        assert fix in line


def test_hear_speaks_of_sounds(spoken, tmp_path):
    (tmp_path / "notes").write_text("no sound")
    (tmp_path / "seven").write_bytes((spoken / "7_jackson_0.flac").read_bytes())
    said = hear(tmp_path / "notes").stderr + hear("-", input=b"no sound").stderr
    assert (
        said.count("not a sound that can be read, WAV, FLAC, OGG, MP3, AIFF, AU, CAF or W64") == 2
    )
    assert said.count("save it as WAV in PCM") == 2
    assert hear(tmp_path / "seven").stdout.startswith(f"{tmp_path / 'seven'}: 7 (")
    page = hear("--help").stdout
    assert "[SOUNDS...]" in page
    assert all(word not in said + page for word in ("picture", "IMAGES", "--max-pixels"))


def test_the_text_of_a_sound_becomes_a_sound_again(spoken, tmp_path):
    way = ["--format", "plain", "--palette", "blocks", "--threshold", "85,128,170,213"]
    grid = ["--width", "16", "--height", "20", "--trim", "25"]
    run = CliRunner().invoke
    file = str(spoken / "7_theo_0.flac")
    text = run(app, ["encode", file, *way, *grid]).stdout
    (tmp_path / "x.txt").write_text(text, encoding="utf-8")
    back = str(tmp_path / "back.wav")
    done = run(app, ["decode", str(tmp_path / "x.txt"), *way, "--out", back, "--seconds", "0.4"])
    assert done.exit_code == 0
    again = run(app, ["encode", back, *way, *grid]).stdout
    assert sum(a != b for a, b in zip(text, again, strict=True)) < 0.25 * 320
    done = run(app, ["decode", str(tmp_path / "x.txt"), *way, "--out", str(tmp_path / "x.mp2")])
    assert done.exit_code == 1
