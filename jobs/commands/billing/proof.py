"""`./viewledger billing keys | checkpoint | verify | export`: what lets somebody else check the books."""

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from billing.books.postgres_books import PostgresBooks
from billing.errors import BundleRefusedError, CheckpointRefusedError, KeyRefusedError
from billing.proof.checkpoint import Link
from billing.proof.checkpointing import change_key, leaves_of, make_checkpoint, problems_of_books
from billing.proof.ed25519_keys import PUBLIC_SUFFIX, create_key, is_signed, read_key
from billing.proof.leaves import Leaf, leaf_lines, leaves_in
from billing.proof.postgres_journal import PostgresJournal
from billing.proof.postgres_rules import problems_of_rules
from billing.terms.postgres_stored_terms import problems_of_stored_terms
from jobs.commands.flags import day_of
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.billing import SIGNING_KEY
from jobs.settings.state_home import PROJECT
from jobs.wiring.billing_settings import BILLING_ROLE, Actions, add_action, billing_connector, show
from jobs.wiring.checkpoint_places import ALLOWED, Place, open_place

PROBLEMS_SHOWN = 20
RULES = PROJECT / "deploy" / "postgres" / "rules.json"
"""What the migrations of this release make: every rule that PostgreSQL keeps, with a hash of it."""


def add_actions(actions: Actions) -> None:
    """Declare the actions."""
    keys = add_action(actions, "keys", work_on_keys, "make a signing key, or put another one in force")
    keys.add_argument("what", choices=("create", "change"))
    keys.add_argument(
        "--key", type=Path, required=True, metavar="FILE", help="the new private key: made, or already there"
    )
    keys.add_argument(
        "--old", type=Path, metavar="FILE", help=f"the key in force (default: {SIGNING_KEY.name}); for change"
    )
    checkpoint = add_action(
        actions, "checkpoint", make, "sign what was recorded since the last checkpoint, keep it elsewhere"
    )
    checkpoint.add_argument("--day", metavar="D", help="the UTC day that it closes (default: today)")
    checkpoint.add_argument("--to", required=True, metavar="PLACE", help=ALLOWED)
    checkpoint.add_argument("--key", type=Path, metavar="FILE", help=f"the private key (default: {SIGNING_KEY.name})")
    verify = add_action(
        actions, "verify", verify_books, "hold the books in PostgreSQL against their signed checkpoints"
    )
    verify.add_argument("--kept", metavar="PLACE", help=f"checkpoints kept elsewhere: {ALLOWED}")


def work_on_keys(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Make a key, or has the one in force sign that another takes its place."""
    with one_sentence():
        if arguments.what == "create":
            key = create_key(arguments.key)
            public = arguments.key.with_name(arguments.key.name + PUBLIC_SUFFIX)
            document = {"public_key": key.public_key, "private_file": str(arguments.key), "public_file": str(public)}
            show(
                arguments,
                document,
                lambda: f"public key {key.public_key}\nkeep {arguments.key} secret; give {public} to whoever verifies",
            )
            return ExitCode.OK
        old, new = read_key(arguments.old or _key_file(environ)), read_key(arguments.key)
        link = change_key(_journal(environ), old, new.public_key, made_at=datetime.now(UTC))
    show(
        arguments,
        {"sequence": link.sequence, "public_key": new.public_key},
        lambda: f"from link {link.sequence} on the chain is signed by {new.public_key}; the next checkpoint exports it",
    )
    return ExitCode.OK


def make(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Make the day's checkpoint unless it is there, and puts every link that the place lacks there."""
    today = datetime.now(UTC).date()
    day = day_of("--day", arguments.day) if arguments.day else today
    journal = _journal(environ)
    with one_sentence(), open_place(arguments.to) as place:
        link, is_new = make_checkpoint(journal, read_key(arguments.key or _key_file(environ)), day=day, today=today)
        written = _keep(journal, place)
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
    text = f"checkpoint {link.sequence} of {fields['day']} {made}: {fields['record_count']:,} records, hash {link.hash}"
    show(arguments, document, lambda: f"{text}\n{written} files written to {arguments.to}")
    return ExitCode.OK


def verify_books(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Print every problem of the books; DIFFERENCE when there is one."""
    journal = _journal(environ)
    kept: list[Link] = []
    leaves: list[tuple[Link, Iterable[Leaf]]] = []
    if arguments.kept:
        with open_place(arguments.kept) as place:
            kept, leaves = _read_kept(place, arguments.kept)
    problems = list(problems_of_books(journal, is_signed, kept, leaves))
    connect = billing_connector(environ, BILLING_ROLE)
    problems += [*problems_of_stored_terms(connect), *PostgresBooks(connect).problems()]
    problems += problems_of_rules(connect, json.loads(RULES.read_bytes()))
    chain = journal.chain()
    document: dict[str, Any] = {"links": len(chain), "kept_links": len(kept), "problems": problems}
    more = [f"and {len(problems) - PROBLEMS_SHOWN} more"] if len(problems) > PROBLEMS_SHOWN else []
    sound = f"links: {len(chain)}, kept elsewhere: {len(kept)}; the books are what was signed"
    if not chain:
        sound = "nothing was signed yet, so only the ledger could be held against its causes, and catalogues and "
        sound += "contracts against their hashes; "
        sound += "`billing checkpoint` signs what is recorded"
    show(arguments, document, lambda: "\n".join([*problems[:PROBLEMS_SHOWN], *more]) if problems else sound)
    return ExitCode.DIFFERENCE if problems else ExitCode.OK


def _keep(journal: PostgresJournal, place: Place) -> int:
    """Write what the place lacks, and refuse a place that holds another chain."""
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
                "the two was changed; `billing verify --kept` says more",
                ExitCode.DIFFERENCE,
            )
    return written


def _read_kept(place: Place, name: str) -> tuple[list[Link], list[tuple[Link, Iterable[Leaf]]]]:
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
            f"no signing key is named: set {SIGNING_KEY.name} to a file that `billing keys create` wrote",
            ExitCode.BAD_INPUT,
        )
    return key


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turn what the proofs refuse into the command's error."""
    try:
        yield
    except KeyRefusedError as error:
        raise CommandError(str(error), ExitCode.BAD_INPUT) from error
    except (CheckpointRefusedError, BundleRefusedError) as error:
        raise CommandError(str(error), ExitCode.REFUSED) from error
