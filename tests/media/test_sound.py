import struct

import numpy as np
import pytest

from glyphsight.codec import Profile, encode_batch
from glyphsight.codec.sound import spectrogram, trim
from glyphsight.errors import PictureError
from glyphsight.media.sound import load_sound
from sounds import tone


def loudest_row(pixels):
    return int(pixels.astype(int).sum(axis=1).argmax())


def test_a_tone_is_a_line_and_low_tones_are_at_the_bottom():
    rows = [loudest_row(spectrogram(tone(hertz))) for hertz in (100, 400, 1000, 2500, 3900)]
    assert rows == sorted(rows, reverse=True)
    assert len(set(rows)) == 5
    # the band whose middle is nearest: 64 bands, equally far apart on the mel scale up to 4 kHz
    mel = 2595 * np.log10(1 + np.array([100, 400, 1000, 2500, 3900]) / 700)
    step = 2595 * np.log10(1 + 4000 / 700) / 65
    assert np.abs(63 - (mel / step - 1) - rows).max() <= 0.75


def test_a_frame_comes_each_10_ms_and_none_is_cut_off():
    assert [spectrogram(tone(440, s)).shape for s in (0.001, 0.025, 0.026, 0.035, 1.0)] == [
        (64, 1),
        (64, 1),
        (64, 2),
        (64, 2),
        (64, 99),
    ]


def test_the_loudest_60_decibels_are_0_to_255():
    sound = np.concatenate([tone(1000), np.zeros(4000), 0.01 * tone(1000)])
    pixels = spectrogram(sound)
    assert pixels.dtype == np.uint8
    row = pixels[loudest_row(pixels)]
    assert row[:40].min() >= 254
    assert row[55:95].max() == 0
    np.testing.assert_allclose(row[105:140], 255 * (60 - 40) / 60, atol=1)
    np.testing.assert_array_equal(spectrogram(sound / 100), pixels)


def test_the_spectrogram_is_that_of_librosa():
    librosa = pytest.importorskip("librosa")
    rng = np.random.default_rng(0)
    sound = np.concatenate([tone(300), 0.1 * rng.normal(size=4000), tone(2500)])
    power = librosa.feature.melspectrogram(
        y=np.pad(sound, (0, 512 - 200)),
        sr=8000,
        n_fft=512,
        hop_length=80,
        window=np.pad(np.hanning(200), (0, 312)),
        center=False,
        n_mels=64,
        htk=True,
        norm=None,
    )
    decibels = librosa.power_to_db(power, ref=np.max, top_db=60)[::-1]
    pixels = spectrogram(sound)
    ours = pixels[:, : decibels.shape[1]].astype(float) * (60 / 255) - 60
    assert decibels.shape[1] >= pixels.shape[1] - 1
    assert np.abs(ours - decibels).max() <= 60 / 255 / 2 + 1e-4  # half a gray value


def test_quiet_ends_are_cut_and_silence_stays():
    sound = np.concatenate([np.zeros(4000), 0.01 * tone(500), tone(1000), 0.003 * tone(500)])
    pixels = spectrogram(sound)
    assert [next(trim(pixels[None], range_)).shape[2] for range_ in (60, 30)] == [
        pytest.approx(152, abs=3),
        pytest.approx(52, abs=4),
    ]
    silence = spectrogram(np.zeros(4000))
    assert next(trim(silence[None], 30)).shape == (1, *silence.shape)
    late = encode_batch(pixels[None], Profile(trim=30))
    early = encode_batch(spectrogram(sound[6000:])[None], Profile(trim=30))
    assert late != encode_batch(pixels[None], Profile())
    assert sum(a != b for a, b in zip(late[0], early[0], strict=True)) <= 6


def test_silence_is_black_and_every_band_hears_something():
    assert spectrogram(np.zeros(4000)).max() == 0
    noise = np.random.default_rng(0).normal(size=80_000)
    assert spectrogram(noise).mean(axis=1).min() > 100


def test_the_picture_hardly_depends_on_rate_and_channels(tmp_path, wav):
    plain = load_sound(wav(tmp_path / "a.wav", tone(700)))
    np.testing.assert_array_equal(load_sound(tmp_path / "a.wav"), plain)
    stereo = np.stack([tone(700, rate=44100)] * 2, axis=1)
    other = load_sound(wav(tmp_path / "b.wav", stereo, 44100))
    assert other.shape == plain.shape
    assert loudest_row(other) == loudest_row(plain)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_every_common_kind_of_file_is_read(tmp_path, wav, suffix):
    path = wav(tmp_path / f"x.{suffix}", tone(700, rate=16000), 16000)
    pixels = load_sound(path)
    assert abs(loudest_row(pixels) - loudest_row(spectrogram(tone(700)))) <= 1


def subtypes():
    soundfile = pytest.importorskip("soundfile")
    for kind in ("WAV", "WAVEX", "RF64", "W64"):
        for subtype in soundfile.available_subtypes(kind):
            for endian in ("LITTLE", "BIG"):
                unwritten = subtype == "MPEG_LAYER_III"  # libsndfile lists it for WAV, no more
                if soundfile.check_format(kind, subtype, endian) and not unwritten:
                    yield pytest.param(kind, subtype, endian, id=f"{kind}-{subtype}-{endian}")


@pytest.mark.parametrize(("kind", "subtype", "endian"), list(subtypes()))
def test_every_codec_that_a_wav_may_hold_gives_the_same_tone(tmp_path, kind, subtype, endian):
    import soundfile

    path = tmp_path / "x.wav"
    soundfile.write(path, tone(700), 8000, subtype, endian, kind)
    pixels = load_sound(path)
    assert abs(loudest_row(pixels) - loudest_row(spectrogram(tone(700)))) <= 1
    assert 49 <= pixels.shape[1] <= 55  # GSM and ADPCM fill up their last block


def riff(samples, *, magic=b"RIFF", size=None, data=None, before=b"", after=b""):
    """A WAV of 16-bit samples [N] or [N, channels], with the sizes it is told to state."""
    end = "<" if magic == b"RIFF" else ">"
    body = np.round(np.asarray(samples) * 32767).astype(f"{end}i2")
    channels = 1 if body.ndim == 1 else body.shape[1]
    head = struct.pack(f"{end}2H2I2H", 1, channels, 8000, 16000 * channels, 2 * channels, 16)
    held = len(body.tobytes()) if data is None else data
    whole = b"WAVEfmt " + struct.pack(f"{end}I", 16) + head + before
    whole += b"data" + struct.pack(f"{end}I", held) + body.tobytes() + after
    return magic + struct.pack(f"{end}I", len(whole) if size is None else size) + whole


NOTE = b"LIST" + struct.pack("<I", 5) + b"INFOa"  # an odd size


@pytest.mark.parametrize(
    "how",
    [
        {"size": 0x7FFFF024, "data": 0x7FFFF000},
        {"size": 0xFFFFFFFF, "data": 0xFFFFFFFF},
        {"size": 0x80000024, "data": 0x80000000},
        {"size": 0},
        {"size": 100},
        {"size": 8044},
        {"data": 0},
        {"size": 0, "data": 0},
        {"magic": b"RIFX", "data": 0},
        {"size": 8037},
        {"before": NOTE + b"\0"},
        {"after": NOTE + b"\0"},
        {"after": NOTE},
        {"after": NOTE[:9]},
        {"before": b"bext" + struct.pack("<I", 602) + bytes(602), "after": NOTE + b"\0"},
        {"magic": b"RIFX"},
    ],
    ids=[
        *("pipe of SoX", "pipe of ffmpeg", "pipe of arecord", "no size", "too small a size"),
        *(
            "size of the file",
            "killed",
            "killed early",
            "killed RIFX",
            "a pad byte too many",
            "odd chunk before",
            "odd chunk after",
        ),
        *("odd chunk without pad byte", "chunk after cut off", "two chunks", "RIFX"),
    ],
)
def test_the_samples_of_a_wav_count_not_the_size_it_states(tmp_path, how):
    (tmp_path / "plain.wav").write_bytes(riff(tone(700)))
    (tmp_path / "x.wav").write_bytes(riff(tone(700), **how))
    np.testing.assert_array_equal(
        load_sound(tmp_path / "x.wav"), load_sound(tmp_path / "plain.wav")
    )


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 16])
def test_channels_are_averaged(tmp_path, channels):
    samples = np.stack([tone(700)] * channels, axis=1)
    (tmp_path / "x.wav").write_bytes(riff(samples))
    (tmp_path / "plain.wav").write_bytes(riff(tone(700)))
    both = [load_sound(tmp_path / name).astype(int) for name in ("x.wav", "plain.wav")]
    assert np.abs(both[0] - both[1]).max() <= 1


@pytest.mark.parametrize("kind", ["WAV", "RIFX", "AIFF"])
def test_samples_cut_off_are_refused_whatever_the_order_of_bytes(tmp_path, kind):
    import soundfile

    path = tmp_path / "x.wav"
    form, endian = ("WAV", "BIG") if kind == "RIFX" else (kind, "FILE")
    soundfile.write(path, tone(300), 8000, "PCM_16", endian, form)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(PictureError, match=r"x\.wav: cut off, .* bytes; fetch it again"):
        load_sound(path)


def test_a_codec_that_is_not_read_is_named_with_the_command_that_converts_it(tmp_path):
    data = bytearray(riff(tone(700)))
    data[20:22] = struct.pack("<H", 0x0161)
    (tmp_path / "a b.wav").write_bytes(data)
    with pytest.raises(PictureError, match=r"a b\.wav: .*codec WMA.*ffmpeg -i 'a b\.wav' -c:a pcm"):
        load_sound(tmp_path / "a b.wav")


def test_what_is_no_sound_is_named(tmp_path, wav):
    path = tmp_path / "x.wav"
    path.touch()
    with pytest.raises(PictureError, match="an empty file; fetch it again"):
        load_sound(path)
    for data in (b"hello", b"RIFF\4\0\0\0WAVE"):
        path.write_bytes(data)
        with pytest.raises(PictureError, match="not a sound that can be read") as error:
            load_sound(path)
        assert str(error.value).startswith(f"{path}: ")
        assert "\n" not in str(error.value)
    data = wav(path, tone(300)).read_bytes()
    path.write_bytes(data[:-100])
    with pytest.raises(PictureError, match=r"x\.wav: cut off, 7,944 of 8,044 bytes; fetch it"):
        load_sound(path)
    with pytest.raises(PictureError, match="no such file"):
        load_sound(tmp_path / "gone.wav")
    with pytest.raises(PictureError, match="a sound without samples"):
        load_sound(wav(path, np.zeros(0)))
    for after in (NOTE, NOTE + b"\0", b"junk"):
        path.write_bytes(riff([], after=after))
        with pytest.raises(PictureError, match="a sound without samples"):
            load_sound(path)
    with pytest.raises(PictureError, match="301 s, the limit is 300 s; cut it"):
        load_sound(wav(path, np.zeros(301 * 100), 100))
