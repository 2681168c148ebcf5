"""A wheel puts one name into site-packages and holds all that the program reads, whichever way it was built."""

import tarfile
import zipfile
from pathlib import Path

from tests.places import ROOT
from tests.wheels import CLIENT, PACKAGES, build, copy_sources

INSIDE = "text_classifier/packages/"


def test_one_name_gets_into_site_packages(wheel: Path) -> None:
    names = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"text_classifier"}
    top_level = next(name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("/top_level.txt"))
    assert zipfile.ZipFile(wheel).read(top_level).split() == [b"text_classifier"]


def test_each_file_of_the_packages_is_in_the_wheel_as_it_is_here(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    held = {name.removeprefix(INSIDE): archive.read(name) for name in archive.namelist() if name.startswith(INSIDE)}
    here = {
        str(path.relative_to(ROOT)): path.read_bytes()
        for package in (*PACKAGES, CLIENT)
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and "results" not in path.parts
    }
    read_at_run_time = ("data/public_maps.csv", "data/README.md", "locks/triton.txt")
    assert held == here | {name: (ROOT / name).read_bytes() for name in read_at_run_time}


def test_the_packages_folder_is_no_package(wheel: Path) -> None:
    assert f"{INSIDE}__init__.py" not in zipfile.ZipFile(wheel).namelist()


def test_the_source_distribution_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    archive = build("sdist", copy_sources(tmp_path / "sources"))
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "unpacked", filter="data")
    again = build("wheel", next((tmp_path / "unpacked").iterdir()))
    contents = [
        {name: archive.read(name) for name in archive.namelist()} for archive in map(zipfile.ZipFile, (wheel, again))
    ]
    assert contents[0] == contents[1]
