"""Each formula against scipy, on random samples and on the edges."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from harness import stats

FLOATS = st.lists(st.floats(0, 1e6, allow_nan=False), min_size=1, max_size=60)


@given(FLOATS, st.sampled_from([1, 50, 90, 99, 100]))
def test_a_histogram_knows_percentiles_to_one_part_in_64(samples, percent):
    histogram = stats.Histogram()
    for sample in samples:
        histogram.add(sample)
    exact = stats.percentile(samples, percent)
    assert exact <= histogram.percentile(percent) * (1 + 1e-9)
    assert histogram.percentile(percent) <= exact * (1 + 1 / 32) + 1e-300


def test_histograms_merge_and_start_empty():
    one, two = stats.Histogram(), stats.Histogram()
    assert one.percentile(50) == 0.0
    one.add(0.0)
    two.add(3.0, count=2)
    one.merge(two)
    assert (one.total, one.highest, one.percentile(1), one.percentile(99)) == (3, 3.0, 0.0, 3.0)


def test_percentile_is_the_nearest_rank():
    assert stats.percentile([3, 1, 2], 50) == 2
    assert stats.percentile([], 50) == 0.0


@given(st.lists(st.integers(0, 9), min_size=4, max_size=40))
def test_mann_kendall_is_kendalls_tau_against_time_up_to_the_correction(samples):
    p = stats.mann_kendall(samples)
    assert 0 <= p <= 1
    assert p == pytest.approx(stats.mann_kendall([-one for one in samples]))


def test_mann_kendall_agrees_with_a_worked_example():
    # S = 45 of 45 pairs, variance 125: z = 44 / sqrt(125)
    assert stats.mann_kendall(range(10)) == pytest.approx(2 * scipy_stats.norm.sf(44 / 125**0.5))
    assert stats.mann_kendall([1, 1, 1, 1]) == 1.0
    assert stats.mann_kendall([1, 2]) == 1.0


@given(st.lists(st.floats(-1e3, 1e3, allow_nan=False), min_size=3, max_size=30))
def test_theil_sen_is_scipys(y):
    ours, theirs = stats.theil_sen(y), scipy_stats.theilslopes(y, alpha=0.99)
    assert (ours.slope, ours.low, ours.high) == pytest.approx((theirs.slope, theirs.low_slope, theirs.high_slope))


def test_theil_sen_of_nothing_knows_nothing():
    assert stats.theil_sen([1.0]) == stats.Slope(0.0, -inf, inf)
    assert stats.theil_sen([1.0, 3.0], [2.0, 4.0]).slope == 1.0


@given(st.lists(st.floats(0, 10), min_size=4, max_size=40), st.lists(st.floats(0, 10), min_size=4, max_size=40))
def test_ks_is_scipys(a, b):
    statistic, p = stats.ks_2samp(a, b)
    assert statistic == pytest.approx(scipy_stats.ks_2samp(a, b, method="asymp").statistic)
    size = len(a) * len(b) / (len(a) + len(b))
    assert p == pytest.approx(scipy_stats.kstwobign.sf(size**0.5 * statistic), abs=1e-9)


@given(st.integers(0, 40), st.integers(1, 400), st.sampled_from([0.9, 0.95, 0.99]))
def test_upper_rate_is_clopper_pearson(failures, n, confidence):
    failures = min(failures, n)
    exact = 1.0 if failures == n else scipy_stats.beta.ppf(confidence, failures + 1, n - failures)
    assert stats.upper_rate(failures, n, confidence=confidence) == pytest.approx(exact, rel=1e-6)


def test_three_thousand_good_ones_are_needed_for_one_in_a_thousand():
    assert stats.upper_rate(0, 2995) < 1e-3 < stats.upper_rate(0, 2990)


@pytest.mark.parametrize("n", [1, 5, 50, 200])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_binomial_band_is_scipys(n, p):
    assert stats.binomial_band(n, p) == scipy_stats.binom.interval(0.999, n, p)


@pytest.mark.parametrize(
    ("count", "time", "before", "time_before"), [(3, 4.0, 0, 8.0), (40, 4.0, 60, 8.0), (9, 1, 2, 9)]
)
def test_rate_excess_is_the_conditional_test_of_two_poisson_rates(count, time, before, time_before):
    share = time / (time + time_before)
    exact = scipy_stats.binomtest(count, count + before, share, alternative="greater").pvalue
    assert stats.rate_excess(count, time, before, time_before) == pytest.approx(exact)
    assert stats.rate_excess(0, time, before, time_before) == 1.0


@pytest.mark.parametrize("value, text", [(0.0, 0.0), (inf, inf), (123456.0, 123000.0), (0.0012345, 0.00123)])
def test_rounded(value, text):
    assert stats.rounded(value) == text
