"""Where the packages lie in a wheel: `text_classifier/packages/…`. The rest of the metadata is in pyproject.toml.

`text_classifier/__init__.py` says why. An editable install, which only points to the checkout, keeps the names that the
packages have there: tests and notebooks import them.
"""

from setuptools import find_packages, setup
from setuptools.command.editable_wheel import editable_wheel

COMMAND = "text_classifier"
CLIENT = "text_classifier_client"
PACKAGES = ("benchmarks", "export", "gateway", "launcher", "pretrained", "repository", "server", "training")
INSIDE = f"{COMMAND}.packages"

# What is read at run time beside Python modules, by the folder that it is in.
FILES = {
    f"client.{CLIENT}": ["py.typed"],
    "benchmarks.alternatives": ["locks/*", "servers/*.py"],
    "data": ["public_maps.csv", "README.md"],
    "export.graph": ["floor.json"],
    "gateway": ["page/*"],
    "gateway.rpc": ["messages.binpb", "protos/**/*.proto"],
    "launcher.reference": ["manifest.json"],
    "locks": ["triton.txt"],
    "server": ["backends/onnxruntime/*.py"],
    "training.report": ["templates/*"],
}

# The command's own, beside the packages that it leads to.
COMMAND_PACKAGES = find_packages(include=[COMMAND, f"{COMMAND}.*"], exclude=[f"{COMMAND}.packages*"])
in_checkout = find_packages(include=[pattern for name in PACKAGES for pattern in (name, f"{name}.*")])


class EditableWheel(editable_wheel):
    """An editable install: the packages by the names that they have in the checkout."""

    def finalize_options(self) -> None:
        """Undo the mapping."""
        self.distribution.packages = [*COMMAND_PACKAGES, CLIENT, *in_checkout]
        self.distribution.package_dir = {CLIENT: f"client/{CLIENT}"}
        super().finalize_options()


setup(
    packages=[*COMMAND_PACKAGES, *(f"{INSIDE}.{name}" for name in (*in_checkout, f"client.{CLIENT}", "data", "locks"))],
    package_dir={
        f"{INSIDE}.client.{CLIENT}": f"client/{CLIENT}",
        **{f"{INSIDE}.{name}": name for name in (*PACKAGES, "data", "locks")},
    },
    include_package_data=False,
    package_data={f"{INSIDE}.{folder}": patterns for folder, patterns in FILES.items()},
    cmdclass={"editable_wheel": EditableWheel},
)
