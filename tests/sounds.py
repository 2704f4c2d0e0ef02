"""Sounds that tests make."""

import numpy as np


def tone(hertz, seconds=0.5, rate=8000):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)
