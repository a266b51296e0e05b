"""The pages: every link leads somewhere, the site builds, and each list names all there is."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.exit_codes import ExitCode
from jobs.settings.state_home import PROJECT

LEFT_OUT = {".viewledger", ".git", ".venv", "node_modules"}
PAGES = sorted(
    path for path in PROJECT.rglob("*.md") if not LEFT_OUT & set(path.relative_to(PROJECT).parts) and path.is_file()
)
DECISIONS = PROJECT / "docs" / "decisions"
FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def text_of(page: Path) -> str:
    """A page without its code."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text(encoding="utf-8")))


def anchors_of(page: Path) -> set[str]:
    """What a link may name behind `#`: each heading in small letters, words joined by hyphens."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page: Path) -> None:
    broken = []
    for link in LINK.findall(text_of(page)):
        if re.match(r"(https?|mailto):", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert broken == []


def test_links_are_seen() -> None:
    assert len(PAGES) > 100
    assert sum(len(LINK.findall(text_of(page))) for page in PAGES) > 200


def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    site = tmp_path / "site"
    command = [sys.executable, "-P", "-m", "jobs.cli", "docs", "build", "--to", str(site)]
    built = subprocess.run(
        command, cwd=PROJECT, env=os.environ | {"PYTHONPATH": str(PROJECT)}, capture_output=True, text=True, check=False
    )
    assert built.returncode == ExitCode.OK, built.stdout + built.stderr
    assert built.stdout.split() == [str(site / "index.html")]
    pages = list(site.rglob("*.html"))
    assert len(pages) > 100
    loaded = {
        address
        for page in pages
        for address in re.findall(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"?([^\s\">]+)", page.read_text())
        if "//" in address
    }
    assert loaded == set()


def test_decisions_are_numbered_without_a_gap_listed_and_have_three_parts() -> None:
    pages = sorted(DECISIONS.glob("[0-9]*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:03d}-" for number in range(1, len(pages) + 1)]
    assert LINK.findall((DECISIONS / "README.md").read_text()) == [page.name for page in pages]
    for page in pages:
        text = page.read_text()
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"], page.name
        assert text.startswith(f"# {page.name[:3]} ")
        assert len(text.splitlines()) <= 40, page.name


def breakable(line: str) -> str:
    """A line with each code span and each link's target as one word without a space."""
    return re.sub(r"`[^`]*`|\]\([^)]*\)", lambda found: found[0].replace(" ", "_"), line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_text_wraps_at_100_columns(page: Path) -> None:
    lines = FENCE.sub("", page.read_text(encoding="utf-8")).splitlines()
    text = [line for line in lines if not line.startswith(("|", "    ", "#", "<!--"))]
    assert [line for line in text if len(line) > 100 and " " in breakable(line.strip().lstrip("-* "))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_a_cell_of_a_table_has_at_most_two_sentences(page: Path) -> None:
    rows = re.findall(r"^\|.*\|$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    cells = [cell.strip() for row in rows for cell in re.split(r"(?<!\\)\|", re.sub(r"`[^`]*`", "x", row))]
    assert [cell for cell in cells if len(re.findall(r"[.!?]\)?(?= [A-Z“\"])", cell.rstrip("."))) > 1] == []


def test_every_picture_is_small_and_shown_on_a_page() -> None:
    shown = {
        (page.parent / link).resolve()
        for page in PAGES
        for link in LINK.findall(text_of(page))
        if link.endswith(".png")
    }
    pictures = {path.resolve(): path.stat().st_size for path in (PROJECT / "docs" / "images").iterdir()}
    assert set(pictures) == shown
    assert max(pictures.values()) <= 150_000
