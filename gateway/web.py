"""The page at `/` and the API's documentation at `/docs`, both from memory and without any other host."""

from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request, Response

PAGE = files("gateway") / "page"
SWAGGER = files("fastapi_swagger") / "resources"
"""Swagger UI's own files. Of that package only these are used: its routes need inline scripts, which the policy
forbids, and read the files anew for each request."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE_POLICY = f"{POLICY}; require-trusted-types-for 'script'; trusted-types 'none'"
"""No script of the page can make markup of a string, whatever it is given."""
DOCS_POLICY = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
"""Swagger UI writes style attributes into its document."""
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)
"""A report is a file that came with a version: no script of it runs, and its page has nothing of this host's."""

HTML, CSS, SCRIPT, PNG = "text/html", "text/css", "text/javascript", "image/png"

web_routes = APIRouter(include_in_schema=False)


def docs_routes() -> APIRouter:
    """Swagger UI at `/docs`, for an application that was made with `docs_url=None`."""
    docs = APIRouter(include_in_schema=False)
    _serve(docs, "/docs", PAGE / "docs.html", HTML, DOCS_POLICY)
    _serve(docs, "/docs/docs.js", PAGE / "docs.js", SCRIPT)
    _serve(docs, "/docs/swagger-ui-bundle.js", SWAGGER / "swagger-ui-bundle.js", SCRIPT)
    _serve(docs, "/docs/swagger-ui.css", SWAGGER / "swagger-ui.css", CSS)
    _serve(docs, "/docs/favicon.png", SWAGGER / "favicon-32x32.png", PNG)
    return docs


def page_of(request: Request, content: bytes, policy: str, media_type: str = HTML, etag: str = "") -> Response:
    """An answer that browsers keep, asking each time whether it is still the one: 304 without a body, if it is.

    Args:
        request: may name what the browser has.
        content: the file.
        policy: what the page may do (Content-Security-Policy).
        media_type: of the file.
        etag: of the content, if it is known already.
    """
    etag = etag or etag_of(content)
    headers = {
        "Cache-Control": "no-cache",  # keep it, but ask each time: a new gateway's page must not meet an old script
        "Content-Security-Policy": policy,
        "ETag": etag,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")]
    if etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


def etag_of(content: bytes) -> str:
    """The entity tag of a file."""
    return f'"{sha256(content).hexdigest()[:32]}"'


def _serve(routes: APIRouter, path: str, file: Traversable, media_type: str, policy: str = POLICY) -> None:
    content = file.read_bytes()
    etag = etag_of(content)

    async def answer(request: Request) -> Response:
        return page_of(request, content, policy, media_type, etag)

    routes.add_api_route(path, answer, methods=["GET", "HEAD"])


_serve(web_routes, "/", PAGE / "index.html", HTML, PAGE_POLICY)
for _file in PAGE.iterdir():
    if _file.name.endswith(".css"):
        _serve(web_routes, f"/page/{_file.name}", _file, CSS)
    elif _file.name.endswith(".js") and _file.name != "docs.js":
        _serve(web_routes, f"/page/{_file.name}", _file, SCRIPT)
