"""The page that shows the OpenAPI document: Swagger UI, with nothing from any other host."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Annotated

from fastapi import Path as PathParameter
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import Response

from serving_layer.access.access import nothing_here
from serving_layer.access.http_access import Guard, GuardedRoute

FOLDER = Path(__file__).parent / "static" / "vendor"
MEDIA_TYPES = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
_KEPT = {"Cache-Control": "public, max-age=3600"}
_find_script = re.compile(r"<script>(.*?)</script>", re.DOTALL).search


def docs_routes(guard: Guard) -> list[GuardedRoute]:
    """Return the page's routes. Its addresses are relative, so that it works below any path of a proxy."""
    page = bytes(
        get_swagger_ui_html(
            openapi_url="openapi.json",
            title="viewledger: the API",
            swagger_js_url="docs/swagger-ui-bundle.js",
            swagger_css_url="docs/swagger-ui.css",
            swagger_favicon_url="data:,",
            swagger_ui_parameters={"validatorUrl": None},  # it would ask another host about the document
        ).body
    )
    headers = {**_KEPT, "Content-Security-Policy": policy_of(page.decode()), "X-Frame-Options": "DENY"}
    files = {name: (FOLDER / name).read_bytes() for name in MEDIA_TYPES}

    async def docs() -> Response:
        return Response(page, headers=headers, media_type="text/html")

    async def docs_file(name: Annotated[str, PathParameter()]) -> Response:
        if name not in files:
            raise nothing_here()
        return Response(files[name], headers=_KEPT, media_type=MEDIA_TYPES[name])

    return [guard.open("/docs", docs, cost=1), guard.open("/docs/{name}", docs_file, cost=1)]


def policy_of(page: str) -> str:
    """Return the Content-Security-Policy of the page: its own files, and of inline scripts the one that starts it."""
    found = _find_script(page)
    if found is None:
        raise ValueError("the page of Swagger UI has no script that starts it")
    digest = base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'self' 'sha256-{digest}'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
