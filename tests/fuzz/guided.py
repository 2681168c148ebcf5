"""`python -m tests.fuzz.guided TARGET …`: one target under libFuzzer, whose options follow; see `tests.fuzz.__main__`.

atheris counts which branches an input reaches, of modules that are imported while it looks on.
"""

import sys

import atheris

PACKAGES = ["gateway", "repository", "training"]


def main() -> None:
    """Run until libFuzzer's limit of time, or the first find, which ends the process with a status other than 0."""
    with atheris.instrument_imports(include=PACKAGES, enable_loader_override=False):
        from tests.fuzz.targets import load

        target = load(sys.argv[1])
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
