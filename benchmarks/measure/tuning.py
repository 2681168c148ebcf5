"""Finds settings for a machine: a grid of them under load, and the best that keeps a latency budget."""

import itertools
import math
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.measure.http_load import closed_loop, get_requests
from benchmarks.measure.service import ServiceError, running_service
from gateway.settings import GatewaySettings
from repository.config import ModelConfig, parse_config, with_changes
from repository.manifest import CONFIG_FILE
from repository.spelling import as_called
from repository.store import ModelStore

MOST_CONFIRMED = 4
"""Settings that are measured again, at most, until one keeps the budget."""
START_S = 6.0
"""About how long a service takes to start and stop."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Setting:
    """What is tried: four values of Triton's config, two of the gateway; by default what each has by default."""

    instance_count: int = ModelConfig.instance_count
    threads: int = ModelConfig.threads
    max_batch_size: int = ModelConfig.max_batch_size
    queue_delay_us: int = ModelConfig.queue_delay_us
    triton_calls: int = GatewaySettings.model_fields["triton_calls"].default
    batch_tokens: int = GatewaySettings.model_fields["batch_tokens"].default
    batch_sentences: int = GatewaySettings.model_fields["batch_sentences"].default

    @property
    def config(self) -> dict[str, int]:
        """What `config.pbtxt` is to say."""
        names = ("instance_count", "threads", "max_batch_size", "queue_delay_us")
        return {name: getattr(self, name) for name in names}

    @property
    def environment(self) -> dict[str, str]:
        """What the gateway is to be told."""
        told = {"TRITON_CALLS": str(self.triton_calls), "BATCH_TOKENS": str(self.batch_tokens)}
        usual = self.batch_sentences == GatewaySettings.model_fields["batch_sentences"].default
        return told if usual else {**told, "BATCH_SENTENCES": str(self.batch_sentences)}

    @property
    def commands(self) -> str:
        """How a user puts it in force."""
        configure = (
            f"{as_called('python -m repository')} configure --instances {self.instance_count} --threads {self.threads} "
            f"--max-batch-size {self.max_batch_size} --queue-delay-us {self.queue_delay_us}"
        )
        return "\n".join([configure, *(f"export {name}={value}" for name, value in self.environment.items())])

    def __str__(self) -> str:
        return (
            f"{self.instance_count} × {self.threads or 'auto'} threads, batch {self.max_batch_size}, delay "
            f"{self.queue_delay_us} µs, {self.triton_calls} calls, {self.batch_tokens} tokens"
        )


@dataclass(frozen=True)
class Trial:
    """A setting and what callers got; `problem` says why there is nothing."""

    setting: Setting
    per_second: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    problem: str = ""

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Grid:
    """Values to try; each with each."""

    instance_counts: Sequence[int] = (1, 2)
    threads: Sequence[int] = (0, 1)
    max_batch_sizes: Sequence[int] = (64,)
    queue_delays_us: Sequence[int] = (0,)
    triton_calls: Sequence[int] = (2, 3, 4)
    batch_tokens: Sequence[int] = (128, 256, 512)

    def settings(self) -> list[Setting]:
        """Every combination."""
        lists = (self.instance_counts, self.threads, self.max_batch_sizes, self.queue_delays_us)
        return [Setting(*values) for values in itertools.product(*lists, self.triton_calls, self.batch_tokens)]


def try_settings(
    store: ModelStore,
    number: int,
    settings: Sequence[Setting],
    sentences: Sequence[str],
    connections: int,
    seconds: float,
    report: Report,
) -> Iterator[Trial]:
    """Serve version `number` under each setting and measure a closed loop of `GET /classify`.

    Args:
        store: where the version lies; it is copied, nothing changes there.
        number: of the version.
        settings: what to try.
        sentences: what is asked, in turn.
        connections: callers at a time, each with one request.
        seconds: about how long each is measured.
        report: told of each trial.
    """
    for place, setting in enumerate(settings, 1):
        report(f"{place} of {len(settings)}: {setting}")
        yield _try(store, number, setting, sentences, connections, seconds)


def _try(
    store: ModelStore, number: int, setting: Setting, sentences: Sequence[str], connections: int, seconds: float
) -> Trial:
    with tempfile.TemporaryDirectory(prefix="tuning-") as temporary:
        folder = Path(temporary) / store.model_name
        _copy(store.folder / str(number), folder / str(number))
        changed = with_changes(store.config(), setting.config)
        (folder / CONFIG_FILE).write_text(changed, encoding="utf-8")
        try:
            with running_service(folder.parent, store.model_name, **setting.environment) as service:
                url = service.url
                requests = get_requests(f"{url}/classify", sentences)
                warm_up = closed_loop(url, requests[: 4 * connections], connections)
                count = min(len(requests), max(2 * connections, int(warm_up.per_second * seconds)))
                found = closed_loop(url, requests[:count], connections)
        except (ServiceError, OSError) as error:
            return Trial(setting, problem=" ".join(str(error).split())[-200:])
    if found.statuses[200] != count:
        return Trial(setting, problem=f"answers were {dict(found.statuses)}: {found.first_failure[:100]}")
    return Trial(setting, found.per_second, found.percentile_ms(0.5), found.percentile_ms(0.99))


def _copy(version: Path, target: Path) -> None:
    """Links where the file system allows: a version may weigh gigabytes."""
    target.mkdir(parents=True)
    for file in version.iterdir():
        try:
            os.link(file, target / file.name)
        except OSError:
            (target / file.name).symlink_to(file.resolve())


def pareto_front(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that no other beats in throughput without being later at the 99th percentile, fastest first."""
    front: list[Trial] = []
    for trial in sorted(trials, key=lambda trial: (-trial.per_second, trial.p99_ms)):
        if not trial.problem and (not front or trial.p99_ms < front[-1].p99_ms):
            front.append(trial)
    return front


def best_within(trials: Sequence[Trial], p99_ms: float) -> Trial | None:
    """The highest throughput whose 99th percentile is within the budget, or None."""
    within = [trial for trial in trials if not trial.problem and trial.p99_ms <= p99_ms]
    return max(within, key=lambda trial: trial.per_second, default=None)


@dataclass(frozen=True)
class Confirmation:
    """A setting measured again, in turns with what is in force now."""

    setting: Setting
    p99_ms: float
    """Median of the trials; infinite if none worked."""
    ratios: list[float]
    """Its throughput over that of what is in force, of each pair of trials that both worked."""


def confirm_within(
    trials: Sequence[Trial],
    p99_ms: float,
    current: Setting,
    repeats: int,
    measure: Callable[[list[Setting]], list[Trial]],
) -> Iterator[Confirmation]:
    """Measure again what seemed to keep the budget, fastest first, until one keeps it, or what is in force is next.

    The best of many trials is one that was lucky, in its latency too: what counts is what it does the next time.

    Args:
        trials: of the grid.
        p99_ms: the budget.
        current: what is in force.
        repeats: pairs of trials for each.
        measure: tries settings, one after the other.
    """
    left = [trial for trial in trials if not trial.problem and trial.p99_ms <= p99_ms]
    for trial in sorted(left, key=lambda trial: -trial.per_second)[:MOST_CONFIRMED]:
        if trial.setting == current:
            return
        measured = measure([setting for _ in range(repeats) for setting in (trial.setting, current)])
        pairs = list(zip(measured[::2], measured[1::2], strict=True))
        times = [again.p99_ms for again, _ in pairs if not again.problem]
        found = Confirmation(trial.setting, statistics.median(times) if times else math.inf, paired_ratios(pairs))
        yield found
        if found.p99_ms <= p99_ms:
            return


def current_setting(store: ModelStore, environment: dict[str, str]) -> Setting:
    """What is in force: the store's config, and the gateway's variables as they are or by default."""
    config = parse_config(store.config())
    return Setting(
        config.instance_count,
        config.threads,
        config.max_batch_size,
        config.queue_delay_us,
        int(environment.get("TRITON_CALLS", Setting.triton_calls)),
        int(environment.get("BATCH_TOKENS", Setting.batch_tokens)),
        int(environment.get("BATCH_SENTENCES", Setting.batch_sentences)),
    )


def paired_ratios(pairs: Sequence[tuple[Trial, Trial]]) -> list[float]:
    """Throughput of the first over that of the second, smallest first; without pairs of which one failed."""
    return sorted(a.per_second / b.per_second for a, b in pairs if not a.problem and not b.problem)


def gain(ratios: Sequence[float]) -> str:
    """In words, with the spread."""
    if not ratios:
        return "not confirmed: no pair was measured"
    return f"{statistics.median(ratios):.2f} times the throughput ({ratios[0]:.2f} … {ratios[-1]:.2f})"
