"""`./viewledger billing proof`: keys, checkpoints and verification, by which others check the books."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from billing.books.postgres_books import PostgresBooks
from billing.postgres_session import Connect
from billing.proof.checkpoint import Link
from billing.proof.checkpointing import change_key, keep_trees, leaves_of, make_checkpoint, problems_of_books
from billing.proof.ed25519_keys import PUBLIC_SUFFIX, create_key, is_signed, read_key
from billing.proof.leaves import Leaf, leaf_lines, leaves_in
from billing.proof.postgres_journal import PostgresJournal
from billing.proof.postgres_rules import problems_of_rules
from billing.proof.postgres_trees import PostgresTrees
from billing.terms.postgres_stored_terms import problems_of_stored_terms
from ingestion.contract.printable import counted
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.billing import SIGNING_KEY
from jobs.settings.state_home import PROJECT
from jobs.wiring.billing_settings import BILLING_ROLE, billing_connector, show
from jobs.wiring.billing_work import billing_work
from jobs.wiring.checkpoint_places import CheckpointPlace, open_place

PROBLEMS_SHOWN = 20
RULES = PROJECT / "deploy" / "postgres" / "rules.json"
"""The rules that the migrations of this release make: every rule that PostgreSQL enforces, with a hash of it."""


@billing_work
def create_signing_key(_environ: Mapping[str, str], *, key: Path, as_json: bool) -> ExitCode:
    """Make a key."""
    made = create_key(key)
    public = key.with_name(key.name + PUBLIC_SUFFIX)
    document = {"public_key": made.public_key, "private_file": str(key), "public_file": str(public)}
    text = f"public key {made.public_key}\nkeep {key} secret; give {public} to those who verify"
    show(document, lambda: text, as_json=as_json)
    return ExitCode.OK


@billing_work
def change_signing_key(environ: Mapping[str, str], *, key: Path, old: Path | None, as_json: bool) -> ExitCode:
    """Make the key in force sign that another replaces it."""
    in_force, new = read_key(old or _key_file(environ)), read_key(key)
    link = change_key(_journal(environ), in_force, new.public_key, made_at=datetime.now(UTC))
    document = {"sequence": link.sequence, "public_key": new.public_key}
    text = f"from link {link.sequence} on the chain is signed by {new.public_key}; the next checkpoint exports it"
    show(document, lambda: text, as_json=as_json)
    return ExitCode.OK


@billing_work
def make(environ: Mapping[str, str], *, day: date | None, to: str, key: Path | None, as_json: bool) -> ExitCode:
    """Make the day's checkpoint unless it exists, and write every missing link to the place."""
    today = datetime.now(UTC).date()
    journal = _journal(environ)
    with open_place(to) as place:
        link, is_new = make_checkpoint(journal, read_key(key or _key_file(environ)), day=day or today, today=today)
        written = _keep(journal, place)
    keep_trees(journal, PostgresTrees(billing_connector(environ, BILLING_ROLE)))
    fields = link.fields
    document = {
        "sequence": link.sequence,
        "day": fields["day"],
        "new": is_new,
        "record_count": fields["record_count"],
        "root": fields["root"],
        "hash": link.hash,
        "files_written": written,
    }
    made = "signed now" if is_new else "was signed before"
    text = (
        f"checkpoint {link.sequence} of {fields['day']} {made}: {counted(fields['record_count'], 'record')}, "
        f"hash {link.hash}"
    )
    show(document, lambda: f"{text}\n{counted(written, 'file')} written to {to}", as_json=as_json)
    return ExitCode.OK


@billing_work
def verify_books(environ: Mapping[str, str], *, kept: str | None, as_json: bool) -> ExitCode:
    """Print every problem of the books; exit DIFFERENCE if there is one."""
    journal = _journal(environ)
    links: list[Link] = []
    leaves: list[tuple[Link, Iterable[Leaf]]] = []
    if kept:
        with open_place(kept) as place:
            links, leaves = read_kept(place, kept)
    problems = all_problems(billing_connector(environ, BILLING_ROLE), journal, links, leaves)
    chain = journal.chain()
    document: dict[str, Any] = {"links": len(chain), "kept_links": len(links), "problems": problems}
    sound = f"links: {len(chain)}, kept elsewhere: {len(links)}; the books are what was signed"
    if not chain:
        sound = "nothing was signed yet, so only the ledger could be held against its causes, and catalogues and "
        sound += "contracts against their hashes; "
        sound += "`billing proof checkpoint` signs what is recorded"
    show(document, lambda: "\n".join(first_of(problems)) if problems else sound, as_json=as_json)
    return ExitCode.DIFFERENCE if problems else ExitCode.OK


def all_problems(
    connect: Connect, journal: PostgresJournal, kept: Sequence[Link], leaves: Iterable[tuple[Link, Iterable[Leaf]]]
) -> list[str]:
    """Return everything that is wrong with the books, the stored terms and the rules of the database.

    `kept` are links that were kept elsewhere, with their `leaves`; both may be empty.
    """
    return [
        *problems_of_books(journal, is_signed, kept, leaves),
        *problems_of_stored_terms(connect),
        *PostgresBooks(connect).problems(),
        *problems_of_rules(connect, json.loads(RULES.read_bytes())),
    ]


def first_of(sentences: Sequence[str]) -> list[str]:
    """Return the first sentences, and how many more there are."""
    more = [f"and {len(sentences) - PROBLEMS_SHOWN} more"] if len(sentences) > PROBLEMS_SHOWN else []
    return [*sentences[:PROBLEMS_SHOWN], *more]


def _keep(journal: PostgresJournal, place: CheckpointPlace) -> int:
    """Write the missing links, and refuse a place that holds another chain."""
    written = 0
    for link in journal.chain():
        name = f"checkpoint-{link.sequence:06d}"
        there = place.read(f"{name}.json")
        if there is None:
            if link.fields["kind"] == "checkpoint":
                place.write(f"{name}.leaves.csv", b"".join(leaf_lines(leaves_of(journal, link))))
                written += 1
            place.write(f"{name}.json", link.to_file())
            written += 1
        elif there != link.to_file():
            raise CommandError(
                f"{name}.json is there already and is another link: either the place belongs to other books, or one of "
                "the two was changed; `billing proof verify --kept` says more",
                ExitCode.DIFFERENCE,
            )
    return written


def read_kept(place: CheckpointPlace, name: str) -> tuple[list[Link], list[tuple[Link, Iterable[Leaf]]]]:
    """Return the links of a place and their leaves, from the first on; refuse a place without any."""
    links: list[Link] = []
    leaves: list[tuple[Link, Iterable[Leaf]]] = []
    while (content := place.read(f"checkpoint-{len(links) + 1:06d}.json")) is not None:
        try:
            links.append(Link.from_file(content))
        except ValueError as error:
            raise CommandError(
                f"checkpoint-{len(links) + 1:06d}.json in {name} is {error}", ExitCode.BAD_INPUT
            ) from error
        table = place.read(f"checkpoint-{len(links):06d}.leaves.csv")
        if table is not None:
            leaves.append((links[-1], leaves_in(table)))
    if not links:
        raise CommandError(f"{name} holds no checkpoint-000001.json", ExitCode.BAD_INPUT)
    return links, leaves


def _journal(environ: Mapping[str, str]) -> PostgresJournal:
    return PostgresJournal(billing_connector(environ, BILLING_ROLE))


def _key_file(environ: Mapping[str, str]) -> Path:
    key = SIGNING_KEY.read_if_set(environ)
    if key is None:
        raise CommandError(
            f"no signing key is named: set {SIGNING_KEY.name} to a file that `billing proof keys create` wrote",
            ExitCode.BAD_INPUT,
        )
    return key
