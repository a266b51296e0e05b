"""Imports go one way, and each technology has its own files; read from the code itself."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ("ingestion", "batch_layer", "speed_layer", "serving_layer", "billing")
CONTRACT = "ingestion.contract"

TECHNOLOGIES = {
    "kafka": ("kafka_",),
    "crc32c": ("kafka_",),
    "redis": ("redis_",),
    "psycopg2": ("postgres_",),
    "pyspark": ("spark_", "iceberg_", "gx_"),
    "py4j": ("spark_", "iceberg_"),
    "grpc": ("spark_",),
    "pyarrow": ("spark_", "iceberg_"),
    "pandas": ("spark_", "iceberg_"),
    "great_expectations": ("gx_",),
    "jinja2": ("http_",),
    "fastapi": ("http_",),
    "starlette": ("http_",),
    "uvicorn": ("http_",),
    "prometheus_client": ("prometheus_",),
    "yaml": ("file_",),
    "jsonschema": ("file_",),
    "sepaxml": ("file_",),
    "schwifty": ("bank_",),
    "cryptography": ("ed25519_", "jwt_"),
    "jwt": ("jwt_",),
    "httpx": ("http_",),
    "limits": ("limits_",),
}
"""Import name → how the name of a file begins that may import it. `jobs` may import anything."""


def in_order(*rooms: str) -> dict[str, tuple[str, ...]]:
    """Return rooms of which each may import all those before it."""
    return {room: rooms[:index] for index, room in enumerate(rooms)}


ROOMS = {
    "batch_layer": {
        "lake": (),
        "traffic": ("lake",),
        "archive": ("lake",),
        "judging": ("lake", "archive"),
        "versions": ("lake", "archive", "judging"),
        "reconciling": ("lake", "archive", "judging", "versions"),
        "gate": ("lake", "archive", "judging", "versions", "reconciling"),
        "run": ("lake", "archive", "judging", "versions", "reconciling", "gate"),
        "maintaining": ("lake", "archive", "judging", "versions", "reconciling", "gate", "run"),
        "backup": ("lake",),
        "published": ("lake",),
        "settled": ("lake", "judging", "published"),
    },
    "serving_layer": in_order(
        "problems", "request", "access", "counts", "history", "money", "routes", "portal",
    ),
    "billing": in_order("terms", "rating", "books", "payouts", "notices", "proof"),
    "jobs": in_order(
        "telemetry", "child", "settings", "setup", "resilience", "http", "local_stack", "checkup", "wiring",
        "command_line", "processes", "commands", "demo",
    ),
}  # fmt: skip
"""Layer → room → the rooms that it may import, beside itself and what lies in the layer's own folder.

A file in the layer's own folder is the ground and imports no room, but for those in `OVER_ROOMS`.
"""

OVER_ROOMS = {
    "billing": {
        "closing.py", "nightly.py", "period_billing.py", "period_terms.py", "ports.py", "reviewed_groups.py",
        "waiting.py",
    },
    "jobs": {"cli.py", "event_page.py", "tables_page.py"},
}  # fmt: skip

CONTRACT_MAY_IMPORT = {
    "ast", "bisect", "collections", "dataclasses", "datetime", "enum", "functools", "hashlib", "hmac", "ipaddress",
    "json", "msgspec", "pathlib", "pycountry", "re", "re2", "tomllib", "typing", "unicodedata", "urllib", "uuid",
}  # fmt: skip


@dataclass(frozen=True)
class Edge:
    """One import: which file imports which module."""

    path: Path
    imported: str

    @property
    def layer(self) -> str:
        return self.path.relative_to(ROOT).parts[0]

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)} imports {self.imported}"


@cache
def edges_of(*folders: str) -> Sequence[Edge]:
    return [edge for folder in folders for path in sorted((ROOT / folder).rglob("*.py")) for edge in edges_in(path)]


def edges_in(path: Path) -> Iterator[Edge]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (Edge(path, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where a name comes from"
            yield from (Edge(path, f"{node.module}.{alias.name}") for alias in node.names)


def starts_with(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def test_the_reader_of_imports_sees_them() -> None:
    seen = {edge.layer for edge in edges_of(*LAYERS) if starts_with(edge.imported, CONTRACT)}
    assert seen == set(LAYERS), "every layer imports the contract; a reader that does not see it sees nothing"


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_itself_and_the_contract(layer: str) -> None:
    forbidden = [
        str(edge)
        for edge in edges_of(*LAYERS)
        if edge.layer == layer
        and starts_with(edge.imported, *LAYERS, "jobs", "faults", "attacks", "tests", "bench")
        and not starts_with(edge.imported, layer, CONTRACT)
    ]
    assert not forbidden


def test_the_contract_is_pure() -> None:
    forbidden = [
        str(edge)
        for edge in edges_of(*LAYERS)
        if starts_with(".".join(edge.path.relative_to(ROOT).parts[:2]), CONTRACT)
        and edge.imported.split(".")[0] not in CONTRACT_MAY_IMPORT
        and not starts_with(edge.imported, CONTRACT)
    ]
    assert not forbidden


@pytest.mark.parametrize("layer", ROOMS)
def test_every_folder_of_a_layer_is_a_room(layer: str) -> None:
    assert {path.parent.name for path in (ROOT / layer).glob("*/__init__.py")} == set(ROOMS[layer])


@pytest.mark.parametrize(("layer", "room"), [(layer, room) for layer, rooms in ROOMS.items() for room in rooms])
def test_a_room_imports_only_those_before_it(layer: str, room: str) -> None:
    forbidden = tuple(f"{layer}.{name}" for name in ROOMS[layer] if name not in (room, *ROOMS[layer][room]))
    edges = [edge for edge in edges_of(f"{layer}/{room}") if starts_with(edge.imported, *LAYERS, "jobs")]
    assert edges
    assert not [str(edge) for edge in edges if starts_with(edge.imported, *forbidden)]


@pytest.mark.parametrize("layer", ROOMS)
def test_the_ground_of_a_layer_imports_none_of_its_rooms(layer: str) -> None:
    rooms = tuple(f"{layer}.{name}" for name in ROOMS[layer])
    ground = [path for path in (ROOT / layer).glob("*.py") if path.name not in OVER_ROOMS.get(layer, ())]
    assert not [str(edge) for path in ground for edge in edges_in(path) if starts_with(edge.imported, *rooms)]


@pytest.mark.parametrize("technology", TECHNOLOGIES)
def test_a_technology_is_imported_only_by_the_files_named_for_it(technology: str) -> None:
    forbidden = [
        str(edge)
        for edge in edges_of(*LAYERS)
        if edge.imported.split(".")[0] == technology and not edge.path.name.startswith(TECHNOLOGIES[technology])
    ]
    assert not forbidden


def test_no_module_grows_past_its_purpose() -> None:
    sizes = {
        path: len(path.read_text().splitlines())
        for folder in (*LAYERS, "jobs", "faults", "attacks")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert len(sizes) > 20
    assert not {str(path.relative_to(ROOT)): lines for path, lines in sizes.items() if lines > 300}


def test_nothing_is_called_by_a_name_that_says_nothing() -> None:
    empty_words = {"utils", "helpers", "common", "manager", "misc"}
    named = [
        path
        for folder in (*LAYERS, "jobs", "faults", "attacks", "tests")
        for path in (ROOT / folder).rglob("*")
        if path.stem in empty_words
    ]
    assert not named
