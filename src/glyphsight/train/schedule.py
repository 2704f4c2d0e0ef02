"""How the learning rate rises and falls over a run."""

from __future__ import annotations

import math


def rate_factor(done: float, pace: float, warmup: float, schedule: str) -> float:
    """The learning rate as a share of its peak.

    Args:
        done: Share of the steps done, 0-1.
        pace: Share of the time allowed that is used up, less the first step's; 0 where there is no
            limit. Whichever of the two is further decides rise and fall.
        warmup: Share of the run over which the rate rises linearly.
        schedule: ``cosine`` or ``linear`` to 0 at the end, or ``constant``.

    Returns:
        0-1.
    """
    done = max(done, pace)
    rise = min(1.0, done / warmup) if warmup else 1.0
    if schedule == "constant":
        return rise
    left = 1 - min(1.0, max(0.0, done - warmup) / max(1 - warmup, 1e-9))
    return min(rise, left if schedule == "linear" else 0.5 * (1 - math.cos(math.pi * left)))
