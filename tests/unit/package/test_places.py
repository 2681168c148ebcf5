"""An installed command reads its own files, keeps Triton in the user's cache, and neither sees nor shadows others."""

import subprocess
from pathlib import Path

import pytest

from repository.shipped import COMMAND_VARIABLE, ROOT, environment_of_others
from tests.wheels import PACKAGES, Installed, environment

TRITON = "from repository.shipped import triton_environment; print(triton_environment())"


def run_python(installed: Installed, code: str, cwd: Path, **settings: str) -> str:
    """What a Python of the environment prints that finds the wheel's packages."""
    packages = installed.site_packages / "text_classifier" / "packages"
    done = subprocess.run(
        [installed.folder / "bin" / "python", "-P", "-c", code],
        cwd=cwd,
        env=environment(PYTHONPATH=str(packages), **settings),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("cache", "expected"), [("{tmp}/cache", "{tmp}/cache"), ("", "{tmp}/.cache"), ("relative", "{tmp}/.cache")]
)
def test_triton_is_kept_in_the_users_cache(installed: Installed, tmp_path: Path, cache: str, expected: str) -> None:
    kept = run_python(installed, TRITON, tmp_path, HOME=str(tmp_path), XDG_CACHE_HOME=cache.format(tmp=tmp_path))
    assert Path(kept).parent == Path(expected.format(tmp=tmp_path)) / "text-classifier"
    assert Path(kept).name.startswith("triton-3.")


def test_the_sample_and_the_lock_are_those_of_the_wheel(installed: Installed, tmp_path: Path) -> None:
    names = ("SAMPLE_DATA", "TRITON_LOCK")
    shown = f"from repository import shipped; print(*(getattr(shipped, name) for name in {names}), sep='\\n')"
    for line in run_python(installed, shown, tmp_path).splitlines():
        assert Path(line).is_file()
        assert Path(line).is_relative_to(installed.site_packages)


def test_a_checkout_keeps_triton_beside_its_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from repository.shipped import triton_environment

    monkeypatch.chdir(tmp_path)
    assert triton_environment() == ROOT / ".triton"


def test_packages_of_the_same_names_are_neither_seen_nor_shadowed(installed: Installed, tmp_path: Path) -> None:
    for name in PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"print('their {name}')")
    own = installed.run("repository", "list", cwd=tmp_path)
    assert (own.returncode, own.stderr) == (0, "")
    assert "holds no version yet" in own.stdout
    imports = "; ".join(f"import {name}" for name in PACKAGES)
    theirs = subprocess.run(
        [installed.folder / "bin" / "python", "-c", imports],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert theirs.stdout.splitlines() == [f"their {name}" for name in PACKAGES]


def test_a_process_that_the_command_starts_finds_the_same_packages(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "__init__.py").write_text("raise SystemExit('theirs')")
    (tmp_path / "data.csv").write_text("text,label\n" + "good,yes\nbad,no\n" * 8)
    done = installed.run(
        "pipeline", "--only", "inspect", cwd=tmp_path, DATA="data.csv", TEXT_COLUMN="text", LABEL_COLUMN="label"
    )
    assert done.returncode == 0, done.stderr
    assert "Rows: " in done.stdout


def test_programs_of_others_get_their_own_environment_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:/theirs")
    assert environment_of_others()["PYTHONPATH"] == f"{ROOT}:/theirs"  # as a user of the checkout set it
    monkeypatch.setenv(COMMAND_VARIABLE, "1")
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    restored = environment_of_others()
    assert restored["PYTHONPATH"] == "/theirs"
    assert not {COMMAND_VARIABLE, "PYTHONSAFEPATH"} & restored.keys()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert "PYTHONPATH" not in environment_of_others()
