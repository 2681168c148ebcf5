"""The version that costs nothing is made of any version, whatever that says of its scores."""

from pathlib import Path

from benchmarks.measure.costless import publish_costless
from repository.manifest import Manifest
from repository.store import ModelStore
from tests.meaning_versions import write_calibrated


def test_a_costless_version_is_published_of_one_that_says_what_its_scores_mean(tmp_path: Path) -> None:
    words = {"cat": "Animal", "oak": "Plant"}
    version = write_calibrated(tmp_path / "version", words, temperature=1.5, limits=[0.5, 0.5])
    publish_costless(version, tmp_path / "repository", "classifier")
    folder = ModelStore(tmp_path / "repository", "classifier").folder / "1"
    manifest = Manifest.read(folder)
    manifest.verify_files(folder)
    assert manifest.labels == ["Animal", "Plant"]
    assert manifest.coverage is None
