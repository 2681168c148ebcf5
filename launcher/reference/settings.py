"""The page of settings: every environment variable that a program reads, from the settings classes."""

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from gateway.settings import GatewaySettings
from launcher.reference.markdown import GENERATED, code, table
from launcher.settings import LauncherSettings
from repository.settings import RepositorySettings
from server.settings import ServerSettings

INTRODUCTION = """# Settings

Every setting is an environment variable; none has to be set. `make up` and `text-classifier serve` pass all of them on
to the programs that they start, and the compose files take them from the environment or from `.env`. A value that
cannot be used is refused when the program starts, in one line that names the variable. A variable that is set to
nothing counts as not set.

OpenTelemetry's variables, `OTEL_…`, are read by its SDK in the gateway: [Tracing](../guides/tracing.md) has those that
matter.
"""
PROGRAMS: dict[str, tuple[type[BaseSettings], str]] = {
    "Where the models are": (RepositorySettings, "Read by every program that works with a model repository."),
    "Gateway": (GatewaySettings, "Read by the gateway; scoring a file reads those of Triton, batches and threshold."),
    "Triton": (ServerSettings, "Read by the program that starts and supervises Triton on this machine."),
    "Training and publishing": (LauncherSettings, "Read by `make up`, `make pipeline` and what they start."),
}


def settings_page() -> str:
    """The text of docs/reference/settings.md."""
    seen: set[str] = set()
    sections = [_section(title, *program, seen) for title, program in PROGRAMS.items()]
    return "\n".join([GENERATED, INTRODUCTION, *sections])


def _section(title: str, settings: type[BaseSettings], reader: str, seen: set[str]) -> str:
    schemas = settings.model_json_schema()["properties"]
    rows = []
    for name, field in settings.model_fields.items():
        if name not in seen:
            seen.add(name)
            rows.append((code(name.upper()), _shown(field.default), _takes(schemas[name]), str(field.description)))
    return f"## {title}\n\n{reader}\n\n{table(('variable', 'default', 'takes', 'meaning'), rows)}"


def _shown(default: object) -> str:
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    return "" if default is None else code(default)


def _takes(schema: Mapping[str, Any]) -> str:
    """In a few words: these are values of the environment, not JSON."""
    if any("S3Location" in choice.get("$ref", "") for choice in schema.get("anyOf", ())):
        return "path, `s3://…`"
    if choices := [choice for choice in schema.get("anyOf", ()) if "type" in choice and choice["type"] != "null"]:
        return _takes(choices[0])
    if "enum" in schema:
        return ", ".join(map(code, schema["enum"]))
    if (pattern := schema.get("pattern", "")).startswith("^("):
        return ", ".join(map(code, pattern.strip("^$()").split("|")))
    return f"{_kind(schema)}{_bounds(schema)}"


def _kind(schema: Mapping[str, Any]) -> str:
    if schema.get("format") == "path":
        return "path"
    return {"integer": "integer", "number": "number", "boolean": "`true`, `false`"}.get(str(schema["type"]), "text")


def _bounds(schema: Mapping[str, Any]) -> str:
    low, above, high = (schema.get(key) for key in ("minimum", "exclusiveMinimum", "maximum"))
    if high is not None:
        return f", {low} to {high}"
    return f", {low} or more" if low is not None else f", more than {above}" if above is not None else ""
