"""Settings are declared once: nothing else reads the environment, and no text names a setting that there is not."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from jobs.settings.declared import NAMES, SETTINGS
from jobs.settings.declared.servers import ICEBERG_URL, SQL_URL

ROOT = Path(__file__).parents[2]
PRODUCT = ("ingestion", "batch_layer", "speed_layer", "serving_layer", "billing", "jobs", "verifier", "analysts")
READS = {
    "jobs/settings/own_environment.py": "the one place",
    "analysts/viewledger/reading.py": "a package of its own, which analysts install without the product",
    "batch_layer/gate/gx_gate.py": "turns off what a library reports to its makers, which it reads from there alone",
    "batch_layer/lake/spark_session.py": "says to Spark's Java and its workers who they are",
    "batch_layer/published/spark_connect_server.py": "says to Spark's Java who it is, and hides our secrets from it",
}
"""File that touches the process's environment → why."""
NAMED = re.compile(r"(?<![A-Z_])VIEWLEDGER_[A-Z_]*[A-Z](?![A-Z_*{])")
"""A name, and not the beginning of several (VIEWLEDGER_HTTP_*)."""
WRITTEN = {"", ".c", ".ini", ".md", ".py", ".sh", ".sql", ".toml", ".service", ".tf", ".tpl", ".yaml", ".yml"}
"""How the names of files end that people write: the launcher's and the Dockerfile's have no ending."""


def product_files() -> list[Path]:
    return [path for folder in PRODUCT for path in sorted((ROOT / folder).rglob("*.py"))]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def environment_reads(text: str) -> Iterator[str]:
    if "env" not in text:  # as each of the names below has it: most files need not be parsed
        return
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr="environ" | "environb" | "getenv" | "getenvb" | "putenv"):
                yield f"os.{node.attr}"
            case ast.ImportFrom(module="os", names=names):
                yield from (f"from os import {each.name}" for each in names if "env" in each.name)


def test_the_reader_of_reads_sees_them() -> None:
    text = "import os\nfrom os import environ\nos.environ['A']\nos.getenv('A')\nos.get_exec_path()"
    assert sorted(environment_reads(text)) == ["from os import environ", "os.environ", "os.getenv"]


def test_the_environment_is_read_in_one_place() -> None:
    reading = {named(path) for path in product_files() if any(environment_reads(path.read_text()))}
    assert reading == set(READS)


def test_a_setting_is_read_by_its_declaration_and_not_by_its_name() -> None:
    literals = [
        f"{named(path)}:{node.lineno} {node.value}"
        for path in product_files()
        if "jobs/settings/declared" not in named(path) and named(path) not in READS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAMED.fullmatch(node.value)
    ]
    assert not literals


def test_no_file_names_a_setting_that_is_not_declared() -> None:
    folders = [path for path in ROOT.iterdir() if path.name != "tests" and not path.name.startswith(".")]
    files = [path for folder in folders for path in (folder, *folder.rglob("*")) if path.suffix in WRITTEN]
    found = {(named(path), name) for path in files if path.is_file() for name in NAMED.findall(path.read_text())}
    assert len(found) > 200, "a reader that finds no names finds no unknown ones"
    assert not {each for each in found if each[1] not in NAMES}


@cache
def words_that_read() -> frozenset[str]:
    """Return the words of every file in which a setting can be read; the declarations are none."""
    readers = [
        *(path for path in product_files() if "settings/declared" not in named(path)),
        *(ROOT / each for each in ("viewledger", "docker-compose.yml", "faults/wrong_clock.c")),
        ROOT / "tests/portal_browser.py",
    ]
    return frozenset(word for path in readers for word in re.findall(r"\w+", path.read_text()))


@pytest.mark.parametrize("name", SETTINGS)
def test_every_declared_setting_is_read(name: str) -> None:
    declared = next(
        constant
        for path in (ROOT / "jobs/settings/declared").glob("*.py")
        for constant in re.findall(rf'^(\w+) = \w+\(\s*"{name}"', path.read_text(), re.MULTILINE)
    )
    assert words_that_read() & {name, declared}


def test_docker_compose_uses_declared_names_only() -> None:
    files = [
        ROOT / "docker-compose.yml",
        *(path for path in (ROOT / "deploy").rglob("*") if path.suffix != ".pyc" and path.is_file()),
    ]
    names = {name for path in files for name in re.findall(r"VIEWLEDGER_\w+", path.read_text())}
    assert len(names) > 30
    assert names <= NAMES


def test_the_package_of_analysts_has_the_declared_defaults() -> None:
    text = (ROOT / "analysts" / "viewledger" / "reading.py").read_text()
    for each in (SQL_URL, ICEBERG_URL):
        assert f'"{each.name}") or "{each.default}"' in text
