"""What a gateway and the repository tell of a candidate, and waiting for it."""

from typing import Any

import httpx

from repository.candidates.trial import Rule, Trial
from repository.history import VersionHistory
from tests.integration.gateways import versions_of_workers
from tests.integration.stack import Stack
from tests.integration.swapping import SWAP_S
from tests.waiting import wait_until

# A candidate is given half of the deadline, and one call that takes longer ends its trial: busy machines take seconds.
EAGER = {"SHADOW_SHARE": "1", "VERSION_POLL_MS": "200", "DEADLINE_MS": "30000"}
NEVER = Rule(after=10**6, agreement=0.9, latency_ratio=50, errors=0)


def until_workers_ready(stack: Stack) -> None:
    """Until no worker is met that is still starting."""
    wait_until(lambda: None not in versions_of_workers(stack.url), SWAP_S, "each worker is ready")


def candidate_of(stack: Stack) -> dict[str, Any]:
    """What GET /models says of the candidate; nothing without one."""
    found: dict[str, Any] = stack.client.get("/models").json()["candidate"] or {}
    return found


def compared(stack: Stack) -> int:
    return int((candidate_of(stack).get("agreement") or {}).get("compared", 0))


def until_running(stack: Stack, version: int, canary: float | None = None) -> None:
    """Until each worker asks the candidate, with this share of requests if one is given."""
    wanted: dict[str, Any] = {"version": version, "state": "runs"}
    if canary is not None:
        wanted["canary"] = canary

    def is_seen() -> bool:
        """By fresh connections, which are dealt between the workers."""
        found = [httpx.get(f"{stack.url}/models").json()["candidate"] or {} for _ in range(30)]
        return all(wanted.items() <= each.items() for each in found)

    wait_until(is_seen, SWAP_S, f"version {version} is on trial in each worker")


def until_ended(store: VersionHistory, version: int, outcome: str) -> Trial:
    """The trial, once its version is promoted, or is rejected and deleted."""

    def ended() -> Trial | None:
        trial = next((each for each in store.trials().trials if each.version == version), None)
        if trial is None or trial.outcome is None or (trial.outcome == "rejected" and version in store.numbers()):
            return None
        return trial

    wait_until(ended, 2 * SWAP_S, f"version {version} is {outcome}")
    found = ended()
    assert found is not None
    assert found.outcome == outcome, found.reason
    return found
