"""Which version of the C and C++ libraries do compiled files want? Read from ELF itself, so binutils aren't needed."""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b"\x7fELF\x02\x01"
"""64 bits, little-endian: x86_64 and aarch64 alike."""
_HEADER = struct.Struct("<16x2xHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_NEED = struct.Struct("<HHIII")
_NEEDED_VERSION = struct.Struct("<IHHII")
_VERSIONS_NEEDED = 0x6FFFFFFE
"""Type of the section `.gnu.version_r`, in which a file lists the versions that it wants of each library."""

# Most files of an environment; each that is opened takes time.
_NEVER_COMPILED = {".py", ".pyc", ".pyi", ".h", ".json", ".txt", ".js", ".map"}

MACHINES = {62: "x86_64", 183: "aarch64"}


@dataclass(frozen=True)
class Wanted:
    """A file and the newest version of one family of symbols that it wants."""

    file: Path
    family: str
    version: tuple[int, ...]


def is_compiled(path: Path) -> bool:
    """Whether a file is a program or library of 64 bits."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def compiled_files(folder: Path) -> list[Path]:
    """Every program and library in a folder, each once: what links lead to isn't followed."""
    return sorted(path for path in folder.rglob("*") if path.suffix not in _NEVER_COMPILED and is_compiled(path))


def machine(path: Path) -> str:
    """What a compiled file runs on, such as `aarch64`."""
    with path.open("rb") as file:
        number = _HEADER.unpack(file.read(_HEADER.size))[0]
    return MACHINES.get(number, str(number))


def newest(path: Path) -> list[Wanted]:
    """Of each family (`GLIBC`, `GLIBCXX`, `CXXABI`, ...) the newest version that a compiled file wants."""
    found: dict[str, tuple[int, ...]] = {}
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as elf:
        for name in versions_needed(elf):
            family, _, version = name.partition("_")
            if version.replace(".", "").isdigit():
                found[family] = max(found.get(family, ()), tuple(map(int, version.split("."))))
    return [Wanted(path, family, version) for family, version in found.items()]


def versions_needed(elf: bytes | mmap.mmap) -> Iterator[str]:
    """The versions that a compiled file wants of other libraries, such as `GLIBC_2.34`."""
    *_, first, _flags, _size, _program_size, _programs, entry, count, _names = _HEADER.unpack_from(elf)
    sections = [_SECTION.unpack_from(elf, first + entry * index) for index in range(count)]
    for _, kind, _, _, start, _, strings, libraries, _, _ in sections:
        if kind != _VERSIONS_NEEDED:
            continue
        names = sections[strings][4]
        for _ in range(libraries):
            _, versions, _, first_version, next_library = _NEED.unpack_from(elf, start)
            at = start + first_version
            for _ in range(versions):
                _, _, _, name, next_version = _NEEDED_VERSION.unpack_from(elf, at)
                yield elf[names + name : elf.find(b"\0", names + name)].decode("ascii")
                at += next_version
            start += next_library
