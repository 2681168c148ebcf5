"""Promises as rules for Prometheus: budgets, and alerts on how fast they are used up.

An alert looks at two windows at a time: the long one says that it matters, the short one that it still goes on. The
windows, and the share of a budget that may be gone after each, are those of chapter 5, "Alerting on SLOs", of Google's
Site Reliability Workbook. For a budget of 30 days they are 14.4, 6, 3 and 1 times the speed that just uses it up.
"""

from dataclasses import dataclass
from typing import Any

from launcher.promises.slo import RATE_WINDOW, Promise, Promises

HEAD = """# Written by `python -m launcher.promises` from deploy/slo.yaml: change that file, then run it.
"""


@dataclass(frozen=True)
class Burn:
    """How fast a budget may be used up before somebody is told."""

    spent: float
    """Share of the budget that is gone after the long window."""
    long: str
    short: str
    severity: str

    @property
    def word(self) -> str:
        """In the name of the alert."""
        return "BurnsFast" if self.severity == "critical" else "Burns"

    def factor(self, window: str) -> float:
        """Times the speed that uses a budget up exactly at the end of its window."""
        return self.spent * _hours(window) / _hours(self.long)


BURNS = (
    Burn(0.02, "1h", "5m", "critical"),
    Burn(0.05, "6h", "30m", "critical"),
    Burn(0.10, "1d", "2h", "warning"),
    Burn(0.10, "3d", "6h", "warning"),
)


def _hours(window: str) -> float:
    return int(window[:-1]) * {"m": 1 / 60, "h": 1, "d": 24}[window[-1]]


def rules_of(promises: Promises) -> dict[str, Any]:
    """The content of Prometheus's file of rules."""
    return {"groups": [group for promise in promises.promises if (group := _group(promise, promises.window))]}


def _group(promise: Promise, window: str) -> dict[str, Any] | None:
    """The rules of one promise; None of one that Prometheus cannot see."""
    if promise.objective is not None:
        alerts = [_alert(promise, burn, window) for burn in BURNS]
        return {"name": f"promise-{promise.name}", "rules": [*_rates(promise), *_ratios(promise, window), *alerts]}
    return {"name": f"promise-{promise.name}", "rules": [_late(promise)]} if promise.waits is not None else None


def rules_text(promises: Promises) -> str:
    """The same as YAML."""
    import yaml

    return HEAD + str(yaml.safe_dump(rules_of(promises), sort_keys=False, width=1000, allow_unicode=True))


def _name(promise: Promise, what: str) -> str:
    return f"classifier:{promise.name}_{what}"


def _rates(promise: Promise) -> list[dict[str, Any]]:
    total = f"({promise.total})"
    return [
        {"record": _name(promise, f"total:rate{RATE_WINDOW}"), "expr": promise.total},
        # Where nothing bad was ever counted, there is no series to count it.
        {"record": _name(promise, f"bad:rate{RATE_WINDOW}"), "expr": f"({promise.bad}) or 0 * {total}"},
    ]


def _ratios(promise: Promise, window: str) -> list[dict[str, Any]]:
    """Share of bad requests over each window that alerts look at, and over the whole one."""
    bad, total = (_name(promise, f"{what}:rate{RATE_WINDOW}") for what in ("bad", "total"))
    rules = [{"record": _name(promise, f"bad:ratio{RATE_WINDOW}"), "expr": f"{bad} / ({total} > 0)"}]
    for each in dict.fromkeys([*(part for burn in BURNS for part in (burn.short, burn.long)), window]):
        if each != RATE_WINDOW:
            # The mean of the rates, and not of the ratios: a quiet night weighs no more than its few requests.
            expression = f"avg_over_time({bad}[{each}]) / (avg_over_time({total}[{each}]) > 0)"
            rules.append({"record": _name(promise, f"bad:ratio{each}"), "expr": expression})
    left = f"1 - {_name(promise, f'bad:ratio{window}')} / {promise.budget:g}"
    return [*rules, {"record": _name(promise, "budget:left"), "expr": left}]


def _alert(promise: Promise, burn: Burn, window: str) -> dict[str, Any]:
    factor = round(burn.factor(window), 3)
    limit = f"{factor:g} * {promise.budget:g}"
    long, short = (_name(promise, f"bad:ratio{each}") for each in (burn.long, burn.short))
    return {
        "alert": f"Classifier{_camel(promise.name)}{burn.word}",
        "expr": f"{long} > {limit} and {short} > {limit}",
        "labels": {"severity": burn.severity, "promise": promise.name, "over": burn.long},
        "annotations": {
            "summary": f"{promise.says} Within {burn.long}, {{{{ $value | humanizePercentage }}}} of the requests"
            f"{_OF_MODEL} did not keep that; {100 * promise.budget:g}% may.",
            "description": f"So fast, the budget of {window} lasts at most {_lasting(window, factor)}. What uses it "
            "up, and what helps: docs/guides/promises.md.",
        },
    }


def _lasting(window: str, factor: float) -> str:
    hours = _hours(window) / factor
    return f"{hours:.0f} hours" if hours < 72 else f"{hours / 24:.0f} days"


def _late(promise: Promise) -> dict[str, Any]:
    return {
        "alert": f"Classifier{_camel(promise.name)}Late",
        "expr": promise.waits,
        "for": f"{promise.at_most:g}s",
        "labels": {"severity": "warning", "promise": promise.name},
        "annotations": {
            "summary": f"{promise.says} It takes longer{_OF_MODEL}.",
            "description": "GET /health/ready says what is waited for. What helps: docs/guides/promises.md.",
        },
    }


_OF_MODEL = "{{ with $labels.model }} for {{ . }}{{ end }}"


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
