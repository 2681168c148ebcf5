"""The page of the HTTP API: routes, parameters, bodies, answers and errors, from the gateway's OpenAPI document."""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from pydantic import SecretStr

from gateway.app import create_app
from gateway.dialects.tei import ERRORS
from gateway.errors import STATUS
from gateway.settings import GatewaySettings
from launcher.reference.http_examples import EXAMPLES, INTRODUCTION, MISTAKES
from launcher.reference.markdown import GENERATED, code, paragraphs, plain, table
from launcher.reference.schema import default_of, described

# What FastAPI answers itself, and what is answered before the application.
OTHER_ERRORS = {
    404: "No such path, a version that has no report, or a gateway that signs no receipts.",
    405: "The path takes another method; the header `Allow` names them.",
    408: "The request line, the headers or the body did not come to their end in time.",
    414: "The request line is too long: send the sentence by POST.",
    431: "The headers are too long, or too many.",
}


def http_api_page() -> str:
    """The text of docs/reference/http-api.md."""
    api = openapi()
    operations = [
        (method.upper(), path, operation) for path, each in api["paths"].items() for method, operation in each.items()
    ]
    overview = table(
        ("request", ""),
        (
            (f"[`{method} {path}`](#{_anchor(method, path)})", plain(operation["summary"]))
            for method, path, operation in operations
        ),
    )
    sections = [_operation(*each, api) for each in operations]
    schemas = [_schema(name, each) for name, each in sorted(api["components"]["schemas"].items()) if _shown(name)]
    parts = [GENERATED, INTRODUCTION, overview, *sections, "## Errors\n", MISTAKES, _errors(), *schemas]
    return "\n".join(parts)


def openapi() -> dict[str, Any]:
    """The description that a running gateway gives at /openapi.json."""
    app: Any = create_app(GatewaySettings(api_keys=SecretStr("")))
    while not isinstance(app, FastAPI):
        app = app._app
    return app.openapi()


def _shown(name: str) -> bool:
    return name not in ("HTTPValidationError", "ValidationError")  # FastAPI's own, which no route here answers with


def _anchor(method: str, path: str) -> str:
    return "-".join([method.lower(), *(part.strip("{}") for part in path.split("/") if part)])


def _operation(method: str, path: str, operation: Mapping[str, Any], api: Mapping[str, Any]) -> str:
    parts = [f"## {method} {path} {{ #{_anchor(method, path)} }}", paragraphs(operation.get("description", ""))]
    if parameters := operation.get("parameters"):
        parts.append(table(("parameter", "value", "default", "meaning"), map(_parameter, parameters)))
    if body := operation.get("requestBody"):
        parts += _body(body, api)
    parts.append(table(("status", "body"), _answers(operation["responses"])))
    parts.append(EXAMPLES.get((method, path), ""))
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _body(body: Mapping[str, Any], api: Mapping[str, Any]) -> Iterator[str]:
    given = body["content"]["application/json"]["schema"]
    first, *rest = given.get("anyOf", [given])
    if name := first.get("$ref", "").rpartition("/")[2]:
        first = api["components"]["schemas"][name]
    others = ", ".join(code(kind) for kind in body["content"] if kind != "application/json")
    if others:
        yield f"The body is {others}. {body['description']} As JSON:"
    else:
        yield "The body is JSON:"
    yield _fields(first)
    if rest:
        yield f"Or it is {' or '.join(map(described, rest))}."


def _parameter(parameter: Mapping[str, Any]) -> tuple[str, str, str, str]:
    schema, name = parameter["schema"], parameter["name"]
    required = [name] if parameter["required"] else []
    return (
        f"{code(name)} ({parameter['in']})",
        described(schema),
        default_of(name, schema, required),
        plain(schema.get("description", "")),
    )


def _answers(responses: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """One row for each body, with the statuses that it comes with."""
    statuses: dict[str, list[str]] = {}
    for status, response in responses.items():
        if content := response.get("content"):
            media_type = next(iter(content))
            schema = _content(response)
            body = described(schema) if media_type == "application/json" and schema else code(media_type)
        else:
            body = "nothing" if status == "204" else "text"
        statuses.setdefault(body, []).append(code(status))
    for body, found in statuses.items():
        yield ", ".join(found), body


def _content(holder: Mapping[str, Any]) -> dict[str, Any]:
    return dict(next(iter(holder["content"].values())).get("schema", {}))


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    meaning = paragraphs(schema.get("description", ""))
    body = "One of " + ", ".join(map(code, schema["enum"])) + ".\n" if "enum" in schema else _fields(schema)
    return f"## {name}\n\n{meaning}\n\n{body}"


def _fields(schema: Mapping[str, Any]) -> str:
    required = schema.get("required", [])
    return table(
        ("field", "value", "default", "meaning"),
        (
            (code(name), described(each), default_of(name, each, required), plain(each.get("description", "")))
            for name, each in schema["properties"].items()
        ),
    )


def _errors() -> str:
    """Every error by status; beside it how POST /predict, which speaks as TEI does, calls the same."""
    rows = []
    for error, status in sorted(STATUS.items(), key=lambda each: (each[1], each[0].__name__)):
        there = code(status) if error not in ERRORS else "`{}` `{}`".format(*ERRORS[error])
        rows.append((code(status), plain((error.__doc__ or "").split("\n\n")[0]), there))
    rows += [(code(status), text, code(status)) for status, text in OTHER_ERRORS.items()]
    return table(("status", "when", "`POST /predict`"), sorted(rows, key=lambda row: row[0]))
