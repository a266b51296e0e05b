"""Plain English: words that mean something else, or nothing, in English are refused in every text of the project."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MACHINES = (
    "api|archive|broker|browser|client|cluster|collector|command|connection|database|driver|file|gate|header|kafka|"
    "ledger|library|loop|machine|parser|portal|postgresql|process|program|reader|redis|row|run|script|server|service|"
    "spark|store|system|table|verifier"
)
INSTEAD = {
    r"\banew\b": "again, re-",
    r"\bmend(s|ed|ing)?\b": "fix, repair",
    r"\bdear(er|est)?\b": "expensive",
    r"\baloud\b": "with an error, loudly",
    r"\b(stand|stands|stood|standing) twice\b": "appears twice",
    r"\b(take|takes|taken|took|taking)( \w+){0,2} down\b": "record",
    r"\botherwise than\b": "differently from, in another way than",
    r"\bfor ever\b": "permanently, always",
    r"\bwho(m)?ever\b": "the person who, the caller, any client",
    r"[.;:(\"] whatever\b": "any, even if",
    r"(?<!there )(?<!where )\b(is|are|was|were) no (?!longer\b|more\b|less\b|other\b|different\b)\w": "is not a",
    r"\bso many\b": "the number itself, this many",
    r"\bso long\b(?! as\b)": "the duration itself, for this time",
    r"\b(somebody|someone|anybody|anyone|nobody|something|anything) else than\b": "other than",
    r"\b(the|an) own\b": "their own, its own, a separate",
    rf"\b({MACHINES}) (says|said|tells|told)\b": "reports, returns, shows",
    rf"\b({MACHINES}) (is|are|was|were|has been) (told|asked)\b": "receives, gets, is queried",
    r"\bnobody (is|was) told\b": "there is no notice",
}
"""Pattern → what to write. Patterns meet texts in lower case, with underscores as spaces and line breaks as one."""

METAPHORS = frozenset({"door", "doors", "desk", "desks", "behind", "surroundings"})
"""Words that no name in Python code contains: a name says what a thing is."""

OF_PEOPLE = frozenset({"told", "said"})
"""Words for people, not for machines: only the sentences that are names of tests may contain them."""

EXEMPT = {
    "CHANGELOG.md": "history is not rewritten",
    **{
        f"deploy/postgres/versions/{number:03}_": "a migration that was applied is never changed"
        for number in range(1, 41)
    },
    "deploy/postgres/rules.json": "hashes of the rules of migrations",
    "docs/concepts/attack-results.jsonl": "recorded results",
    "docs/concepts/fault-results.jsonl": "recorded results",
    "docs/concepts/soak-results.jsonl": "recorded results",
    "tests/style/test_words.py": "the list itself",
}
"""Path, or how it begins → why its words are not judged."""

ALLOWED = {
    ("ingestion/contract/decoding.py", "the key {key[:64]!r} stands twice in one object"): (
        "version 1 of the event contract: archived events store this sentence as their reason"
    ),
}
"""(path, text) → why this text stays."""

BINARY = {".png", ".ico", ".woff2", ".jar", ".gz", ".parquet", ".csv", ".webm"}


def tracked() -> list[str]:
    """Return the paths of all files that git tracks, and of new ones that it does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [path for path in sorted(set(listed.stdout.splitlines())) if (ROOT / path).is_file()]


def is_judged(path: str) -> bool:
    """Return whether the words of a file are judged."""
    return Path(path).suffix not in BINARY and not path.endswith(".lock") and not path.startswith(tuple(EXEMPT))


def refused(text: str) -> Iterator[str]:
    """Yield a sentence for each refused word of a text, with its line."""
    plain = re.sub(r"\s", " ", text.replace("_", " ")).lower()
    for pattern, instead in INSTEAD.items():
        for found in re.finditer(pattern, plain):
            line = text.count("\n", 0, found.start()) + 1
            yield f"{line}: {found.group().strip()!r}; write: {instead}"


def metaphors(source: str) -> Iterator[str]:
    """Yield a sentence for each name of Python code that is a metaphor, with its line."""
    for node in ast.walk(ast.parse(source)):
        name = (
            getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "arg", None)
            or getattr(node, "name", None)
        )  # fmt: skip
        if name is not None and is_metaphor(str(name)):
            yield f"{getattr(node, 'lineno', 0)}: the name {name!r}; name what the thing is"


@cache
def is_metaphor(name: str) -> bool:
    """Return whether a name has a word that is a metaphor; a name stands in the code many times."""
    words = set(re.findall(r"[a-z]+", re.sub(r"([A-Z])", r"_\1", name).lower()))
    return bool(words & METAPHORS or (words & OF_PEOPLE and not name.startswith("test_")))


def without_allowed(path: str, text: str) -> str:
    """Return a text without the sentences that may stay in it."""
    for (place, sentence), _reason in ALLOWED.items():
        if place == path:
            text = text.replace(sentence, "")
    return text


FILES = [path for path in tracked() if is_judged(path)]


def test_the_project_is_read_whole() -> None:
    assert {Path(path).parts[0] for path in FILES} >= {"billing", "docs", "jobs", "tests", "verifier", "README.md"}


@pytest.mark.parametrize("area", sorted({Path(path).parts[0] for path in FILES}))
def test_every_text_is_plain_english(area: str) -> None:
    found = [
        f"{path}:{problem}"
        for path in FILES
        if Path(path).parts[0] == area
        for problem in refused(without_allowed(path, (ROOT / path).read_text(encoding="utf-8")))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("area", sorted({Path(path).parts[0] for path in FILES if path.endswith(".py")}))
def test_every_name_says_what_the_thing_is(area: str) -> None:
    found = [
        f"{path}:{problem}"
        for path in FILES
        if Path(path).parts[0] == area and path.endswith(".py")
        for problem in metaphors((ROOT / path).read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "The partition begins anew.",
        "how to mend each",
        "a dear route",
        "it halts aloud",
        "the key stands\ntwice",
        "objections are taken down",
        "it looks otherwise than on record",
        "kept for ever",
        "Whoever asks is answered.",
        "It is safe. Whatever fails is tried again.",
        "def test_a_cookie_is_no_token(): ...",
        "so many seconds",
        "it waits so long",
        "somebody else than the actor",
        "each in an own process",
        "the log of the server says why",
        "the reader was told",
        "nobody is told",
    ],
)
def test_a_planted_word_is_found(text: str) -> None:
    assert list(refused(text))


@pytest.mark.parametrize(
    "text",
    [
        "there is no such payee",
        "it is no longer kept",
        "as long as it runs",
        "so long as it runs",
        "three own processes",
        "whatever",
        "someone other than the actor",
        "commended, endeared, recommend",
    ],
)
def test_plain_english_is_not_found(text: str) -> None:
    assert not list(refused(text))


@pytest.mark.parametrize("source", ["told_by = 1", "class FrontDoor: ...", "def f(said): ...", "x.behind", "f(desk=1)"])
def test_a_planted_metaphor_is_found(source: str) -> None:
    assert list(metaphors(source))


def test_every_exemption_is_still_needed() -> None:
    paths = tracked()
    for exempt in EXEMPT:
        assert any(path.startswith(exempt) for path in paths), exempt
    for place, sentence in ALLOWED:
        assert sentence in (ROOT / place).read_text(encoding="utf-8"), place
