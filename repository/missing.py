"""What becomes of a package that is not installed? One line that names the extra which brings it."""

from collections.abc import Iterator
from contextlib import contextmanager

from repository.console import Console
from repository.exit_status import USER_MISTAKE
from repository.spelling import as_called

# Extras of single packages; the others come with the extra of the program that imports them.
EXTRAS = {
    "boto3": "s3",
    "botocore": "s3",
    "matplotlib": "bench",
    "mlflow": "track",
    "onnxruntime": "cpu",
    "peft": "adapters",
    "psutil": "bench",
}
OURS = (
    "benchmarks",
    "export",
    "gateway",
    "launcher",
    "pretrained",
    "repository",
    "server",
    "text_classifier",
    "text_classifier_client",
    "training",
)


@contextmanager
def extra_named(extra: str) -> Iterator[None]:
    """End the program with status 2 and one line on stderr where another's package is missing.

    Args:
        extra: what brings the packages of this program.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if not package or package in OURS:
            raise
        wanted = EXTRAS.get(package, extra)
        line = f"the package {package} is not installed: pip install '.[{wanted}]' brings it"
        Console(stderr=True).error(as_called(line))
        raise SystemExit(USER_MISTAKE) from None
