"""Which version scores a file? The one the gateway would ask, after the same golden sentences; one for all rows."""

import hashlib

from gateway.batch.errors import BatchError, UsageError
from gateway.errors import GatewayError, NotReadyError
from gateway.files import S3Files, version_files
from gateway.loaded_version import LoadedVersion
from gateway.settings import GatewaySettings
from gateway.triton import TritonClient
from gateway.versions import VersionFollower
from repository.addresses import host_and_port
from repository.manifest import RepositoryError
from repository.spelling import as_called


async def pick_version(triton: TritonClient, settings: GatewaySettings, number: int | None) -> LoadedVersion:
    """Return the newest version that Triton serves and that answers its golden sentences right, or `number`.

    Raises:
        BatchError: there is none, or no Triton; the message says what to do.
    """
    address = host_and_port(settings.triton_host, settings.triton_http_port)
    try:
        served = await triton.versions()
    except NotReadyError:
        raise BatchError(
            f"no Triton answers on {address}: start the service with `{as_called('make up')}`, or name another by "
            "TRITON_HOST and TRITON_HTTP_PORT."
        ) from None
    try:
        files = version_files(settings)
        if isinstance(files, S3Files):
            files.look({version.number for version in served})
    except RepositoryError as error:
        raise UsageError(f"MODEL_REPOSITORY: {error}.") from None
    follower = VersionFollower(triton, files, 1, number, settings.batch_sentences)
    await follower.refresh()
    if follower.current is not None:
        return follower.current
    reasons = [f"version {one}: {why}" for one, why in follower.failures().items() if number in (None, one)]
    there = ", ".join(str(version.number) for version in served if version.state == "READY") or "none"
    wanted = f"version {number}" if number else "no version that can be used"
    raise BatchError(
        f"Triton on {address} serves {'not ' if number else ''}{wanted} of {settings.model_name} (ready: {there})"
        + (f"; {reasons[0]}" if reasons else "")
        + "."
    )


async def is_gone(triton: TritonClient, number: int) -> bool:
    """Whether Triton serves other versions and not this one: then it does not come back by itself."""
    try:
        ready = {version.number for version in await triton.versions() if version.state == "READY"}
    except (GatewayError, TimeoutError):
        return False
    return bool(ready) and number not in ready


def identity(version: LoadedVersion) -> dict[str, object]:
    """What tells whether a version is still the same: its number, and a digest of its manifest."""
    digest = hashlib.sha256(version.manifest.text().encode()).hexdigest()
    return {"number": version.number, "manifest_sha256": digest}
