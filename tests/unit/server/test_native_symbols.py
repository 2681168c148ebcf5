"""What is installed runs on the oldest systems that the documentation names: Debian 12 and Ubuntu 22.04."""

import re
import struct
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path

import pytest

from server import preflight
from server.install import find_installed
from server.settings import ServerSettings
from tests.native_symbols import Wanted, compiled_files, machine, newest, versions_needed

# What GCC 12 brings, the compiler of both systems.
OLDEST_GLIBCXX = (3, 4, 30)
OLDEST_CXXABI = (1, 3, 13)


def triton_packages() -> Path:
    triton = find_installed(ServerSettings())
    if triton is None:
        pytest.skip("the embedded Triton is not installed (make setup)")
    return triton.site_packages


@cache
def all_wanted(folder: Path) -> list[Wanted]:
    """Of every compiled file in a folder; read once, since an environment has 60,000 files."""
    return [found for path in compiled_files(folder) for found in newest(path)]


def of_family(folder: Path, family: str) -> dict[str, tuple[int, ...]]:
    return {str(w.file.relative_to(folder)): w.version for w in all_wanted(folder) if w.family == family}


def too_new(folder: Path, family: str, limit: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {name: version for name, version in of_family(folder, family).items() if version > limit}


def test_no_part_of_triton_wants_a_newer_glibc_than_is_asked_for() -> None:
    assert too_new(triton_packages(), "GLIBC", preflight.OLDEST_GLIBC) == {}


def test_the_symbols_that_preflight_looks_for_are_the_newest_that_triton_wants() -> None:
    found = of_family(triton_packages(), "GLIBCXX")
    assert max(found.values()) == OLDEST_GLIBCXX
    assert "GLIBCXX_" + ".".join(map(str, OLDEST_GLIBCXX)) == preflight._NEWEST_CXX_SYMBOL.decode()
    assert too_new(triton_packages(), "CXXABI", OLDEST_CXXABI) == {}


@pytest.mark.parametrize(
    ("family", "limit"),
    [("GLIBC", preflight.OLDEST_GLIBC), ("GLIBCXX", OLDEST_GLIBCXX), ("CXXABI", OLDEST_CXXABI)],
)
def test_no_package_of_this_environment_wants_newer_libraries(family: str, limit: tuple[int, ...]) -> None:
    folder = Path(sysconfig.get_path("platlib"))
    assert of_family(folder, family), "compiled packages are found"
    assert too_new(folder, family, limit) == {}


@pytest.mark.parametrize("where", ["this environment", "the embedded Triton"])
def test_no_wheel_is_tagged_for_a_newer_glibc(where: str) -> None:
    folder = Path(sysconfig.get_path("platlib")) if where == "this environment" else triton_packages()
    found = {}
    for path in folder.glob("*.dist-info/WHEEL"):
        for line in path.read_text(encoding="utf-8").splitlines():
            # A wheel of several tags runs where one of them does: its oldest counts.
            tags = [tuple(map(int, tag)) for tag in re.findall(r"manylinux_(\d+)_(\d+)_", line)]
            if tags:
                found[f"{path.parent.name}: {line}"] = min(tags)
    assert found, "some wheels are compiled"
    assert {name: tag for name, tag in found.items() if tag > preflight.OLDEST_GLIBC} == {}


def test_what_is_read_of_a_file_is_what_objdump_prints() -> None:
    try:
        subprocess.run(["objdump", "--version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("objdump is not installed (binutils)")
    path = Path(sys.executable).resolve()
    printed = subprocess.check_output(["objdump", "-p", path], text=True)
    section = printed.partition("Version References:")[2]
    assert sorted(versions_needed(path.read_bytes())) == sorted(re.findall(r"0x\w+ 0x\w+ \d+ (\S+)", section))


def test_a_file_that_wants_a_newer_glibc_is_named(tmp_path: Path) -> None:
    (tmp_path / "new.so").write_bytes(elf_that_wants("GLIBC_2.99"))
    (tmp_path / "text.so").write_text("not compiled")
    assert too_new(tmp_path, "GLIBC", preflight.OLDEST_GLIBC) == {"new.so": (2, 99)}
    assert machine(tmp_path / "new.so") == "aarch64"


def elf_that_wants(version: str) -> bytes:
    """A file with nothing but a header and the section that lists what it wants: of one library one version."""
    strings = b"\0" + version.encode() + b"\0"
    need = struct.pack("<HHIII", 1, 1, 0, 16, 0) + struct.pack("<IHHII", 0, 0, 2, 1, 0)
    at_need, at_strings = 64, 64 + len(need)
    at_sections = at_strings + len(strings)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header += struct.pack("<HHIQQQIHHHHHH", 3, 183, 1, 0, 0, at_sections, 0, 64, 0, 0, 64, 2, 1)
    sections = struct.pack("<IIQQQQIIQQ", 0, 0x6FFFFFFE, 0, 0, at_need, len(need), 1, 1, 4, 0)
    sections += struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, at_strings, len(strings), 0, 0, 1, 0)
    return header + need + strings + sections
