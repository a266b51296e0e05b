"""docs/reference/api.md and the code agree."""

import json
import re
from pathlib import Path

from ingestion.contract.unavailable import PART_NAMES, Part
from serving_layer.access.access import GRANTS, Role, Scope
from serving_layer.problems.problems import CODES, PARTS, problem

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")


def problem_rows() -> str:
    """The table as it must stand in docs/reference/api.md; print it to fix the page."""
    rows = [
        f"| `{code}` | {status}{f', `{PARTS[code]}`' if code in PARTS else ''} | {meaning} |"
        for code, (status, meaning) in sorted(CODES.items())
    ]
    return "\n".join(["| code | status, part | when |", "|---|---|---|", *rows])


def test_the_page_lists_every_problem_with_its_status_and_meaning() -> None:
    shown = re.search(r"<!-- problems -->\n(.*)\n<!-- /problems -->", PAGE, re.S)
    assert shown is not None
    assert shown[1] == problem_rows()


def test_every_problem_in_the_table_is_used_by_the_code() -> None:
    sources = [path for path in (ROOT / "serving_layer").rglob("*.py") if path.name != "problems.py"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    assert not [code for code in CODES if f'"{code}"' not in text]


def test_the_page_says_which_role_has_which_scope() -> None:
    roles = (Role.CREATOR, Role.FINANCE, Role.AUDITOR, Role.OPERATOR, Role.REVIEWER)
    for scope in Scope:
        row = re.search(rf"^\| `{scope}` \|(.*)\|$", PAGE, re.M)
        assert row is not None, scope
        answer = [cell.strip() for cell in row[1].split("|")][1:]
        assert [bool(cell) for cell in answer] == [scope in GRANTS[role] for role in roles], scope


def test_every_problem_with_503_names_its_part_and_no_other_does() -> None:
    for code, (status, meaning) in CODES.items():
        sent = json.loads(problem(code, meaning).to_json())
        assert ("part" in sent) == (status == 503), code
        assert sent.get("part", "process") in PAGE.split("`part`")[1]
    assert set(PART_NAMES) == set(Part)
