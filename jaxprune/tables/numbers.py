"""Numbers → text in a uniform format: a true minus, an en dash for None, <0.001, GB of 10^9 bytes.

Shares are in [0, 1]; percent and points are shares times 100.
"""

from collections.abc import Callable, Iterable, Sequence

NONE = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share as percent, without the sign %: 71.4."""
    return NONE if share is None else _with_minus(f"{100 * share:.{digits}f}")


def option_shares(shares: Sequence[float] | None) -> str:
    """Shares of the options in percent: 73/1/26."""
    return NONE if shares is None else "/".join(percent(share, 0) for share in shares)


def points(share: float | None, digits: int = 1) -> str:
    """A difference of shares in percentage points: +1.2, −0.4, 0.0."""
    return NONE if share is None else signed(100 * share, digits)


def signed(value: float, digits: int = 1) -> str:
    """A difference with its sign and one decimal: +1.2, −0.4, 0.0."""
    text = _with_minus(f"{value:+.{digits}f}")
    return text[1:] if not text[1:].strip("0.") else text


def interval(bounds: Sequence[float] | None, show: Callable[[float], str] = percent) -> str:
    """Bounds, each formatted by `show`; by default those of a share, as percent: [69.1, 73.5]."""
    return NONE if bounds is None else f"[{', '.join(map(show, bounds))}]"


def point_interval(bounds: Sequence[float] | None, digits: int = 1) -> str:
    """Bounds of a difference of shares as points: [−0.4, +2.2]."""
    return interval(bounds, lambda bound: points(bound, digits))


def p_value(p: float | None) -> str:
    """Three decimals, or <0.001."""
    if p is None:
        return NONE
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def fraction(value: float | None) -> str:
    """Three decimals: RankC, intersection over union, the ratio of two perplexities."""
    return NONE if value is None else _with_minus(f"{value:.3f}")


def tenths(value: float | None) -> str:
    """One decimal and no sign: BLEU, chrF."""
    return NONE if value is None else _with_minus(f"{value:.1f}")


def whole(value: float) -> str:
    """No decimals, with thousands separators, as in cells of maps: 62, 1,250."""
    return _with_minus(f"{value:,.0f}")


def times(value: float) -> str:
    """A ratio in few characters: 3.2, 1,250, 2e+05."""
    if value < 100:
        return tenths(value)
    return whole(value) if value < 1e5 else f"{value:.0e}"


def seconds(value: float) -> str:
    """One decimal, with thousands separators: 1,234.5."""
    return f"{value:,.1f}"


def count(items: int) -> str:
    """An integer with thousands separators: 1,000."""
    return _with_minus(f"{items:,}")


def count_range(wholes: Iterable[int]) -> str:
    """The smallest and the largest number: 260 to 1,000; one number if they are equal."""
    least, *others = sorted(set(wholes))
    return f"{count(least)} to {count(others[-1])}" if others else count(least)


def bars(values: Sequence[float]) -> str:
    """A bar for each value, of eight heights from the least value to the largest: ▁▄▂█."""
    least, most = min(values), max(values)
    heights = (round(7 * (value - least) / ((most - least) or 1)) for value in values)
    return "".join("▁▂▃▄▅▆▇█"[height] for height in heights)


def by_layer(shares: Sequence[float]) -> str:
    """Shares of layers in percent: 40.1% to 60.0% by layer ▁▄█; empty if they are all shown alike."""
    least, most = percent(min(shares)), percent(max(shares))
    return "" if least == most else f"{least}% to {most}% by layer {bars(shares)}"


def byte_size(size: float) -> str:
    """MB of 10^6 bytes below 0.1 GB, otherwise GB of 10^9 bytes: 12.5 MB, 0.81 GB."""
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def number(value: float) -> str:
    """Short, for a value of any kind: 1,250, 0.31, −2.5, 1e-05."""
    return _with_minus(f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.4g}")


def _with_minus(digits: str) -> str:
    return MINUS + digits[1:] if digits.startswith("-") else digits
