"""A format that fails is passed over by `--precision auto` with the reason, and refused in one line if asked for."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from export import ExportError
from export.__main__ import app, main
from repository.manifest import Manifest, Precision
from repository.tolerances import AUTOMATIC, TOLERANCES, Provider, Tolerance
from tests.tiny_models import write_classifier

WORDS = ["learn", "spanish", "budget", "plan", "doctor", "family", "market"]
# By format: what serves where `auto` tries it, and what puts a graph into it.
FORMATS = {Precision.FP16: (Provider.CUDA, "convert_to_float16"), Precision.INT8: (Provider.CPU, "quantize")}
# A tolerance that no graph keeps.
IMPOSSIBLE = Tolerance(None, 1.01, 1.0, 0.0, padded_label_flips=False)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    (folder / "sentences.txt").write_text("\n".join(f"{WORDS[i % 7]} {WORDS[i % 5]}" for i in range(20)))
    return write_classifier(folder / "classifier", ["a", "b", "c"], max_position_embeddings=16)


@pytest.fixture(params=FORMATS)
def precision(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Precision:
    wanted = Precision(request.param)
    serves = FORMATS[wanted][0] is Provider.CUDA
    monkeypatch.setattr("export.version.build.cuda_serves", lambda: serves)
    return wanted


def break_converter(monkeypatch: pytest.MonkeyPatch, precision: Precision) -> None:
    def broken(*_: object) -> None:
        raise KeyError("no such tensor")

    monkeypatch.setattr(f"export.precision.formats.{FORMATS[precision][1]}", broken)


def arguments(checkpoint: Path, output: Path, precision: str) -> list[str]:
    data = str(checkpoint.parent / "sentences.txt")
    return [str(checkpoint), "--output", str(output), "--data", data, "--precision", precision]


def export(checkpoint: Path, output: Path, precision: str) -> Result:
    return CliRunner().invoke(app, arguments(checkpoint, output, precision), catch_exceptions=False)


def test_auto_passes_over_a_format_that_cannot_be_made(
    checkpoint: Path, tmp_path: Path, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_converter(monkeypatch, precision)
    result = export(checkpoint, tmp_path / "version", "auto")
    assert result.exit_code == 0
    manifest = Manifest.read(tmp_path / "version")
    assert manifest.precision is Precision.FP32
    reason = f"no graph in {precision.value} can be made of this model: KeyError: 'no such tensor'"
    assert reason in manifest.precision_reason
    assert reason in " ".join(result.output.split())


def test_auto_passes_over_a_format_that_is_not_right_enough(
    checkpoint: Path, tmp_path: Path, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(AUTOMATIC, (FORMATS[precision][0], precision), IMPOSSIBLE)
    assert export(checkpoint, tmp_path / "version", "auto").exit_code == 0
    manifest = Manifest.read(tmp_path / "version")
    assert manifest.precision is Precision.FP32
    assert f"{precision.value} is not right enough (" in manifest.precision_reason


def test_auto_takes_the_format_that_is_right(checkpoint: Path, tmp_path: Path, precision: Precision) -> None:
    assert export(checkpoint, tmp_path / "version", "auto").exit_code == 0
    manifest = Manifest.read(tmp_path / "version")
    assert manifest.precision is precision
    assert manifest.precision_reason.endswith(f"{precision.value} answers as fp32 does")


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
        monkeypatch.setitem(TOLERANCES, (FORMATS[precision][0], precision), IMPOSSIBLE)
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
