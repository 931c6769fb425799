"""Numbers as charts and tables write them: short, with a true minus."""

from __future__ import annotations


def number(value: float) -> str:
    """1,250, 0.31, −2.5, 1e−05: four digits, or a whole number from a thousand on."""
    digits = f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.4g}"
    return digits.replace("-", "\N{MINUS SIGN}")


def signed(value: float) -> str:
    """With its sign and one decimal: +1.2, −0.4, 0.0."""
    shown = f"{value:+.1f}".replace("-", "\N{MINUS SIGN}")
    return "0.0" if shown[1:] == "0.0" else shown
