"""Figures over samples: histogram, percentiles, trends, a two-sample test and the bound on a rate.

Own code because scipy is 100 MB for four formulas; the tests hold each against scipy.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil, erfc, exp, floor, frexp, inf, ldexp, lgamma, log, log1p, sqrt
from statistics import NormalDist, median
from typing import Final

_LINES: Final = 64  # linear buckets per power of two: the relative error of a value is below 1/64


@dataclass(slots=True)
class Histogram:
    """A log-linear histogram of non-negative numbers: each value is kept to one part in 64, so it never grows large."""

    counts: Counter[int] = field(default_factory=Counter)
    total: int = 0
    highest: float = 0.0

    def add(self, value: float, count: int = 1) -> None:
        self.counts[_bucket(value)] += count
        self.total += count
        self.highest = max(self.highest, value)

    def merge(self, other: "Histogram") -> None:
        self.counts.update(other.counts)
        self.total += other.total
        self.highest = max(self.highest, other.highest)

    def percentile(self, percent: float) -> float:
        """The value that `percent` of the samples do not exceed, to one part in 64; 0 without samples."""
        rank, seen = max(1, ceil(self.total * percent / 100)), 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= rank:
                return min(_upper(bucket), self.highest)
        return 0.0


def _bucket(value: float) -> int:
    if value <= 0:
        return -(1 << 40)
    mantissa, exponent = frexp(value)
    return exponent * _LINES + int((mantissa - 0.5) * 2 * _LINES)


def _upper(bucket: int) -> float:
    if bucket == -(1 << 40):
        return 0.0
    exponent, line = divmod(bucket, _LINES)
    return ldexp(0.5 + (line + 1) / (2 * _LINES), exponent)


def percentile(samples: Iterable[float], percent: float) -> float:
    """The nearest-rank percentile of the samples; 0 without samples."""
    ordered = sorted(samples)
    return ordered[max(1, ceil(len(ordered) * percent / 100)) - 1] if ordered else 0.0


def mann_kendall(samples: Sequence[float]) -> float:
    """The two-sided p-value of a monotone trend over equally spaced samples (normal approximation, ties corrected)."""
    n = len(samples)
    s = sum((b > a) - (b < a) for i, a in enumerate(samples) for b in samples[i + 1 :])
    variance = _kendall_variance(samples)
    if n < 3 or variance <= 0 or s == 0:
        return 1.0
    z = (abs(s) - 1) / sqrt(variance)
    return erfc(z / sqrt(2))


def _kendall_variance(samples: Sequence[float]) -> float:
    n = len(samples)
    ties = sum(t * (t - 1) * (2 * t + 5) for t in Counter(samples).values())
    return (n * (n - 1) * (2 * n + 5) - ties) / 18


@dataclass(frozen=True, slots=True)
class Slope:
    """A Theil-Sen slope and its confidence bounds, in units of y per unit of x."""

    slope: float
    low: float
    high: float


def theil_sen(y: Sequence[float], x: Sequence[float] | None = None, *, confidence: float = 0.99) -> Slope:
    """The median slope of all pairs with its two-sided confidence bounds (Sen 1968, as scipy has them)."""
    xs = list(range(len(y))) if x is None else list(x)
    slopes = sorted(
        (y[j] - y[i]) / (xs[j] - xs[i]) for i in range(len(y)) for j in range(i + 1, len(y)) if xs[j] > xs[i]
    )
    if not slopes:
        return Slope(0.0, -inf, inf)
    n = len(y)
    ties = sum(t * (t - 1) * (2 * t + 5) for counts in (Counter(y), Counter(xs)) for t in counts.values() if t > 1)
    spread = NormalDist().inv_cdf(0.5 + confidence / 2) * sqrt(max(0.0, (n * (n - 1) * (2 * n + 5) - ties) / 18))
    low = max(round((len(slopes) - spread) / 2) - 1, 0)
    high = min(round((len(slopes) + spread) / 2), len(slopes) - 1)
    return Slope(median(slopes), slopes[low], slopes[high])


def ks_2samp(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """The two-sample Kolmogorov-Smirnov statistic and its asymptotic two-sided p-value; no sample may be empty."""
    left, right = sorted(a), sorted(b)
    points = [*left, *right]
    statistic = max(abs(bisect_right(left, p) / len(left) - bisect_right(right, p) / len(right)) for p in points)
    size = len(left) * len(right) / (len(left) + len(right))
    return statistic, _kolmogorov(sqrt(size) * statistic)


def _kolmogorov(z: float) -> float:
    if z < 0.2:  # the series converges slowly there and the value is 1 to twelve digits
        return 1.0
    terms = ((2 if k % 2 else -2) * exp(-2 * k * k * z * z) for k in range(1, 101))
    return min(1.0, max(0.0, sum(terms)))


def upper_rate(failures: int, n: int, *, confidence: float = 0.95) -> float:
    """The highest failure rate that `failures` in `n` trials leave possible (one-sided Clopper-Pearson bound)."""
    if failures >= n:
        return 1.0
    if failures == 0:
        return 1 - float((1 - confidence) ** (1 / n))
    low, high = failures / n, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(failures, n, middle) > 1 - confidence else (low, middle)
    return high


def binomial_band(n: int, p: float, *, confidence: float = 0.999) -> tuple[int, int]:
    """The fewest and the most successes in n trials with 0 < p < 1 that are not too rare on either side."""
    tail = (1 - confidence) / 2
    low = next(k for k in range(n + 1) if _at_most(k, n, p) > tail)
    high = next(k for k in range(n, -1, -1) if k == 0 or 1 - _at_most(k - 1, n, p) > tail)
    return low, high


def rate_excess(count: int, time: float, before: int, time_before: float) -> float:
    """How likely so many or more events are in `time`, were their rate that of `before` events in `time_before`.

    The exact conditional test of two Poisson rates; 1.0 without an event.
    """
    if count == 0:
        return 1.0
    return max(0.0, 1 - _at_most(count - 1, count + before, time / (time + time_before)))


def _at_most(k: int, n: int, p: float) -> float:
    """The probability of at most k successes in n trials; 0 < p < 1."""
    constant = lgamma(n + 1)
    logs = (constant - lgamma(i + 1) - lgamma(n - i + 1) + i * log(p) + (n - i) * log1p(-p) for i in range(k + 1))
    return sum(exp(one) for one in logs)


def rounded(value: float, digits: int = 3) -> float:
    """The value to so many significant digits, for a report."""
    if value == 0 or value in (inf, -inf):
        return value
    return float(round(value, digits - 1 - floor(log(abs(value), 10))))
