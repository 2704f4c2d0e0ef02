import pytest

from glyphsight.train.schedule import rate_factor


def test_the_rate_rises_then_falls_to_nothing():
    factors = [rate_factor(done / 100, 0.0, 0.1, "cosine") for done in range(101)]
    assert factors[0] == 0
    assert max(factors) == factors[10] == pytest.approx(1)
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[-1] == pytest.approx(0, abs=1e-12)


def test_a_slow_machine_ends_low_all_the_same():
    assert rate_factor(0.4, 0.99, 0.1, "linear") == pytest.approx(0.0111, abs=1e-3)
    assert rate_factor(0.4, 0.2, 0.1, "linear") == rate_factor(0.4, 0.0, 0.1, "linear")


def test_a_run_that_the_clock_will_end_warms_up_by_the_clock():
    assert rate_factor(0.001, 0.05, 0.1, "cosine") == pytest.approx(0.5)
    assert rate_factor(0.002, 0.1, 0.1, "cosine") == pytest.approx(1)


def test_a_warm_up_that_takes_all_the_time_still_ends_low():
    assert rate_factor(0.05, 0.99, 0.1, "cosine") < 0.01


def test_a_constant_rate_stays():
    assert rate_factor(0.9, 0.0, 0.1, "constant") == 1
