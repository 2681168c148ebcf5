"""What `python -m repository publish` and `rollback` take and print."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from repository.candidates.deciding import end
from repository.candidates.trial import Plan, Rule, refuse_over
from repository.command_options import Model, Repository, store_of
from repository.console import Console
from repository.history import VersionHistory
from repository.manifest import CONFIG_FILE, Manifest, RepositoryError

out = Console()


class Role(StrEnum):
    """What a version is published as."""

    CURRENT = "current"
    CANDIDATE = "candidate"


Replace = Annotated[bool, typer.Option("--replace", help="Reject a version that is on trial now, and go on.")]
_Share = Annotated[
    float, typer.Option(min=0, max=1, help="Share of requests that the candidate answers for real; 0 mirrors alone.")
]
_After = Annotated[
    int | None, typer.Option(min=1, help="Judge it after so many mirrored sentences: promote it, or reject it.")
]
_Agreement = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Least share of equal answers, at the 95 % lower bound (with --after: 0.99)."),
]
_Latency = Annotated[
    float | None, typer.Option(min=0.01, help="Most it may take, as a multiple of the current one (with --after: 1.5).")
]
_Errors = Annotated[int | None, typer.Option(min=0, help="Most sentences it may fail on (with --after: 0).")]


def publish(
    folder: Annotated[Path, typer.Argument(help="Version folder written by `python -m export`.", exists=True)],
    repository: Annotated[
        str | None, typer.Option("--to", "--repository", help="As MODEL_REPOSITORY: a folder, or s3://bucket/prefix.")
    ] = None,
    model: Model = None,
    tensorrt: Annotated[
        bool, typer.Option("--tensorrt", help="Let GPUs run the model through TensorRT; for a new model's config only.")
    ] = False,
    role: Annotated[
        Role, typer.Option("--as", help="A `candidate` is served beside the current version and proves itself first.")
    ] = Role.CURRENT,
    canary: _Share = 0.0,
    after: _After = None,
    agreement: _Agreement = None,
    latency_ratio: _Latency = None,
    errors: _Errors = None,
    replace: Replace = False,
) -> None:
    """Copy an exported version folder into the repository as the next version.

    As a candidate it answers nobody: gateways show it a share of live sentences (SHADOW_SHARE) and count how its
    answers differ. `promote` lets it answer, `reject` takes it away, --after N does one of the two by itself.
    """
    from repository.config import ModelConfig, parse_config

    plan = _plan(role, canary, after, {"agreement": agreement, "latency_ratio": latency_ratio, "errors": errors})
    store = store_of(repository, model)
    manifest = Manifest.read(folder)  # before anything is taken away for it
    if not store.numbers():
        # A config without a version would stay behind a refusal, and Triton complain of it at each look.
        store.refuse_untried(plan)
        manifest.verify_files(folder)
    store.ensure_config(ModelConfig(store.model_name, tensorrt=tensorrt).to_pbtxt())
    # Checked before publishing: a request that is not met must not look as if it were.
    config = parse_config(store.config())
    if tensorrt and not config.tensorrt:
        raise RepositoryError(
            f"{store.place}/{CONFIG_FILE} is there already, without TensorRT, and stays as it is: delete it first, or "
            "publish without --tensorrt"
        )
    if plan is not None and (config.pinned is not None or config.loaded_versions < 2):
        why = "one version is pinned: `unpin` it" if config.pinned else "its config lets Triton load one version alone"
        raise RepositoryError(f"Triton would not serve a candidate beside the current version, since {why}")
    _make_way(store, replace)
    number = store.publish(folder, plan=plan)
    out.print(f"Published version {number} of {store.model_name}{' as a candidate' if plan else ''}.")


def rollback(
    to: Annotated[int | None, typer.Option(help="Version to go back to (default: the one before).")] = None,
    replace: Replace = False,
    repository: Repository = None,
    model: Model = None,
) -> None:
    """Publish an older version's content as a new number."""
    store = store_of(repository, model)
    _make_way(store, replace)
    older, number = store.rollback(to)
    out.print(f"Published version {number} of {store.model_name}: the content of version {older}.")


def _plan(role: Role, canary: float, after: int | None, limits: dict[str, float | None]) -> Plan | None:
    given = {name: value for name, value in limits.items() if value is not None}
    if role is Role.CURRENT:
        if canary or after is not None or given:
            raise RepositoryError("--canary, --after and the rule's limits are for a version published --as candidate")
        return None
    if after is None:
        if given:
            raise RepositoryError("the limits of a rule need --after: how many sentences it is judged after")
        return Plan(canary=canary)
    if not 0 < given.get("agreement", 0.5) < 1:
        raise RepositoryError("--agreement is a share between 0 and 1: no number of sentences can show that all agree")
    rule = Rule.model_validate({"after": after, **given})
    if (why := rule.unreachable()) is not None:
        raise RepositoryError(why)
    return Plan(canary=canary, rule=rule)


def _make_way(store: VersionHistory, replace: bool) -> None:
    """Reject the version that is on trial, if that is asked for. Raises RepositoryError: it is not."""
    trials = store.trials()
    if not replace:
        refuse_over(trials)
    elif trials.running is not None:
        end(store, trials.running.version, "rejected", "replaced by another version")
        out.print(f"Rejected version {trials.running.version}.")
