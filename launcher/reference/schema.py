"""What does a JSON schema say of a value, in the words of a table?"""

import json
from collections.abc import Mapping
from typing import Any

from launcher.reference.markdown import code

BOUNDS = {
    "minimum": "at least {:g}",
    "exclusiveMinimum": "more than {:g}",
    "maximum": "at most {:g}",
    "exclusiveMaximum": "less than {:g}",
    "minLength": "{} characters or more",
    "minItems": "{} or more",
    "maxItems": "{} at most",
}
NAMES = {"string": "text", "number": "number", "integer": "whole number", "boolean": "`true` or `false`"}

PLURALS = {"text": "texts", "number": "numbers", "whole number": "whole numbers"}


def described(schema: Mapping[str, Any]) -> str:
    """What a value may be: `whole number, at least 1`, `list of text`, one of some words, a named schema."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if choices := schema.get("enum") or ([schema["const"]] if "const" in schema else None):
        return " or ".join(code(json.dumps(choice)) for choice in choices)
    if alternatives := schema.get("anyOf"):
        return " or ".join(described(choice) for choice in alternatives)
    if "prefixItems" in schema:  # so many, and no others: its bounds say nothing more
        return f"list of exactly {len(schema['prefixItems'])}: {', '.join(map(described, schema['prefixItems']))}"
    bounds = [text.format(schema[key]) for key, text in BOUNDS.items() if key in schema]
    return ", ".join([_kind(schema), *bounds])


def default_of(name: str, schema: Mapping[str, Any], required: list[str]) -> str:
    """The default of a field as it is written in JSON, or that there is none."""
    if name in required:
        return "required"
    return code(json.dumps(schema["default"])) if "default" in schema else ""


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if kind == "array":
        return f"list of {PLURALS.get(inner := described(schema['items']), inner)}"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"object, name to {described(values)}" if isinstance(values, dict) else "object"
    if kind == "string" and "format" in schema:
        return {"date-time": "date and time, ISO 8601"}.get(schema["format"], "text")
    if kind == "string" and "pattern" in schema:
        return f"text like {code(schema['pattern'])}"
    return "`null`" if kind == "null" else NAMES.get(str(kind), "any value")
