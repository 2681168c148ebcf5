"""Where the lines of the report's charts run: numbers in the units of an SVG, which the template draws."""

import math
from collections.abc import Sequence
from typing import Any

WIDTH, HEIGHT = 360, 260
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 12, 40


class _Frame:
    """Data coordinates to those of the SVG, and the ticks of both axes."""

    def __init__(self, across: tuple[float, float], up: tuple[float, float], logarithmic: bool = False) -> None:
        self._log = logarithmic
        self._across, self._up = across, up

    def x(self, value: float) -> float:
        low, high = self._across
        if self._log:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / ((high - low) or 1), 1)

    def y(self, value: float) -> float:
        low, high = self._up
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / ((high - low) or 1), 1)

    def point(self, across: float, up: float) -> str:
        return f"{self.x(across)},{self.y(up)}"

    def described(self, across: Sequence[float], up: Sequence[float], **more: Any) -> dict[str, Any]:
        return {
            "width": WIDTH,
            "height": HEIGHT,
            "left": LEFT,
            "right": WIDTH - RIGHT,
            "top": TOP,
            "bottom": HEIGHT - BOTTOM,
            "across": [(self.x(value), tick(value)) for value in across],
            "up": [(self.y(value), tick(value)) for value in up],
            **more,
        }


def tick(value: float) -> str:
    """A number beside an axis."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers between two, at most so many."""
    span = (high - low) or abs(high) or 1.0
    step = 10 ** math.floor(math.log10(span / most))
    step = next(step * factor for factor in (1, 2, 5, 10, 20) if span / (step * factor) < most)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def interval_bar(value: float | None, bounds: Sequence[float] | None, highest: float = 1.0) -> dict[str, float] | None:
    """A bar of 100 units for a figure in 0 to `highest`, with the line of its interval."""
    if value is None:
        return None
    low, high = bounds or (value, value)
    return {
        name: round(100 * min(1, max(0, each / highest)), 1)
        for name, each in zip(("value", "low", "high"), (value, low, high), strict=True)
    }


def ascending_bins(bins: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Bins that hold something."""
    return [each for each in bins if each["count"]]


def reliability_chart(calibration: dict[str, Any]) -> dict[str, Any]:
    """The share of right answers over the score, a column a bin, with the diagonal of a perfect model."""
    frame = _Frame((0, 1), (0, 1))
    filled = ascending_bins(calibration["bins"])
    most = max(each["count"] for each in filled)
    bars = [
        {
            "x": frame.x(each["from"]) + 1,
            "width": frame.x(each["to"]) - frame.x(each["from"]) - 2,
            "y": frame.y(each["share_right"]),
            "height": round(HEIGHT - BOTTOM - frame.y(each["share_right"]), 1),
            "mark_x": frame.x(each["mean_score"]),
            "mark_y": frame.y(each["mean_score"]),
            # Never invisible: a bin of one text is there.
            "strength": round(0.25 + 0.75 * math.sqrt(each["count"] / most), 2),
        }
        for each in filled
    ]
    fifths = [0, 0.2, 0.4, 0.6, 0.8, 1]
    diagonal = {"x1": frame.x(0), "y1": frame.y(0), "x2": frame.x(1), "y2": frame.y(1)}
    return frame.described(fifths, fifths, bars=bars, diagonal=diagonal)


def scatter_chart(points: Sequence[Sequence[float]]) -> dict[str, Any]:
    """What was answered over what was true, with the diagonal of right answers."""
    values = [value for point in points for value in point]
    low, high = min(values), max(values)
    margin = 0.03 * (high - low) or 1.0
    low, high = low - margin, high + margin
    frame = _Frame((low, high), (low, high))
    dots = [(frame.x(true), frame.y(answered)) for true, answered in points]
    diagonal = {"x1": frame.x(low), "y1": frame.y(low), "x2": frame.x(high), "y2": frame.y(high)}
    return frame.described(ticks(low, high, 5), ticks(low, high, 6), dots=dots, diagonal=diagonal)


def curve_chart(curve: dict[str, Any]) -> dict[str, Any]:
    """A figure over the number of groups, on a logarithmic axis, and the interval at twice as many."""
    doubled = curve["doubled"]
    levels = [value for point in curve["points"] for value in point["values"]]
    levels += [doubled["value"][name] for name in ("low", "high")]
    low, high = min(levels), max(levels)
    margin = 0.08 * (high - low) or 0.01
    groups = [point["groups"] for point in curve["points"]]
    frame = _Frame((0.85 * groups[0], 1.15 * doubled["groups"]), (low - margin, high + margin), logarithmic=True)
    last = curve["points"][-1]
    return frame.described(
        [*groups, doubled["groups"]],
        ticks(low - margin, high + margin),
        line=" ".join(frame.point(point["groups"], point["mean"]) for point in curve["points"]),
        dots=[(frame.x(point["groups"]), frame.y(value)) for point in curve["points"] for value in point["values"]],
        beyond=" ".join(
            (frame.point(last["groups"], last["mean"]), frame.point(doubled["groups"], doubled["value"]["value"]))
        ),
        whisker={
            "x": frame.x(doubled["groups"]),
            "low": frame.y(doubled["value"]["low"]),
            "high": frame.y(doubled["value"]["high"]),
            "value": frame.y(doubled["value"]["value"]),
        },
    )


def epochs_chart(epochs: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Loss on train and validation over the epochs."""
    lines = {
        name: [(each["epoch"], each[name]) for each in epochs if _is_finite(each.get(name)) and "epoch" in each]
        for name in ("train_loss", "loss")
    }
    points = [point for line in lines.values() for point in line]
    if len({across for across, _ in points}) < 2:
        return None
    low, high = min(up for _, up in points), max(up for _, up in points)
    margin = 0.06 * (high - low) or 0.1
    most = max(across for across, _ in points)
    first = min(across for across, _ in points)
    frame = _Frame((first, most), (low - margin, high + margin))
    return frame.described(
        ticks(first, most, 8),
        ticks(low - margin, high + margin),
        lines={name: " ".join(frame.point(*point) for point in line) for name, line in lines.items()},
        dots={name: [(frame.x(across), frame.y(up)) for across, up in line] for name, line in lines.items()},
    )


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
