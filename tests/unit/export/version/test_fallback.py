"""A format that fails is passed over by `--precision auto` with the reason, and refused in one line if asked for."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from export import ExportError
from export.__main__ import app, main
from repository.manifest import MANIFEST_FILE, Manifest, Precision
from repository.tolerances import AUTOMATIC, TOLERANCES, Provider, Tolerance
from tests.tiny_models import write_classifier

WORDS = ["learn", "spanish", "budget", "plan", "doctor", "family", "market", "school", "recipe", "trip", "invoice"]
# Enough that three fifths of them can show something; no two are the same.
LINES = 1000
# By format: what will serve where `auto` tries it, and what puts a graph into it.
FORMATS = {Precision.FP16: ("gpu", "convert_to_float16"), Precision.INT8: ("cpu", "quantize")}
# A tolerance that no graph keeps.
IMPOSSIBLE = Tolerance(None, 1.01, 1.0, 0.0, padded_label_flips=False)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one layer, in which int8 changes next to nothing."""
    folder = tmp_path_factory.mktemp("checkpoint")
    lines = (f"{WORDS[i % 11]} {WORDS[i // 11 % 11]} {WORDS[i // 121]}" for i in range(LINES))
    (folder / "sentences.txt").write_text("\n".join(lines))
    return write_classifier(folder / "classifier", ["a", "b", "c"], max_position_embeddings=16)


@pytest.fixture(params=FORMATS)
def precision(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Precision:
    # A graph so small is no faster in int8.
    monkeypatch.setattr("export.version.automatic.LEAST_SPEEDUP", 0.0)
    return Precision(request.param)


def break_converter(monkeypatch: pytest.MonkeyPatch, precision: Precision) -> None:
    def broken(*_: object) -> None:
        raise KeyError("no such tensor")

    monkeypatch.setattr(f"export.precision.formats.{FORMATS[precision][1]}", broken)


def arguments(checkpoint: Path, output: Path, precision: str, *options: str) -> list[str]:
    data = str(checkpoint.parent / "sentences.txt")
    return [str(checkpoint), "--output", str(output), "--data", data, "--precision", precision, *options]


def export(checkpoint: Path, output: Path, precision: str, *options: str) -> Result:
    return CliRunner().invoke(app, arguments(checkpoint, output, precision, *options), catch_exceptions=False)


def automatic(checkpoint: Path, output: Path, precision: Precision) -> Result:
    """Export with `auto` where this format is tried."""
    done = export(checkpoint, output, "auto", "--serves-on", FORMATS[precision][0])
    assert done.exit_code == 0, done.output
    return done


def test_auto_passes_over_a_format_that_cannot_be_made(
    checkpoint: Path, tmp_path: Path, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_converter(monkeypatch, precision)
    result = automatic(checkpoint, tmp_path / "version", precision)
    manifest = Manifest.read(tmp_path / "version")
    assert manifest.precision is Precision.FP32
    reason = f"no graph in {precision.value} can be made of this model: KeyError: 'no such tensor'"
    assert reason in manifest.precision_reason
    assert reason in " ".join(result.output.split())


def test_auto_passes_over_a_format_that_is_not_right_enough(
    checkpoint: Path, tmp_path: Path, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(AUTOMATIC, (Provider.CPU, precision), IMPOSSIBLE)
    automatic(checkpoint, tmp_path / "version", precision)
    manifest = Manifest.read(tmp_path / "version")
    assert manifest.precision is Precision.FP32
    assert f"{precision.value}: not right enough (" in manifest.precision_reason
    assert manifest.judgements[0].objections


def test_auto_takes_the_format_that_is_right_and_reports_it_on_other_sentences(
    checkpoint: Path, tmp_path: Path, precision: Precision
) -> None:
    result = automatic(checkpoint, tmp_path / "version", precision)
    manifest = Manifest.read(tmp_path / "version")
    assert manifest.precision is precision
    assert manifest.precision_reason.startswith(f"auto: a {FORMATS[precision][0].upper()} will serve; ")
    assert manifest.precision_reason.endswith(f"{precision.value}: answers as fp32 does")
    assert manifest.parity.sentences == LINES // 5
    (judgement,) = manifest.judgements
    sentences, long = judgement.judged
    assert (judgement.precision, judgement.objections, sentences.texts) == (precision, [], LINES * 3 // 5)
    assert long.texts > 0
    assert long.origin.startswith("long texts")
    # Nothing is timed for a GPU on a machine that has none.
    assert (judgement.speedup is None) == (precision is Precision.FP16)
    assert f"{precision.value}: answers as fp32 does" in result.output.splitlines()


def test_auto_takes_no_format_that_is_no_faster(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.version.automatic.LEAST_SPEEDUP", 100.0)
    automatic(checkpoint, tmp_path / "version", Precision.INT8)
    manifest = Manifest.read(tmp_path / "version")
    (judgement,) = manifest.judgements
    assert manifest.precision is Precision.FP32
    assert judgement.speedup is not None
    assert judgement.objections == [f"{judgement.speedup:.2f} × fp32 in speed, 100 needed"]


def test_five_lines_are_no_reason_for_int8(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "five.txt").write_text("\n".join(WORDS[:5]))
    done = export(checkpoint, tmp_path / "version", "auto", "--data", str(tmp_path / "five.txt"))
    assert done.exit_code == 0, done.output
    manifest = Manifest.read(tmp_path / "version")
    assert manifest.precision is Precision.FP32
    reason = "int8 needs at least 598 different sentences to be judged on, has 3 (sentences of five.txt)"
    assert reason in manifest.precision_reason
    assert reason in " ".join(done.output.split())
    # A gateway from before the field refuses a manifest that has it.
    assert "judgements" not in (tmp_path / "version" / MANIFEST_FILE).read_text()


@pytest.mark.parametrize("fault", ["converter", "gate"])
def test_a_format_that_was_asked_for_is_refused_in_one_line(
    checkpoint: Path,
    tmp_path: Path,
    precision: Precision,
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if fault == "converter":
        break_converter(monkeypatch, precision)
    else:
        monkeypatch.setitem(TOLERANCES, (Provider.CPU, precision), IMPOSSIBLE)
    with pytest.raises(ExportError):
        export(checkpoint, tmp_path / "version", precision.value)
    monkeypatch.setattr("sys.argv", ["export", *arguments(checkpoint, tmp_path / "version", precision.value)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert precision.value in lines[0]
    assert not (tmp_path / "version").exists()
