"""The commands about candidates say what is and what to do, and refuse what cannot be meant."""

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from repository.__main__ import app
from repository.candidates.tally import Agreement, Tally
from repository.candidates.tally_place import LocalTallies
from repository.console import Console
from repository.store import ModelStore
from tests.version_folders import write_version

COUNTED = Tally(
    version=2,
    against=1,
    updated_at="2026-01-01T00:00:00Z",  # type: ignore[arg-type]
    overall=Agreement(compared=400, agreed=398),
    by_label={"[red]Animal": Agreement(compared=400, agreed=398, confident_changes=1)},
    ratios={0: 100},
    timed=100,
)


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal in which no cell of a table is broken."""
    monkeypatch.setattr("repository.__main__.out", Console(width=200))


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    return write_version(tmp_path / "exported", {"cat": "Animal", "oak": "Plant"})


@pytest.fixture
def store(tmp_path: Path, exported: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """Version 1 answers; the environment names the repository."""
    monkeypatch.setenv("MODEL_REPOSITORY", str(tmp_path / "repository"))
    monkeypatch.setenv("COLUMNS", "200")
    assert run("publish", str(exported)).exit_code == 0
    return ModelStore(tmp_path / "repository", "classifier")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def refusal(*arguments: str) -> str:
    """Why a command is refused; whoever runs it sees that line alone."""
    result = run(*arguments)
    assert result.exit_code != 0
    return str(result.exception) + result.output


def test_a_trial_from_its_begin_to_its_end(store: ModelStore, exported: Path) -> None:
    begun = run("publish", str(exported), "--as", "candidate", "--after", "300", "--canary", "0.25")
    assert begun.output == "Published version 2 of classifier as a candidate.\n"
    assert "2 candidate" in run("list").output
    LocalTallies(store.folder.parent, "classifier").write(2, "0" * 16, COUNTED)
    shown = run("candidate").output
    assert "answers 0.25 of the requests; judged after 300 sentences" in shown
    assert "Beside version 1: its answers agree on 99.50% of 400 sentences (lower bound 98.4" in shown
    assert "[red]Animal" in shown
    assert "answers nobody" in run("canary", "0").output
    promoted = run("promote", "--by-rule")
    assert promoted.exit_code == 1, "98.4 % are not the 99 that the rule asks for unless told otherwise"
    assert "Version 2 is rejected and deleted" in promoted.output
    assert store.numbers() == [1]
    assert "the lower bound has to reach 99.00%" in run("candidate").output
    assert not LocalTallies(store.folder.parent, "classifier").read(2)


@pytest.mark.usefixtures("store")
def test_a_person_may_promote_whatever_was_counted(exported: Path) -> None:
    run("publish", str(exported), "--as", "candidate")
    assert "has no rule" in refusal("promote", "--by-rule")
    assert run("promote").output == "Version 2 is promoted: by hand.\n"
    assert "2 promoted" in run("list").output
    assert "no version is on trial" in refusal("promote")
    assert "no version is on trial" in refusal("reject")
    assert "no version is on trial" in refusal("canary", "0.5")


def test_a_rule_waits_for_its_sentences(store: ModelStore, exported: Path) -> None:
    run("publish", str(exported), "--as", "candidate", "--after", "1000", "--agreement", "0.9", "--errors", "3")
    LocalTallies(store.folder.parent, "classifier").write(2, "0" * 16, COUNTED)
    waiting = run("promote", "--by-rule")
    assert (waiting.exit_code, waiting.output) == (
        0,
        "Version 2 stays on trial: 400 of 1000 sentences are compared.\n",
    )


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--after", "1000"], "for a version published --as candidate"),
        (["--as", "candidate", "--agreement", "0.9"], "need --after"),
        (["--as", "candidate", "--after", "100"], "ask for at least 299"),
        (["--as", "candidate", "--after", "100", "--agreement", "1"], "no number of sentences can show"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_before_anything_is_done(
    store: ModelStore, exported: Path, options: list[str], why: str
) -> None:
    assert why in refusal("publish", str(exported), *options)
    assert store.numbers() == [1]


def test_a_refused_first_version_leaves_no_model_behind(store: ModelStore, exported: Path) -> None:
    """Triton would complain, at each look, of a model that has a config and no version."""
    root = store.folder.parent
    assert "without --as candidate" in refusal("publish", str(exported), "--model", "new", "--as", "candidate")
    (exported / "model.onnx").write_bytes(b"cut off")
    refusal("publish", str(exported), "--model", "new")
    assert [folder.name for folder in root.iterdir() if folder.is_dir()] == ["classifier"]


def test_publishing_over_a_trial_says_what_to_do_and_replace_does_it(store: ModelStore, exported: Path) -> None:
    run("publish", str(exported), "--as", "candidate")
    assert "or add --replace" in refusal("publish", str(exported))
    assert "or add --replace" in refusal("rollback", "--to", "1")
    replaced = run("publish", str(exported), "--replace")
    assert replaced.output == "Rejected version 2.\nPublished version 3 of classifier.\n"
    assert store.answering() == [1, 3]


@pytest.mark.usefixtures("store")
def test_a_pin_and_a_candidate_do_not_go_together(exported: Path) -> None:
    run("publish", str(exported), "--as", "candidate")
    assert "version 2 is a candidate" in refusal("pin", "2")
    run("reject")
    assert run("pin", "1").exit_code == 0
    assert "one version is pinned: `unpin` it" in refusal("publish", str(exported), "--as", "candidate")
