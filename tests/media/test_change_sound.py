import numpy as np
import pytest

from glyphsight.codec.sound import spectrogram
from glyphsight.evaluate.robustness import SOUNDS
from glyphsight.media.change import Augmentation
from glyphsight.media.change_sound import augment_sounds, gain, hiss, leading_silence, speed
from sounds import tone

STILL = Augmentation(shift=0, scale=0, pitch=0, tone=0, mask=0)
NUMBERS = np.arange(6)


@pytest.fixture(scope="module")
def pixels():
    sound = np.concatenate([tone(300, 0.2), tone(1200, 0.2), 0.1 * tone(2500, 0.2)])
    return np.stack([spectrogram(sound)] * len(NUMBERS))


def loudest_rows(pixels):
    return pixels.astype(int).sum(axis=2).argmax(axis=1)


def test_without_a_range_nothing_changes(pixels):
    np.testing.assert_array_equal(augment_sounds(pixels, STILL, 0, 1, NUMBERS), pixels)


def test_a_copy_depends_on_its_seed_turn_and_number_alone(pixels):
    how = Augmentation(noise=100)
    copies = augment_sounds(pixels, how, 0, 1, NUMBERS)
    assert copies.shape == pixels.shape
    assert copies.dtype == np.uint8
    assert len({copy.tobytes() for copy in copies}) == len(copies)
    np.testing.assert_array_equal(augment_sounds(pixels[:1], how, 0, 1, NUMBERS[3:4]), copies[3:4])
    assert (augment_sounds(pixels, how, 0, 2, NUMBERS) != copies).any()
    assert (augment_sounds(pixels, how, 1, 1, NUMBERS) != copies).any()
    assert len(augment_sounds(pixels[:0], how, 0, 1, NUMBERS[:0])) == 0


def test_pitch_moves_a_tone_and_speed_does_not():
    pixels = np.stack([spectrogram(tone(900))] * len(NUMBERS))
    before = loudest_rows(pixels)
    pitched = Augmentation(shift=0, scale=0, pitch=0.3, tone=0, mask=0)
    assert len(set(loudest_rows(augment_sounds(pixels, pitched, 0, 1, NUMBERS)))) > 2
    faster = Augmentation(shift=0, scale=0.3, pitch=0, tone=0, mask=0)
    copies = augment_sounds(pixels, faster, 0, 1, NUMBERS)
    np.testing.assert_array_equal(loudest_rows(copies), before)
    assert (copies != pixels).any()


def test_masks_silence_bands_and_moments(pixels):
    masked = Augmentation(shift=0, scale=0, pitch=0, tone=0, mask=0.5, noise=100)
    copies = augment_sounds(pixels, masked, 0, 1, NUMBERS)
    assert (copies.max(axis=1) == 0).any(axis=1).sum() >= 4
    assert (copies.max(axis=2) == 0).any(axis=1).sum() >= 4


def test_measured_changes_do_what_they_say():
    rng, sound = np.random.default_rng(0), tone(1000)
    np.testing.assert_allclose(gain(sound, -20, rng), sound / 10, atol=1e-4)
    noise = hiss(sound, 10, rng) - sound
    assert 10 * np.log10((sound**2).mean() / (noise**2).mean()) == pytest.approx(10, abs=0.5)
    assert len(speed(sound, 2, rng)) == pytest.approx(len(sound) / 2, abs=2)
    assert len(leading_silence(sound, 0.5, rng)) == len(sound) + 4000
    for one in SOUNDS:
        for strength in one.strengths or (0.0,):
            if one.on == "sound":
                spectrogram(one.change(sound, strength, rng))
