"""The locks can be installed on every machine and Python that the project names, without a compiler."""

import tomllib
from functools import cache
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

from server import preflight
from tests.pinned_wheels import LOCKS, TARGETS, IndexMissingError, Target, pinned_files, without_wheel
from tests.places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@cache
def files_of(lock: str) -> list[dict[str, Any]] | str:
    """What the index has for the pins of a lock, or why that is not known; asked once."""
    try:
        return pinned_files(LOCKS / lock)
    except IndexMissingError as error:
        return str(error)


@pytest.mark.parametrize("lock", ["app.txt", "triton.txt"])
@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_every_pin_has_a_wheel_for_every_machine(lock: str, target: Target) -> None:
    packages = files_of(lock)
    if isinstance(packages, str):
        pytest.skip(packages)
    assert len(packages) > 5
    assert without_wheel(packages, target) == []


NUMPY_1 = {
    "name": "numpy",
    "version": "1.26.4",
    "wheels": [
        {"name": "numpy-1.26.4-cp312-cp312-manylinux_2_17_aarch64.manylinux2014_aarch64.whl"},
        {"url": "https://host/path/numpy-1.26.4-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"},
        {"name": "numpy-1.26.4-cp313-cp313-musllinux_1_1_x86_64.whl"},
    ],
}


def test_a_pin_without_a_wheel_is_found() -> None:
    found = {str(target): without_wheel([NUMPY_1], target) for target in TARGETS}
    assert found.pop("x86_64, Python 3.12") == found.pop("aarch64, Python 3.12") == []
    assert set(map(tuple, found.values())) == {("numpy==1.26.4",)}


@pytest.mark.parametrize(
    ("wheel", "expected"),
    [
        ("a-1-py3-none-any.whl", True),
        ("a-1-cp39-abi3-manylinux_2_28_aarch64.whl", True),
        ("a-1-cp312-abi3-manylinux_2_35_aarch64.whl", True),
        ("a-1-cp312-cp312-manylinux_2_36_aarch64.whl", False),
        ("a-1-cp313-abi3-manylinux_2_28_aarch64.whl", False),
        ("a-1-cp312-cp312-musllinux_1_2_aarch64.whl", False),
        ("a-1-cp312-cp312-macosx_11_0_arm64.whl", False),
        ("a-1-cp312-cp312t-manylinux_2_28_aarch64.whl", False),
    ],
)
def test_a_wheel_is_taken_as_pip_takes_it(wheel: str, expected: bool) -> None:
    package = {"name": "a", "version": "1", "wheels": [{"name": wheel}]}
    assert (without_wheel([package], Target("aarch64", (3, 12))) == []) is expected


def test_a_pin_that_applies_elsewhere_is_not_asked_for() -> None:
    package = {"name": "a", "version": "1", "marker": "python_full_version < '3.12' and platform_machine == 'x86_64'"}
    lacking = {str(target) for target in TARGETS if without_wheel([package], target)}
    assert lacking == {"x86_64, Python 3.11"}


def test_the_project_says_which_pythons_it_runs_on() -> None:
    minors = [f"{major}.{minor}" for major, minor in sorted({target.python for target in TARGETS})]
    allowed = SpecifierSet(PROJECT["requires-python"])
    assert [minor for minor in ("3.10", *minors, "3.15") if f"{minor}.4" in allowed] == minors
    named = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if "Python :: 3." in line]
    assert named == minors
    oldest, newest = preflight.PROJECT_PYTHONS
    assert [f"{oldest[0]}.{oldest[1]}", f"{newest[0]}.{newest[1]}"] == [minors[0], minors[-1]]
    assert set(preflight.SUPPORTED_PYTHONS) < set(minors)
    assert set(preflight.MACHINES) == {target.machine for target in TARGETS}
