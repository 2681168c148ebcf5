"""From which score on is a label of a multi-label model answered? THRESHOLD if it is set, else the version's own."""

from gateway.settings import GatewaySettings
from repository.manifest import Manifest
from repository.meaning.arithmetic import Float64Array


def uses_own_thresholds(settings: GatewaySettings) -> bool:
    """Whether a version's own thresholds count: nobody has set another."""
    return "threshold" not in settings.model_fields_set


def thresholds_of(manifest: Manifest, settings: GatewaySettings, calibrated: bool = False) -> float | Float64Array:
    """The least score of all labels, or that of each, `[labels]`.

    Args:
        manifest: of the version that answers.
        settings: the gateway's.
        calibrated: the scores are calibrated: the version's own thresholds are moved with them.
    """
    if manifest.thresholds is None or not uses_own_thresholds(settings):
        return settings.threshold
    return manifest.thresholds.shown(manifest.calibration if calibrated else None)
