"""A read-only Iceberg REST catalogue of the published versions, for Spark and every other Iceberg reader.

Namespace `current` follows the pointer; `v1`, `v2`, … stay as they were published. A table's metadata is answered as
`published_metadata` makes it, so a reader cannot name anything unpublished. Nothing can be written here.

https://iceberg.apache.org/rest-catalog-spec/ has the routes and the forms of the answers.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from batch_layer.published.published_metadata import MissingSnapshotError, PublishedSnapshot, published_metadata
from batch_layer.published.published_names import CURRENT
from ingestion.contract.unavailable import UnavailableError

READS = (
    "GET /v1/{prefix}/namespaces",
    "GET /v1/{prefix}/namespaces/{namespace}",
    "HEAD /v1/{prefix}/namespaces/{namespace}",
    "GET /v1/{prefix}/namespaces/{namespace}/tables",
    "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}",
)
"""The capabilities of this catalogue; a reader that receives them uses no others."""


class PublishedSnapshots(Protocol):
    """Reads the published snapshots; see `postgres_published_snapshots`."""

    def current(self) -> int | None:
        """Return the version that the pointer names; None before the first publication."""

    def versions(self) -> Sequence[int]:
        """Return the number of every version that is kept, oldest first."""

    def check_kept(self, version: int) -> None:
        """Raise ExpiredVersionError if the version is no longer kept."""

    def manifests(self) -> Sequence[Mapping[str, Any]]:
        """Return the facts of every published version, expired ones included, oldest first, as JSON values."""

    def of_table(self, table: str, version: int) -> Sequence[PublishedSnapshot]:
        """Return the table's snapshots of the published versions up to this one, oldest first."""


class PublishedCatalog:
    """The answers of the catalogue, without HTTP.

    Raises:
        LookupError: a namespace or table does not exist; the message lists those that do.
        UnavailableError: PostgreSQL or HDFS does not answer.
    """

    def __init__(
        self,
        tables: Sequence[str],
        snapshots: PublishedSnapshots,
        metadata_of: Callable[[str], Mapping[str, Any]],
    ) -> None:
        self._tables = tables
        self._snapshots = snapshots
        self._metadata_of = metadata_of

    def namespaces(self) -> list[str]:
        """Return `current`, if anything is published, and one namespace for each version that is kept."""
        versions = self._snapshots.versions()
        return ([CURRENT] if versions else []) + [f"v{version}" for version in versions]

    def manifests(self) -> list[Mapping[str, Any]]:
        """Return every published version with its instants and rows, oldest first."""
        return list(self._snapshots.manifests())

    def tables(self, namespace: str) -> list[str]:
        """Return the names of the namespace's tables."""
        self.version(namespace)
        return list(self._tables)

    def version(self, namespace: str) -> int:
        """Return the version that a namespace shows now; raise ExpiredVersionError if it is no longer kept."""
        current = self._snapshots.current()
        if current is None:
            raise LookupError("nothing is published yet")
        if namespace == CURRENT:
            return current
        if not re.fullmatch(r"v[1-9]\d{0,17}", namespace, re.ASCII) or int(namespace[1:]) > current:
            raise LookupError(f"there is no namespace {namespace[:80]!r}; there are {CURRENT} and v1 to v{current}")
        self._snapshots.check_kept(int(namespace[1:]))
        return int(namespace[1:])

    def metadata(self, namespace: str, table: str) -> dict[str, Any]:
        """Return the metadata of one table as published in the namespace's version."""
        version = self.version(namespace)
        if table not in self._tables:
            raise LookupError(f"there is no table {table[:80]!r}; there are {', '.join(self._tables)}")
        try:
            return published_metadata(self._metadata_of(table), self._snapshots.of_table(table, version))
        except MissingSnapshotError as error:
            raise LookupError(f"table {table}: {error}") from error


def catalog_app(catalog: PublishedCatalog) -> Starlette:
    """Return the catalogue as an ASGI application, with /versions, /healthz and /readyz besides."""

    def config(_request: Request) -> Response:
        return JSONResponse({"defaults": {}, "overrides": {}, "endpoints": list(READS)})

    def namespaces(request: Request) -> Response:
        names = [] if request.query_params.get("parent") else catalog.namespaces()
        return JSONResponse({"namespaces": [[name] for name in names]})

    def namespace(request: Request) -> Response:
        name = request.path_params["namespace"]
        comment = f"version {catalog.version(name)}"
        return JSONResponse({"namespace": [name], "properties": {"comment": comment}})

    def tables(request: Request) -> Response:
        name = request.path_params["namespace"]
        found = [{"namespace": [name], "name": table} for table in catalog.tables(name)]
        return JSONResponse({"identifiers": found})

    def table(request: Request) -> Response:
        # without `metadata-location`: the file there lists what is not published
        found = catalog.metadata(request.path_params["namespace"], request.path_params["table"])
        return JSONResponse({"metadata": found, "config": {}})

    def versions(_request: Request) -> Response:
        return JSONResponse({"versions": catalog.manifests()})

    def alive(_request: Request) -> Response:
        return PlainTextResponse("alive\n")

    def ready(_request: Request) -> Response:
        catalog.namespaces()
        return PlainTextResponse("ready\n")

    one = "/v1/namespaces/{namespace}"
    routes = [
        Route("/healthz", alive),
        Route("/readyz", ready),
        Route("/versions", versions),
        Route("/v1/config", config),
        Route("/v1/namespaces", namespaces),
        Route(one, namespace),
        Route(f"{one}/tables", tables),
        Route(f"{one}/tables/{{table}}", table),
    ]
    handlers: Any = {LookupError: _not_found, UnavailableError: _unavailable, HTTPException: _refused}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False  # a redirect would name the scheme and the host that this process sees
    return app


def _not_found(request: Request, error: Exception) -> Response:
    kind = "NoSuchTableException" if "table" in request.path_params else "NoSuchNamespaceException"
    return _error(404, kind, str(error))


def _unavailable(_request: Request, error: Exception) -> Response:
    return _error(503, "ServiceUnavailableException", str(error))


def _refused(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 405:
        return _error(403, "ForbiddenException", "published versions are read-only")
    return _error(status, "NoSuchEndpointException", "there is no such route in this catalogue")


def _error(status: int, kind: str, message: str) -> Response:
    return JSONResponse({"error": {"message": message, "type": kind, "code": status}}, status)
