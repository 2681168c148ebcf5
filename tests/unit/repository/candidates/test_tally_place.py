"""Tallies of several processes in one folder, beside those of other models and versions."""

from pathlib import Path

import pytest

from repository.candidates.tally import Agreement, Tally
from repository.candidates.tally_place import LocalTallies

ONE, TWO = "0" * 16, "f" * 16


def tally(compared: int) -> Tally:
    return Tally(version=4, against=3, overall=Agreement(compared=compared, agreed=compared))


def test_each_process_has_its_own_and_all_are_read(tmp_path: Path) -> None:
    place = LocalTallies(tmp_path / "new", "m")
    assert place.read(4) == []
    place.write(4, ONE, tally(1))
    place.write(4, ONE, tally(2))
    place.write(4, TWO, tally(5))
    assert sorted(each.overall.compared for each in place.read(4)) == [2, 5]


def test_models_and_versions_whose_names_begin_alike_are_kept_apart(tmp_path: Path) -> None:
    for model, version in (("m", 4), ("m", 5), ("m.4", 1), ("n", 4)):
        LocalTallies(tmp_path, model).write(version, ONE, tally(version))
    (tmp_path / ".candidate-m.4.json").write_text("{}")  # the record of trials of the model `m.4`
    place = LocalTallies(tmp_path, "m")
    assert [each.overall.compared for each in place.read(4)] == [4]
    place.clear(4)
    assert place.read(4) == []
    for model, version in (("m", 5), ("m.4", 1), ("n", 4)):
        assert [each.overall.compared for each in LocalTallies(tmp_path, model).read(version)] == [version]
    assert (tmp_path / ".candidate-m.4.json").exists()


def test_what_cannot_be_read_is_left_out_and_what_a_kill_left_is_cleared(tmp_path: Path) -> None:
    place = LocalTallies(tmp_path, "m")
    place.write(4, ONE, tally(1))
    (tmp_path / f".candidate-m.4.{TWO}.json").write_text('{"version": ')
    (tmp_path / f".candidate-m.4.{TWO}.tmp").write_text('{"ver')
    assert [each.overall.compared for each in place.read(4)] == [1]
    place.clear(4)
    assert list(tmp_path.iterdir()) == []


def test_in_a_repository_nothing_beside_the_models_goes_away_while_one_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Triton unloads every model when a name goes away while it lists the repository."""
    (tmp_path / "m").mkdir()
    place = LocalTallies(tmp_path, "m")
    place.write(4, ONE, tally(1))
    before, there = sorted(tmp_path.iterdir()), []
    rename = Path.rename

    def watched(self: Path, to: Path) -> Path:
        there.append(sorted(tmp_path.iterdir()))
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", watched)
    place.write(4, ONE, tally(2))
    assert there == [before]
    assert sorted(tmp_path.iterdir()) == before
    assert list((tmp_path / "m").iterdir()) == []
