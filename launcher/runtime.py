"""Which ONNX Runtime does the Triton compute with that is started here? Receipts name it; Triton itself does not."""

from collections.abc import Mapping
from importlib.metadata import distributions

from server.install import find_installed
from server.process import ChildSpec
from server.settings import ServerSettings

VARIABLE = "TRITON_ONNXRUNTIME"
_PACKAGES = ("onnxruntime", "onnxruntime-gpu")


def runtime_variables(triton: ChildSpec, server: ServerSettings, environment: Mapping[str, str]) -> dict[str, str]:
    """The gateway's variable for the embedded Triton; empty if it is set, and for NVIDIA's, which does not say it."""
    embedded = find_installed(server)
    if environment.get(VARIABLE) or embedded is None or triton.argv[0] != str(embedded.binary):
        return {}
    found = {each.name: each.version for each in distributions(path=[str(embedded.site_packages)])}
    version = next((found[name] for name in _PACKAGES if name in found), None)
    return {} if version is None else {VARIABLE: version}
