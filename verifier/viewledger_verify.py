#!/usr/bin/env python3
"""viewledger-verify: checks an exported bundle against its signed checkpoints and recomputes every number in it.

It needs Python 3.11 and nothing else: no server, no package, nothing of the product. It shares no code with the product
ON PURPOSE: agreement of two programs that were written from one description (docs/concepts/proof.md) proves more than
one program that agrees with itself. Do not "simplify" it by importing the product's modules.

    viewledger-verify BUNDLE --pubkey K [--for payee|auditor] [--kept FILE_OR_FOLDER ...]
                      [--receipts FILE ... --receipt-keys JWKS] [--json]
    viewledger-verify STATEMENT --pubkey K [--kept FILE_OR_FOLDER ...] [--events FILE] [--json]

The first form checks the bundle of a period, a folder; the second the bundle of one statement, a file.

A bundle of a period is for a payee or for an auditor. One for a payee has no threshold of the rules of traffic: their
policy is known by its signed leaf, and what it made of each event by the outcomes. One for an auditor has all that the
rules see, and the reason of each event is found again. It is streamed from its files; rows that are needed again go
into a temporary SQLite file, so memory stays flat, but for the views of one day in a bundle for an auditor.

Exit codes
    0   everything is right, and every record is covered by a signed checkpoint
    1   something is wrong; the first wrong row is named with its file and line
    2   nothing was checked: a flag is wrong, or this is not a bundle of a known format
    3   nothing is wrong, but some records are newer than the last checkpoint: they are not signed yet
"""

import argparse
import base64
import csv
import errno
import gzip
import hashlib
import io
import itertools
import json
import os
import re
import sqlite3
import stat
import sys
import tempfile
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

BUNDLE_FORMATS = ("viewledger-bundle/1", "viewledger-bundle/2", "viewledger-bundle/3", "viewledger-bundle/4")
"""The first holds only the postings of its period, the others the whole ledger. From the third on there is the digest
of each event. The fourth says for whom it is."""
STATEMENT_FORMAT = "viewledger-statement/1"
PAYEE, AUDITOR = "payee", "auditor"
"""For whom a bundle can be."""
CHECKPOINT_FORMAT = "viewledger-checkpoint/1"
NANOMICROS = 1_000_000_000
PPM = 1_000_000
SUSPENSE = "suspense:unattributed"
"""The payee of views without an owner; the account that holds their amount has the same name."""
NOT_BILLABLE = (
    "not_eligible",
    "unattested",
    "below_minimum",
    "own_view",
    "over_cap",
    "under_review",
    "traffic_pending",
)
ADVERTISEMENTS_MAX, ADVERTISEMENT_SECONDS_MIN = 50, 5
"""The bound of an event, by the event contract from its second version on."""

CHECKPOINTS, LEAVES, RECORDS = "checkpoints.jsonl", "leaves.csv", "records.jsonl"
PAYEES, VIDEOS, OWNERS = "payees.csv", "videos.csv", "owners.csv"
EVENTS, COUNTS = "events.csv.gz", "counts.csv.gz"
JUDGED, STORED = "judged_views.csv.gz", "traffic_outcomes.csv.gz"
FILES = (CHECKPOINTS, LEAVES, RECORDS, PAYEES, VIDEOS, OWNERS, EVENTS, COUNTS)
AUDITOR_FILES = (JUDGED, STORED)
COLUMNS = {
    LEAVES: "position,kind,key,sha256",
    PAYEES: "payee_id,name,user_id,country",
    VIDEOS: "video_id,length_seconds",
    OWNERS: "video_id,from_on,to_on,payee_id,share_ppm",
    EVENTS: "video_id,event_id,partition,offset,event_day,country,outcome,view_duration,ad_types,policy_version",
    COUNTS: "video_id,event_day,country,views,billable_views,policy_version",
    JUDGED: "judged_day,partition,offset,event_id,event_day,begun,video_id,payee_id,length_seconds,viewer,session,"
    "view_duration,country,device_type,network,network_kind,agent,referrer,allowed",
    STORED: "partition,offset,event_day,payee_id,outcome,reason,points",
}


DIGEST = "sha256"
"""The last column of the events, from the third format on."""
TEXT_BYTES_MAX = 1 << 24
"""The bound of a manifest, a key or a link."""
CSV_LINE_MAX, JSON_LINE_MAX = 1 << 20, 1 << 28
"""The bound of a record, which holds all lines of a statement."""
OPENED_MAX = 1 << 36
"""Default bound of bytes that one compressed file may open to; the manifest bounds its rows as well."""

Rows = Iterator[tuple[int, dict[str, str]]]
"""(line, row) of a CSV file."""


class WrongError(Exception):
    """A part of the bundle is wrong."""

    def __init__(self, file: str, line: int, text: str) -> None:
        super().__init__(f"{file}, line {line}: {text}" if line else f"{file}: {text}")
        self.file, self.line, self.text = file, line, text


NO_VALUE = (KeyError, TypeError, ValueError, AttributeError, OverflowError, sqlite3.ProgrammingError)
"""The exceptions of reading a record that lacks a field, or has a value of another form."""


class UnusableError(Exception):
    """There is nothing that can be checked."""


# --- Ed25519, RFC 8032 -----------------------------------------------------------------------------------

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)
Point = tuple[int, int, int, int]
"""Extended coordinates (X, Y, Z, T): x = X/Z, y = Y/Z, xy = T/Z (RFC 8032, section 5.1.4)."""


def _add(first: Point, second: Point) -> Point:
    a = (first[1] - first[0]) * (second[1] - second[0]) % _P
    b = (first[1] + first[0]) * (second[1] + second[0]) % _P
    c = 2 * first[3] * second[3] * _D % _P
    d = 2 * first[2] * second[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(scalar: int, point: Point) -> Point:
    result: Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


def _x_of(y: int, sign: int) -> int | None:
    """Return the x of a point from its y and the lowest bit of x; None if there is no such point (5.1.3)."""
    if y >= _P:
        return None
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    if (v * x * x - u) % _P:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if (v * x * x - u) % _P or (x == 0 and sign):
        return None
    return _P - x if x & 1 != sign else x


def _decoded(encoded: bytes) -> Point | None:
    number = int.from_bytes(encoded, "little")
    y, sign = number & (1 << 255) - 1, number >> 255
    x = _x_of(y, sign)
    return None if x is None else (x, y, 1, x * y % _P)


_BASE_Y = 4 * pow(5, -1, _P) % _P
_BASE_X = _x_of(_BASE_Y, 0) or 0
_BASE: Point = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % _P)


def is_signed(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether the key made the signature over the message (RFC 8032, section 5.1.7)."""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    key, commitment = _decoded(public_key), _decoded(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or commitment is None or scalar >= _L:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little") % _L
    left, right = _times(scalar, _BASE), _add(commitment, _times(challenge, key))
    return (left[0] * right[2] - right[0] * left[2]) % _P == 0 and (left[1] * right[2] - right[1] * left[2]) % _P == 0


# --- Merkle trees, RFC 6962, section 2.1 -----------------------------------------------------------------


class Tree:
    """Accepts leaf hashes one after the other; keeps one hash per complete subtree."""

    def __init__(self) -> None:
        self.count = 0
        self._peaks: list[bytes] = []

    def add(self, node: bytes) -> None:
        """Append the hash of a leaf."""
        count = self.count
        while count & 1:
            node = hashlib.sha256(b"\x01" + self._peaks.pop() + node).digest()
            count >>= 1
        self._peaks.append(node)
        self.count += 1

    def root(self) -> str:
        """Return the root in hex."""
        if not self._peaks:
            return hashlib.sha256(b"").hexdigest()
        node = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            node = hashlib.sha256(b"\x01" + peak + node).digest()
        return node.hex()


def leaf_hash(content: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\x00" + content).digest()


# --- Reading ---------------------------------------------------------------------------------------------


def canonical(value: Any) -> bytes:
    """Return the canonical JSON of a value: sorted keys, no white space, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def cause(error: Exception) -> str:
    """Return the subject of an error, in words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)


def opened(file: Path) -> BinaryIO:
    """Return a regular file; raise OSError for anything else: a pipe could block, and a device never ends."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "a folder, a pipe or a device; give a file", str(file))
    return os.fdopen(descriptor, "rb")


def short_content(file: Path, bytes_max: int = TEXT_BYTES_MAX) -> bytes:
    """Return the content of a small file; raise OSError, ValueError."""
    with opened(file) as readable:
        content = readable.read(bytes_max + 1)
    if len(content) > bytes_max:
        raise ValueError(f"more than {bytes_max:,} bytes")
    return content


def value_of(text: bytes) -> Any:
    """Return a JSON value whose numbers are all integers; raise ValueError, RecursionError."""
    return json.loads(text, parse_float=_refused_number, parse_constant=_refused_number)


def _refused_number(text: str) -> Any:
    raise ValueError(f"{text} is not an integer")


def shown(text: str) -> str:
    """Return a text that is safe for a terminal: control characters, and those that reverse text, become escapes."""
    return "".join(each if each.isprintable() or each in "\u00a0\u200c\u200d" else ascii(each)[1:-1] for each in text)


class Bundle:
    """The files of a bundle, read line by line."""

    def __init__(self, folder: Path, opened_max: int = OPENED_MAX) -> None:
        self._folder, self._opened_max = folder, opened_max
        try:
            manifest = value_of(short_content(folder / "manifest.json"))
        except (OSError, ValueError, RecursionError) as error:
            raise UnusableError(f"{folder} is not a bundle: manifest.json cannot be read ({cause(error)})") from error
        if not isinstance(manifest, dict) or manifest.get("format") not in BUNDLE_FORMATS:
            raise UnusableError(f"{folder} is not a bundle of the formats {' and '.join(BUNDLE_FORMATS)}")
        self.manifest: dict[str, Any] = manifest
        self.has_whole_ledger = manifest["format"] != BUNDLE_FORMATS[0]
        self.has_digests = manifest["format"] not in BUNDLE_FORMATS[:2]
        self.reader = _reader_of(folder, manifest)
        self.files = (*FILES, *AUDITOR_FILES) if self.reader == AUDITOR else FILES
        self._rows = manifest.get("rows")
        if not isinstance(self._rows, dict) or not isinstance(manifest.get("files"), dict):
            raise WrongError("manifest.json", 1, "does not give the rows and the SHA-256 of each file")
        for name in self.files:
            if not (folder / name).exists():
                raise WrongError(name, 0, "the file is missing")
        try:
            self.days_left_out = {date.fromisoformat(day).isoformat() for day in manifest.get("days_left_out", ())}
            self.start_on = date.fromisoformat(self.manifest["period_start_on"])
            self.end_on = date.fromisoformat(self.manifest["period_end_on"])
            self.versions = {name: int(self.manifest[f"{name}_version"]) for name in ("batch", "catalogue", "contract")}
        except (KeyError, TypeError, ValueError) as error:
            raise WrongError("manifest.json", 1, f"a field is missing or not valid ({cause(error)})") from error

    def lines(self, name: str) -> Iterator[tuple[int, bytes]]:
        """Yield (number, content) of each line, without its end."""
        line_max = JSON_LINE_MAX if name.endswith(".jsonl") else CSV_LINE_MAX
        number, left = 0, self._opened_max
        try:
            with opened(self._folder / name) as raw, gzip.open(raw) if name.endswith(".gz") else raw as readable:
                for number, line in enumerate(iter(lambda: readable.readline(line_max + 1), b""), 1):
                    left -= len(line)
                    self._check_bounds(name, number, is_long=len(line) > line_max, is_over=left < 0)
                    yield number, line.rstrip(b"\n")
        except (OSError, EOFError, gzip.zlib.error) as error:  # type: ignore[attr-defined]
            raise WrongError(name, number + 1, f"cannot be read ({cause(error)})") from error

    def _check_bounds(self, name: str, number: int, *, is_long: bool, is_over: bool) -> None:
        """Refuse lines that would fill memory or never end, and rows that the manifest does not know."""
        rows = self._rows.get(name)
        if is_long:
            raise WrongError(name, number, "is longer than any line that a bundle has")
        if not isinstance(rows, int) or number > rows + (name in COLUMNS):
            raise WrongError(name, number, f"is a row beyond the {rows} that manifest.json names")
        if is_over and name.endswith(".gz"):
            raise WrongError(name, number, f"opens to more than {self._opened_max:,} bytes; allow more by --opened-max")

    def rows(self, name: str) -> Rows:
        """Yield (line, row) of a CSV file whose header is known."""
        header = COLUMNS[name].split(",") + [DIGEST] * (name == EVENTS and self.has_digests)
        reader = csv.reader((line.decode() + "\n" for _, line in self.lines(name)), strict=True)
        try:
            if next(reader, None) != header:
                raise WrongError(name, 1, f"the header is not {','.join(header)}")
            for cells in reader:
                if len(cells) != len(header):
                    raise WrongError(name, reader.line_num, f"has {len(cells)} fields and not {len(header)}")
                yield reader.line_num, dict(zip(header, cells, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            raise WrongError(name, reader.line_num, f"is not CSV ({cause(error)})") from error

    def sha256(self, name: str) -> str:
        """Return the SHA-256 of a file."""
        with opened(self._folder / name) as readable:
            return hashlib.file_digest(readable, "sha256").hexdigest()


def _reader_of(folder: Path, manifest: dict[str, Any]) -> str:
    """Return for whom a bundle is; nothing for those of earlier releases."""
    if manifest["format"] in BUNDLE_FORMATS[:3]:
        return ""
    reader = manifest.get("for")
    if reader not in (PAYEE, AUDITOR):
        raise UnusableError(
            f"{folder} does not say for whom it is; a bundle of its format is for a payee or an auditor"
        )
    return str(reader)


def refuse_other_reader(bundle: Bundle, reader: str) -> None:
    """Raise UnusableError if a bundle is not for the reader that was asked for."""
    if bundle.reader == reader:
        return
    if not bundle.reader:
        why = f"is of the format {bundle.manifest['format']}, which names no reader"
    elif reader == AUDITOR:
        why = "is for a payee and has no threshold of traffic, so no reason can be found again"
    else:
        why = "is for an auditor and has thresholds of traffic, which payees must not know"
    raise UnusableError(f"the bundle {why}; `billing proof export --for {reader}` writes one")


def parsed(name: str, number: int, line: bytes) -> Any:
    """Return a line's JSON value."""
    try:
        return value_of(line)
    except (ValueError, RecursionError) as error:
        raise WrongError(name, number, f"is not JSON ({cause(error)})") from error


# --- The chain of checkpoints ----------------------------------------------------------------------------


class Checkpoint(NamedTuple):
    """The coverage of one link of the chain."""

    line: int
    day: str
    position_start: int
    position_end: int
    record_count: int
    root: str
    cut_at: datetime


@dataclass
class Chain:
    """The part of the chain that was read so far."""

    previous_hash: str = "0" * 64
    key_in_force: str = ""
    keys: set[str] = field(default_factory=set)
    bodies: dict[int, bytes] = field(default_factory=dict)
    checkpoints: list[Checkpoint] = field(default_factory=list)

    @property
    def position_end(self) -> int:
        """Return the position at which the next checkpoint begins."""
        return self.checkpoints[-1].position_end if self.checkpoints else 1


def check_chain(lines: Iterable[tuple[int, bytes]], public_key: str, kept: dict[int, bytes]) -> list[Checkpoint]:
    """Check every link, its signature, and that the key is one of the chain's; return the links' coverage."""
    chain = Chain()
    for number, line in lines:
        link = parsed(CHECKPOINTS, number, line)
        try:
            if line != canonical(link):
                raise WrongError(CHECKPOINTS, number, "is not in canonical form")
            _follow_link(chain, number, link["body"], bytes.fromhex(link["signature"]))
        except (KeyError, TypeError, ValueError) as error:
            raise WrongError(CHECKPOINTS, number, f"a field is missing or not valid ({cause(error)})") from error
    if not chain.bodies:
        raise WrongError(CHECKPOINTS, 0, "holds no checkpoint: these books were never signed")
    if public_key not in chain.keys:
        raise WrongError(CHECKPOINTS, 1, f"no link is signed by the given key {public_key[:16]}…")
    for sequence, signed in sorted(kept.items()):
        if sequence not in chain.bodies:
            raise WrongError(CHECKPOINTS, 0, f"link {sequence}, which was kept elsewhere, is missing")
        if chain.bodies[sequence] != signed:
            raise WrongError(CHECKPOINTS, sequence, "is not the link that was kept elsewhere")
    return chain.checkpoints


def _follow_link(chain: Chain, number: int, body: dict[str, Any], signature: bytes) -> None:
    signed, key = canonical(body), body["public_key"]
    if body["format"] != CHECKPOINT_FORMAT or body["sequence"] != number:
        raise WrongError(CHECKPOINTS, number, f"is not link {number} of a chain {CHECKPOINT_FORMAT}")
    if body["previous_hash"] != chain.previous_hash:
        raise WrongError(CHECKPOINTS, number, "does not name the hash of the link before it")
    if chain.key_in_force not in ("", key):
        raise WrongError(CHECKPOINTS, number, f"is signed by {key[:16]}…, and {chain.key_in_force[:16]}… is in force")
    if not is_signed(bytes.fromhex(key), signed, signature):
        raise WrongError(CHECKPOINTS, number, "its signature is not its key's: the link was changed")
    chain.keys.add(key)
    chain.key_in_force = body["next_public_key"] if body["kind"] == "key_change" else key
    chain.previous_hash = hashlib.sha256(signed).hexdigest()
    chain.bodies[number] = signed
    if body["kind"] == "checkpoint":
        start, end = body["position_start"], body["position_end"]
        if start != chain.position_end or end < start:
            raise WrongError(CHECKPOINTS, number, f"covers from position {start}, and {chain.position_end} is next")
        cut_at = datetime.fromisoformat(body["cut_at"])
        chain.checkpoints.append(
            Checkpoint(number, body["day"], start, end, body["record_count"], body["root"], cut_at)
        )


def read_kept(places: Sequence[Path]) -> tuple[dict[int, bytes], dict[int, Path]]:
    """Return the links that were kept elsewhere, and the files of their leaves, by sequence."""
    links, leaves = dict[int, bytes](), dict[int, Path]()
    for place in places:
        files = sorted(place.glob("checkpoint-*.json")) if place.is_dir() else [place]
        if not files:
            raise UnusableError(f"{place} holds no checkpoint-*.json")
        for file in files:
            try:
                body = value_of(short_content(file))["body"]
                links[int(body["sequence"])] = canonical(body)
            except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
                raise UnusableError(f"{file} is not a checkpoint ({cause(error)})") from error
            beside = file.with_name(file.name.removesuffix(".json") + ".leaves.csv")
            if beside.exists():
                leaves[int(body["sequence"])] = beside
    return links, leaves


# --- Records ---------------------------------------------------------------------------------------------

SCHEMA = """
CREATE TABLE statements (statement_id TEXT PRIMARY KEY, payee_id TEXT, number INTEGER, line INTEGER, record TEXT,
                         is_current INTEGER);
CREATE TABLE lines (video_id TEXT, payee_id TEXT, owned_from_on TEXT, effective_from_on TEXT, country TEXT,
                    policy_version INTEGER, statement_line INTEGER, line_index INTEGER, record TEXT);
CREATE TABLE states (statement_id TEXT PRIMARY KEY, state TEXT, line INTEGER, transition_index INTEGER,
                     was_posted INTEGER);
CREATE TABLE transactions (transaction_id TEXT PRIMARY KEY, kind TEXT, subject_id TEXT, line INTEGER, record TEXT);
CREATE TABLE steps (kind TEXT, subject_id TEXT, to_state TEXT, step INTEGER, moved_at TEXT, actor TEXT, line INTEGER,
                    PRIMARY KEY (kind, subject_id, to_state));
CREATE TABLE holds (hold_id TEXT PRIMARY KEY, record TEXT);
CREATE TABLE batches (batch_id TEXT PRIMARY KEY, record TEXT);
CREATE TABLE payments (payment_id TEXT PRIMARY KEY, batch_id TEXT, record TEXT, line INTEGER);
CREATE TABLE bank_entries (entry_id TEXT PRIMARY KEY, record TEXT, line INTEGER);
CREATE TABLE balances (payee_id TEXT, currency TEXT, owed_micros INTEGER, PRIMARY KEY (payee_id, currency));
CREATE TABLE others (statement_id TEXT PRIMARY KEY);
CREATE TABLE left_out (statement_id TEXT, key TEXT, line INTEGER);
CREATE TABLE postings (statement_id TEXT, kind TEXT, line INTEGER, record TEXT, PRIMARY KEY (statement_id, kind));
CREATE TABLE notices (statement_id TEXT PRIMARY KEY, delta_micros INTEGER, line INTEGER);
CREATE TABLE carries (payee_id TEXT, currency TEXT, sequence INTEGER, before INTEGER, after INTEGER, line INTEGER,
                      PRIMARY KEY (payee_id, currency, sequence));
CREATE TABLE payees (payee_id TEXT PRIMARY KEY, country TEXT);
CREATE TABLE videos (video_id TEXT PRIMARY KEY, length_seconds INTEGER);
CREATE TABLE owners (video_id TEXT, from_on TEXT, to_on TEXT, payee_id TEXT, share_ppm INTEGER);
CREATE TABLE receipted (event_id TEXT, video_id TEXT, day TEXT, sha256 TEXT, at TEXT, file TEXT, line INTEGER,
                        found INTEGER DEFAULT 0);
CREATE INDEX receipted_ids ON receipted (event_id);
CREATE TABLE receipted_places (partition INTEGER, offset INTEGER, PRIMARY KEY (partition, offset)) WITHOUT ROWID;
CREATE TABLE outcomes (payee_id TEXT, outcome TEXT, events INTEGER, PRIMARY KEY (payee_id, outcome)) WITHOUT ROWID;
CREATE TABLE events (partition INTEGER, offset INTEGER, event_id TEXT, video_id TEXT, day TEXT, country TEXT,
                     seconds INTEGER, outcome TEXT, line INTEGER, PRIMARY KEY (partition, offset)) WITHOUT ROWID;
CREATE INDEX events_of_day ON events (day);
"""


@dataclass
class Found:
    """The content of the records that is needed later."""

    database: sqlite3.Connection
    contents: dict[tuple[str, str], Any] = field(default_factory=dict)
    """(kind, key) → row of the few records that everything rests on: versions, catalogues, contracts, runs."""
    policies: dict[str, "Policy"] = field(default_factory=dict)
    """`kind:version` → every policy that was proposed."""
    in_force: set[str] = field(default_factory=set)
    """The policies that a second person put in force."""
    proposed: set[str] = field(default_factory=set)
    """The policies that somebody proposed: all but those that a migration put in force."""
    counting: list[tuple[str, int]] = field(default_factory=list)
    """(first day, version) of every counting policy in force, ascending; none of them before policies were recorded."""
    positions: dict[str, int] = field(default_factory=dict)
    """`kind:version` → the place in the journal of every policy, with or without its record."""
    thresholds: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Version → the values of every policy of traffic."""
    decisions: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """(day, reason, payee, outcome) → the events on which decisions were taken."""
    decided: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """And the events that have this outcome."""
    reader: str = ""
    first_day: str = ""
    """Of the period."""
    has_whole_ledger: bool = True
    receipted_count: int = 0
    """Events with a receipt of a day of the period."""
    record_count: int = 0
    uncovered_count: int = 0


def check_records(bundle: Bundle, checkpoints: Sequence[Checkpoint], database: sqlite3.Connection) -> Found:
    """Compare every record with its leaf, and the leaves with the signed roots; keep what is needed later."""
    first_day = bundle.start_on.isoformat()
    found = Found(database, reader=bundle.reader, first_day=first_day, has_whole_ledger=bundle.has_whole_ledger)
    leaves = _checked_leaves(bundle, checkpoints)
    last = 0
    for number, line in bundle.lines(RECORDS):
        record = parsed(RECORDS, number, line)
        try:
            name, position, row = f"{record['kind']} {record['key']}", record["position"], record["row"]
            if row is not None and not isinstance(row, dict):
                raise WrongError(RECORDS, number, f"{name} is not a row of a table")
            if position is None:
                raise WrongError(RECORDS, number, f"{name} is not in the journal: it was not written by the rules")
            if not isinstance(position, int) or position <= last:
                raise WrongError(RECORDS, number, f"{name} is out of order")
            last = position
            _check_leaf(number, line, record, _leaf_at(position, leaves, found))
            _check_time(number, record, checkpoints)
            found.record_count += 1
            found.uncovered_count += not checkpoints or position >= checkpoints[-1].position_end
            _remember(found, bundle, number, record)
        except NO_VALUE as error:
            raise WrongError(RECORDS, number, f"a field is missing or not valid ({cause(error)})") from error
        except sqlite3.IntegrityError as error:
            raise WrongError(RECORDS, number, f"{name} appears twice") from error
    _leaf_at(None, leaves, found)  # the roots after the last record
    _check_steps(database)
    _check_policies(found, checkpoints)
    if bundle.reader:
        _check_judging_policies(bundle, found, checkpoints)
    return found


def _leaf_at(position: int | None, leaves: "Iterator[Leaf]", found: Found) -> "Leaf | None":
    """Return the first leaf from a position on (None: the end); keep the steps of statements that are skipped.

    A bundle with the whole ledger skips no transaction and no cause of one, except statements, and no policy, except
    those of traffic in a bundle for a payee.
    """
    for leaf in leaves:
        if position is not None and leaf.position >= position:
            return leaf
        kind, _, rest = leaf.key.partition(" ")
        if (leaf.kind, kind) == ("transition", "statement"):
            values = (rest.partition(" ")[0], leaf.key, leaf.line)
            found.database.execute("INSERT INTO left_out VALUES (?, ?, ?)", values)
        if leaf.kind == "statement":
            found.database.execute("INSERT OR IGNORE INTO others VALUES (?)", (leaf.key,))
        if leaf.kind == "policy":
            found.positions[leaf.key.replace(" ", ":")] = leaf.position
            if found.reader == PAYEE and leaf.key.startswith("traffic "):
                continue
        is_ledger = leaf.kind in ("transaction", "hold", "payout_batch", "bank_entry", "policy") or (
            leaf.kind == "transition" and (kind in STEPS or kind == "policy")
        )
        if is_ledger and found.has_whole_ledger:
            raise WrongError(LEAVES, leaf.line, f"{leaf.kind} {leaf.key} is not among the records of the bundle")
    return None


def _check_steps(database: sqlite3.Connection) -> None:
    """Check that every step of a bundled statement is in the bundle: the newest one decides the statement's state."""
    query = "SELECT l.line, l.key FROM left_out l JOIN statements USING (statement_id) ORDER BY l.line LIMIT 1"
    for line, key in database.execute(query):
        raise WrongError(LEAVES, line, f"the step `{key}` of a statement of the bundle is not among its records")


def _check_leaf(number: int, line: bytes, record: dict[str, Any], leaf: "Leaf | None") -> None:
    name = f"{record['kind']} {record['key']}"
    if record["row"] is None:
        raise WrongError(RECORDS, number, f"{name} is in the journal and gone from its table")
    if leaf is None or leaf.position != record["position"]:
        raise WrongError(RECORDS, number, f"{name} at position {record['position']} has no leaf")
    if (leaf.kind, leaf.key, leaf.digest) != (record["kind"], record["key"], leaf_hash(line).hex()):
        raise WrongError(RECORDS, number, f"{name} is not what its leaf ({LEAVES}, line {leaf.line}) says")


def _check_time(number: int, record: dict[str, Any], checkpoints: Sequence[Checkpoint]) -> None:
    """Check that a record that a checkpoint does not cover was recorded after it."""
    before = bisect_right(checkpoints, record["position"], key=lambda each: each.position_end)
    if before and datetime.fromisoformat(record["recorded_at"]) < checkpoints[before - 1].cut_at:
        text = f"is back-dated: the checkpoint of {checkpoints[before - 1].day} does not cover it"
        raise WrongError(RECORDS, number, f"{record['kind']} {record['key']} {text}")


class Policy(NamedTuple):
    """A version of a policy, by its record."""

    line: int
    position: int
    kind: str
    version: int
    first_on: date


def _remember_policy(found: Found, number: int, record: dict[str, Any]) -> None:
    row = record["row"]
    if row["kind"] == "traffic":
        if found.reader == PAYEE:
            raise WrongError(RECORDS, number, f"policy {record['key']} has thresholds, and the bundle is for a payee")
        found.thresholds[int(row["policy_version"])] = row["document"]
    if hashlib.sha256(json.dumps(row["document"], sort_keys=True).encode()).hexdigest() != row["content_hash"]:
        raise WrongError(RECORDS, number, f"policy {record['key']} is not what its content_hash says")
    first_on = date.fromisoformat(row["first_on"])
    policy = Policy(number, record["position"], row["kind"], int(row["policy_version"]), first_on)
    found.policies[f"{policy.kind}:{policy.version}"] = policy
    found.positions[f"{policy.kind}:{policy.version}"] = policy.position


def ruled_days(bundle: Bundle, found: Found) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the days of the period that a policy of traffic rules, with what the version names for their rules."""
    version = found.contents.get(("version", str(bundle.versions["batch"])), {})
    for day, rules in sorted((version.get("day_rules") or {}).items()):
        if bundle.start_on.isoformat() <= day < bundle.end_on.isoformat() and rules.get("traffic"):
            yield day, rules["traffic"]


def _check_judging_policies(bundle: Bundle, found: Found, checkpoints: Sequence[Checkpoint]) -> None:
    """Check that each policy of traffic was signed before the days that it rules, if only by its leaf."""
    try:
        for day, traffic in ruled_days(bundle, found):
            name = f"traffic:{traffic['policy_version']}"
            if name not in found.positions:
                raise WrongError(RECORDS, 0, f"{day} is ruled by policy {name}, of which there is no leaf")
            begins, position = datetime.combine(date.fromisoformat(day), time(), UTC), found.positions[name]
            is_covered = any(each.position_end > position and each.cut_at < begins for each in checkpoints)
            if (name in found.proposed or name != "traffic:1") and checkpoints and not is_covered:
                raise WrongError(RECORDS, 0, f"policy {name} rules {day}, and no checkpoint before that day covers it")
    except NO_VALUE as error:
        raise WrongError(RECORDS, 0, f"the rules of a version's days cannot be read ({cause(error)})") from error


def _check_policies(found: Found, checkpoints: Sequence[Checkpoint]) -> None:
    """Check that each policy in force was signed before the first day that it rules; not those of a migration."""
    for name in sorted(found.in_force & found.policies.keys()):
        policy = found.policies[name]
        begins = datetime.combine(policy.first_on, time(), UTC)
        is_covered = any(each.position_end > policy.position and each.cut_at < begins for each in checkpoints)
        if (policy.version > 1 or name in found.proposed) and checkpoints and not is_covered:
            text = f"rules from {policy.first_on} on, and no checkpoint before that day covers it"
            raise WrongError(RECORDS, policy.line, f"{policy.kind} policy {policy.version} {text}")
        if policy.kind == "counting":
            found.counting.append((policy.first_on.isoformat(), policy.version))
    found.counting.sort()
    if found.policies and not found.counting:
        raise WrongError(RECORDS, 0, "no counting policy is in force by the records of the bundle")


def _check_policy(found: Found, event: "Event") -> None:
    """Check that a counted event was judged by the policy of its day."""
    if not found.counting:
        return
    before = bisect_right(found.counting, event.day, key=lambda each: each[0])
    ruling = found.counting[before - 1][1] if before else None
    if event.policy_version != ruling:
        text = f"of {event.day} was judged by counting policy {event.policy_version}"
        rules = f"policy {ruling} rules that day" if ruling else "none rules that day"
        raise WrongError(EVENTS, event.line, f"event {event.event_id} {text}; {rules}")


class Leaf(NamedTuple):
    """The facts of a record that need not be in the bundle."""

    line: int
    position: int
    kind: str
    key: str
    digest: str


def _checked_leaves(bundle: Bundle, checkpoints: Sequence[Checkpoint]) -> Iterator[Leaf]:
    """Yield every leaf; check the root of each checkpoint as its end is reached."""
    tree, open_ones, last, number = Tree(), list(checkpoints), 0, 1

    def close(position: float) -> None:
        nonlocal tree
        while open_ones and open_ones[0].position_end <= position:
            checkpoint = open_ones.pop(0)
            if tree.count != checkpoint.record_count:
                raise WrongError(
                    LEAVES,
                    number,
                    f"the checkpoint of {checkpoint.day} covers {checkpoint.record_count} records at positions "
                    f"{checkpoint.position_start} to {checkpoint.position_end - 1}, and {tree.count} are there",
                )
            if tree.root() != checkpoint.root:
                raise WrongError(
                    LEAVES,
                    number,
                    f"a leaf at positions {checkpoint.position_start} to {checkpoint.position_end - 1} is not what the "
                    f"checkpoint of {checkpoint.day} signed: a record was changed",
                )
            tree = Tree()

    for number, row in bundle.rows(LEAVES):
        try:
            position, digest = int(row["position"]), bytes.fromhex(row["sha256"])
        except ValueError as error:
            raise WrongError(LEAVES, number, f"a field is not valid ({cause(error)})") from error
        if position <= last:
            raise WrongError(LEAVES, number, f"position {position} is out of order")
        last = position
        close(position)
        tree.add(digest)
        yield Leaf(number, position, row["kind"], row["key"], row["sha256"])
    close(float("inf"))


def check_kept_leaves(bundle: Bundle, checkpoints: Sequence[Checkpoint], kept: dict[int, Path]) -> None:
    """Compare the leaves with those that were kept elsewhere; name the first record that was changed since."""
    for checkpoint in checkpoints:
        if checkpoint.line not in kept:
            continue
        with io.TextIOWrapper(opened(kept[checkpoint.line]), encoding="utf-8", newline="") as readable:
            expected = csv.reader(readable)
            next(expected, None)
            here = (
                (number, list(row.values()))
                for number, row in bundle.rows(LEAVES)
                if checkpoint.position_start <= int(row["position"] or 0) < checkpoint.position_end
            )
            for there, was in itertools.zip_longest(here, expected):
                if there is None or was is None or there[1] != was:
                    name = " ".join((was or there[1])[1:3])
                    text = "was removed" if there is None else "was added" if was is None else "is not the one"
                    number = there[0] if there else 0
                    raise WrongError(
                        LEAVES, number, f"{name} {text} of the checkpoint of {checkpoint.day} kept elsewhere"
                    )


def _remember(found: Found, bundle: "Bundle | Days", number: int, record: dict[str, Any]) -> None:
    kind, row, database = record["kind"], record["row"], found.database
    if kind in ("version", "catalogue", "contract", "run"):
        found.contents[kind, record["key"]] = row
    elif kind == "statement":
        if (row["period_start_on"], row["period_end_on"]) != (bundle.start_on.isoformat(), bundle.end_on.isoformat()):
            raise WrongError(RECORDS, number, f"statement {record['key']} is of another period")
        database.execute(
            "INSERT INTO statements VALUES (?, ?, ?, ?, ?, 0)",
            (row["statement_id"], row["payee_id"], row["restatement_number"], number, json.dumps(record)),
        )
    elif kind == "transition" and row["subject_kind"] == "statement":
        _follow(found, number, row)
    elif kind == "transaction":
        _remember_transaction(found, number, record)
        if sum(entry["amount_micros"] for entry in record["entries"]) != 0 or len(record["entries"]) < 2:
            raise WrongError(RECORDS, number, f"the entries of transaction {record['key']} do not sum to zero")
        if "payee_sequence" in row:
            _follow_carry(found, number, row)
        if row.get("statement_id"):
            values = (row["statement_id"], row["kind"], number, json.dumps(record))
            database.execute("INSERT INTO postings VALUES (?, ?, ?, ?)", values)
    elif kind == "notice":
        database.execute("INSERT INTO notices VALUES (?, ?, ?)", (row["statement_id"], row["delta_micros"], number))
    else:
        _remember_cause(found, number, record)


def _remember_cause(found: Found, number: int, record: dict[str, Any]) -> None:
    """Keep the facts from which transactions, besides those of statements, follow; and the policies."""
    kind, row, database = record["kind"], record["row"], found.database
    if kind == "transition" and row["subject_kind"] in STEPS:
        _follow_step(found, number, row)
    elif kind == "transition" and row["subject_kind"] == "policy":
        found.in_force |= {row["subject_id"]} if row["to_state"] == "in_force" else set()
        found.proposed |= {row["subject_id"]} if row["to_state"] == "proposed" else set()
    elif kind == "policy":
        _remember_policy(found, number, record)
    elif kind == "traffic_decision":
        found.decisions[row["event_day"], row["rule"], row["payee_id"], row["outcome"]] += row["event_count"]
    elif kind == "hold":
        database.execute("INSERT INTO holds VALUES (?, ?)", (row["hold_id"], json.dumps(row)))
    elif kind == "bank_entry":
        database.execute("INSERT INTO bank_entries VALUES (?, ?, ?)", (row["entry_id"], json.dumps(row), number))
    elif kind == "payout_batch":
        database.execute("INSERT INTO batches VALUES (?, ?)", (row["batch_id"], json.dumps(row)))
        values = ((each["item_id"], row["batch_id"], json.dumps(each), number) for each in record.get("items", []))
        database.executemany("INSERT INTO payments VALUES (?, ?, ?, ?)", values)


def _follow(found: Found, number: int, row: dict[str, Any]) -> None:
    before = found.database.execute(
        "SELECT state, transition_index, was_posted FROM states WHERE statement_id = ?", (row["subject_id"],)
    ).fetchone() or ("open", -1, False)
    if (row["from_state"], row["transition_index"]) != (before[0], before[1] + 1):
        raise WrongError(RECORDS, number, f"statement {row['subject_id']} was {before[0]} and not {row['from_state']}")
    was_posted = before[2] or row["to_state"] == "finalised"
    values = (row["subject_id"], row["to_state"], number, row["transition_index"], was_posted)
    found.database.execute("INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?, ?)", values)


def _follow_carry(found: Found, number: int, row: dict[str, Any]) -> None:
    """Check that a payee's remainder continues from the transaction before, if that one is in the bundle."""
    place = (row["payee_id"], row["currency"])
    before = found.database.execute(
        "SELECT after FROM carries WHERE payee_id = ? AND currency = ? AND sequence = ?",
        (*place, row["payee_sequence"] - 1),
    ).fetchone()
    expected = 0 if row["payee_sequence"] == 1 else before[0] if before else row["carried_nanomicros_before"]
    if row["carried_nanomicros_before"] != expected:
        raise WrongError(RECORDS, number, f"payee {row['payee_id']} carried {expected} nano-micros out before this")
    values = (*place, row["payee_sequence"], row["carried_nanomicros_before"], row["carried_nanomicros_after"], number)
    found.database.execute("INSERT INTO carries VALUES (?, ?, ?, ?, ?, ?)", values)


# --- The ledger ------------------------------------------------------------------------------------------

EXPENSE, CLEARING, BANK = "expense:creator-revenue", "clearing:payouts", "bank"
BANK_FEES, SUSPENSE_OF_BANK = "expense:bank-fees", "suspense:bank"
CLOCK_TOLERANCE = timedelta(hours=1)
STEPS = {
    "hold": {"open pending", "pending released", "pending voided", "pending expired"},
    "payout_batch": {"open made", "made approved", "made voided", "approved written", "approved voided"},
    "payout": {
        "open instructed", "instructed settled", "instructed rejected", "instructed voided", "settled returned",
    },
}  # fmt: skip
"""Kind of subject, besides statements, whose steps a transaction can post → its steps."""
PAYMENTS = {
    "payout": ("instructed", "", CLEARING, 1, None),
    "payout_settled": ("settled", CLEARING, BANK, 1, None),
    "payout_rejected": ("rejected", "", CLEARING, -1, "payout"),
    "payout_voided": ("voided", "", CLEARING, -1, "payout"),
    "payout_returned": ("returned", "", BANK, -1, "payout_settled"),
}
"""Kind → step, the two accounts ('' is the payee's), sign of the first, and the kind that it undoes."""


class Due(NamedTuple):
    """The required content of a transaction: it follows from its cause alone."""

    payee_id: str
    currency: str
    entries: list[tuple[str, int]]
    effective_from: datetime
    effective_until: datetime
    undoes: str | None = None
    """The kind of the transaction of the same subject that it undoes."""


def posting_id(key: str) -> str:
    """Return the id of the transaction with that key."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def owed_on(payee_id: str) -> str:
    """Return the account that holds a payee's claim."""
    return SUSPENSE if payee_id == SUSPENSE else f"payable:{payee_id}"


def _remember_transaction(found: Found, number: int, record: dict[str, Any]) -> None:
    """Keep a transaction under its subject; check that no payment exceeds what its payee was owed at its position."""
    row, database = record["row"], found.database
    kind, _, subject_id = row["idempotency_key"].partition(":")
    if kind != row["kind"] or posting_id(row["idempotency_key"]) != row["transaction_id"]:
        raise WrongError(RECORDS, number, f"transaction {record['key']} is not what its key {kind}:{subject_id} names")
    values = (row["transaction_id"], kind, subject_id, number, json.dumps(record))
    database.execute("INSERT INTO transactions VALUES (?, ?, ?, ?, ?)", values)
    change = -sum(entry["amount_micros"] for entry in record["entries"] if entry["account"] == owed_on(row["payee_id"]))
    database.execute(
        "INSERT INTO balances VALUES (?, ?, ?) "
        "ON CONFLICT DO UPDATE SET owed_micros = owed_micros + excluded.owed_micros",
        (row["payee_id"], row["currency"], change),
    )
    query = "SELECT owed_micros FROM balances WHERE payee_id = ? AND currency = ?"
    (owed,) = database.execute(query, (row["payee_id"], row["currency"])).fetchone()
    if found.has_whole_ledger and kind == "payout" and owed < 0:
        text = f"transaction {record['key']} pays {-owed} micros more than payee {row['payee_id']} was owed"
        raise WrongError(RECORDS, number, text)


def _follow_step(found: Found, number: int, row: dict[str, Any]) -> None:
    """Check that a step of a hold, a batch or a payment follows the one before, and that two people paid out."""
    place, database = (row["subject_kind"], row["subject_id"]), found.database
    name = f"{row['subject_kind']} {row['subject_id']}"
    query = "SELECT to_state, step FROM steps WHERE kind = ? AND subject_id = ? ORDER BY step DESC LIMIT 1"
    state, index = database.execute(query, place).fetchone() or ("open", -1)
    if (row["from_state"], row["transition_index"]) != (state, index + 1):
        raise WrongError(RECORDS, number, f"{name} was {state} and not {row['from_state']}")
    if f"{state} {row['to_state']}" not in STEPS[row["subject_kind"]]:
        raise WrongError(RECORDS, number, f"{name} was {state} and cannot become {row['to_state']}")
    if row["to_state"] == "approved":
        maker = database.execute("SELECT actor FROM steps WHERE kind = ? AND subject_id = ? AND step = 0", place)
        if maker.fetchone() == (row["actor"],):
            raise WrongError(RECORDS, number, f"{name} was approved by {row['actor']}, who made it")
    values = (*place, row["to_state"], row["transition_index"], row["moved_at"], row["actor"], number)
    database.execute("INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?)", values)


def check_ledger(bundle: Bundle, found: Found) -> int:
    """Compare every transaction with its cause, and every cause of the bundle with the ledger; return how many."""
    count = 0
    query = "SELECT line, kind, subject_id, record FROM transactions ORDER BY line"
    for line, kind, subject_id, text in found.database.execute(query):
        try:
            _check_transaction(found, line, kind, subject_id, json.loads(text))
        except NO_VALUE as error:
            raise WrongError(RECORDS, line, f"a field is missing or not valid ({cause(error)})") from error
        count += 1
    if bundle.has_whole_ledger:
        _check_chains(found.database)
    _check_everything_is_posted(found.database)
    _check_bank_entries(found)
    return count


def _check_transaction(found: Found, number: int, kind: str, subject_id: str, record: dict[str, Any]) -> None:
    row = record["row"]
    name = f"transaction {record['key']} ({kind}:{subject_id})"
    due = _due(found, kind, subject_id, record)
    if due is None:
        raise WrongError(RECORDS, number, f"{name} has no cause: nothing in the bundle makes it due")
    if (row["payee_id"], row["currency"]) != (due.payee_id, due.currency):
        text = f"{name} is of payee {row['payee_id']} in {row['currency']}"
        raise WrongError(RECORDS, number, f"{text}, and its cause of {due.payee_id} in {due.currency}")
    if kind not in ("statement", "suspense", "reversal") and (row["remainder_micros"] or "statement_id" in row):
        raise WrongError(RECORDS, number, f"{name} pays a remainder, and no statement")
    entries = [(entry["account"], entry["amount_micros"]) for entry in record["entries"]]
    if [entry["entry_index"] for entry in record["entries"]] != list(range(len(entries))) or entries != due.entries:
        raise WrongError(RECORDS, number, f"{name} has the entries {entries}, and its cause demands {due.entries}")
    undone = posting_id(f"{due.undoes}:{subject_id}") if due.undoes else None
    if row.get("reverses") != undone:
        raise WrongError(RECORDS, number, f"{name} undoes {row.get('reverses')}, and should undo {undone}")
    if not due.effective_from <= datetime.fromisoformat(row["effective_at"]) <= due.effective_until:
        text = f"from {due.effective_from.isoformat()} to {due.effective_until.isoformat()}"
        raise WrongError(RECORDS, number, f"{name} is effective at {row['effective_at']}, and should be {text}")


def _due(found: Found, kind: str, subject_id: str, record: dict[str, Any]) -> Due | None:
    if kind in ("statement", "suspense", "reversal"):
        return _due_of_statement(found, kind, subject_id, record)
    if kind == "hold_voided":
        return _due_of_hold(found, subject_id)
    if kind in ("bank_fee", "bank_unknown"):
        return _due_of_bank_entry(found, kind, subject_id)
    return _due_of_payment(found, kind, subject_id) if kind in PAYMENTS else None


def _due_of_statement(found: Found, kind: str, statement_id: str, record: dict[str, Any]) -> Due | None:
    row, remainder = record["row"], record["row"]["remainder_micros"]
    if row["statement_id"] != statement_id:
        return None
    query = "SELECT record FROM statements WHERE statement_id = ?"
    (text,) = found.database.execute(query, (statement_id,)).fetchone() or (None,)
    if text is None:
        return _due_of_other_period(found, kind, statement_id, record)
    statement = json.loads(text)["row"]
    payee_id, sign = statement["payee_id"], -1 if kind == "reversal" else 1
    posted_as = "suspense" if payee_id == SUSPENSE else "statement"
    if kind not in ("reversal", posted_as):
        return None
    payable, tax = sign * statement["payable_micros"] + remainder, sign * statement["tax_micros"]
    entries = [(EXPENSE, payable + tax), (owed_on(payee_id), -payable)]
    entries += [(f"withheld-tax:{statement['tax_country']}", -tax)] if tax else []
    end = datetime.fromisoformat(f"{statement['period_end_on']}T00:00:00+00:00")
    return Due(payee_id, statement["currency"], entries, end, end, posted_as if kind == "reversal" else None)


def _due_of_other_period(found: Found, kind: str, statement_id: str, record: dict[str, Any]) -> Due | None:
    """Return the form of a posting of another period: its amounts are those of its statement, which is not bundled."""
    row, entries = record["row"], [(each["account"], each["amount_micros"]) for each in record["entries"]]
    posted_as = "suspense" if row["payee_id"] == SUSPENSE else "statement"
    if found.database.execute("SELECT 1 FROM others WHERE statement_id = ?", (statement_id,)).fetchone() is None:
        return None
    undone = _row(found, "transactions", "transaction_id", posting_id(f"{posted_as}:{statement_id}"))
    if kind == "reversal" and undone is not None:
        entries = _negated(undone, row["remainder_micros"])
    elif kind == posted_as or not found.has_whole_ledger:
        accounts = [EXPENSE, owed_on(row["payee_id"])]
        accounts += [each for each, _ in entries[2:3] if re.fullmatch(r"withheld-tax:[A-Z]{2}", each)]
        entries = list(zip(accounts, (micros for _, micros in entries), strict=False))
    else:
        return None
    at = datetime.fromisoformat(row["effective_at"])
    day = datetime.fromisoformat(f"{at:%Y-%m-%d}T00:00:00+00:00")
    return Due(row["payee_id"], row["currency"], entries, day, day, posted_as if kind == "reversal" else None)


def _negated(undone: dict[str, Any], remainder: int) -> list[tuple[str, int]]:
    """Return the entries that undo a statement's, with the remainder that is paid in addition."""
    micro = undone["row"]["remainder_micros"] + remainder
    (first, paid), (second, owed), *tax = [(each["account"], -each["amount_micros"]) for each in undone["entries"]]
    return [(first, paid + micro), (second, owed - micro), *tax]


def _due_of_hold(found: Found, hold_id: str) -> Due | None:
    hold, voided = _row(found, "holds", "hold_id", hold_id), _moved_at(found, "hold", hold_id, "voided")
    if hold is None or voided is None:
        return None
    entries = [(owed_on(hold["payee_id"]), hold["amount_micros"]), (EXPENSE, -hold["amount_micros"])]
    placed, expires = (datetime.fromisoformat(hold[name]) for name in ("placed_at", "expires_at"))
    until = min(voided, expires) + CLOCK_TOLERANCE
    return Due(hold["payee_id"], hold["currency"], entries, placed - CLOCK_TOLERANCE, until)


def _due_of_payment(found: Found, kind: str, payment_id: str) -> Due | None:
    state, first, second, sign, undoes = PAYMENTS[kind]
    moved_at = _moved_at(found, "payout", payment_id, state)
    payment = _row(found, "payments", "payment_id", payment_id)
    batch = _row(found, "batches", "batch_id", payment["batch_id"]) if payment else None
    if payment is None or batch is None or moved_at is None:
        return None
    of_batch = {"instructed": "made", "voided": "voided"}.get(state, "written")
    if _moved_at(found, "payout_batch", batch["batch_id"], of_batch) is None:
        return None
    begins = datetime.fromisoformat(f"{batch['execution_on']}T00:00:00+00:00")
    earliest = min(begins, datetime.fromisoformat(batch["created_at"])) - CLOCK_TOLERANCE
    bounds = (begins, begins) if kind == "payout" else (earliest, max(begins, moved_at) + CLOCK_TOLERANCE)
    amount = sign * payment["amount_micros"]
    entries = [(first or owed_on(payment["payee_id"]), amount), (second, -amount)]
    return Due(payment["payee_id"], batch["currency"], entries, *bounds, undoes)


def _due_of_bank_entry(found: Found, kind: str, entry_id: str) -> Due | None:
    entry = _row(found, "bank_entries", "entry_id", entry_id)
    if entry is None or bank_posting(entry)[0] != f"{kind}:{entry_id}":
        return None
    account, amount = SUSPENSE_OF_BANK if kind == "bank_unknown" else BANK_FEES, bank_posting(entry)[1]
    begins = datetime.fromisoformat(f"{entry['booked_on']}T00:00:00+00:00")
    return Due(SUSPENSE_OF_BANK, entry["currency"], [(account, amount), (BANK, -amount)], begins, begins)


def bank_posting(entry: dict[str, Any]) -> tuple[str, int]:
    """Return the key of the transaction that a movement of the bank makes due, and its amount: 0 if none is."""
    kind = "bank_unknown" if entry["purpose"] in ("unknown", "named") else "bank_fee"
    is_payment = entry["purpose"] in ("settles", "returns")
    return f"{kind}:{entry['entry_id']}", entry["charges_micros"] if is_payment else -entry["amount_micros"]


def _check_bank_entries(found: Found) -> None:
    """Check that what the bank booked is posted, and that what settles or returns a payment is of its amount."""
    query = "SELECT record, line FROM bank_entries ORDER BY line"
    for text, line in found.database.execute(query).fetchall():
        entry = json.loads(text)
        key, amount = bank_posting(entry)
        posted = _row(found, "transactions", "transaction_id", posting_id(key))
        if amount and posted is None:
            raise WrongError(RECORDS, line, f"{key} is due and was never posted")
        if entry["purpose"] not in ("settles", "returns"):
            continue
        state, sign = ("settled", -1) if entry["purpose"] == "settles" else ("returned", 1)
        payment = _row(found, "payments", "payment_id", entry["item_id"])
        batch = _row(found, "batches", "batch_id", payment["batch_id"]) if payment else None
        wanted = (sign * payment["amount_micros"], batch["currency"]) if payment and batch else None
        if (entry["amount_micros"] + entry["charges_micros"], entry["currency"]) != wanted:
            raise WrongError(RECORDS, line, f"bank entry {entry['entry_id']} is not of the amount of its payment")
        if _moved_at(found, "payout", entry["item_id"], state) is None:
            raise WrongError(RECORDS, line, f"bank entry {entry['entry_id']} {entry['purpose']} a payment not {state}")


def _row(found: Found, table: str, column: str, key: str) -> Any:
    query = f"SELECT record FROM {table} WHERE {column} = ?"  # noqa: S608  names of this file
    (text,) = found.database.execute(query, (key,)).fetchone() or ("null",)
    return json.loads(text)


def _moved_at(found: Found, kind: str, subject_id: str, to_state: str) -> datetime | None:
    query = "SELECT moved_at FROM steps WHERE kind = ? AND subject_id = ? AND to_state = ?"
    (text,) = found.database.execute(query, (kind, subject_id, to_state)).fetchone() or (None,)
    return datetime.fromisoformat(text) if text else None


def _check_chains(database: sqlite3.Connection) -> None:
    """Check that a payee's postings in a currency are numbered from 1, each beginning with the former's remainder."""
    query = """
        SELECT payee_id, line FROM (
            SELECT *, row_number() OVER payee AS place, lag(after, 1, 0) OVER payee AS carried
            FROM carries WINDOW payee AS (PARTITION BY payee_id, currency ORDER BY sequence))
        WHERE sequence <> place OR before <> carried ORDER BY line LIMIT 1"""
    for payee_id, line in database.execute(query):
        raise WrongError(RECORDS, line, f"does not go on from the posting of payee {payee_id} before it")


def _check_everything_is_posted(database: sqlite3.Connection) -> None:
    """Check that every step that moves money, and every payment, has its transaction."""
    database.create_function("posting_id", 1, posting_id, deterministic=True)
    query = """
        SELECT line, key FROM (
            SELECT line, CASE to_state WHEN 'instructed' THEN 'payout' ELSE 'payout_' || to_state END || ':'
                   || subject_id AS key FROM steps WHERE kind = 'payout'
            UNION ALL SELECT line, 'hold_voided:' || subject_id FROM steps WHERE kind = 'hold' AND to_state = 'voided'
            UNION ALL SELECT line, 'payout:' || payment_id FROM payments)
        WHERE posting_id(key) NOT IN (SELECT transaction_id FROM transactions) ORDER BY line LIMIT 1"""
    for line, key in database.execute(query):
        raise WrongError(RECORDS, line, f"{key} is due and was never posted")


# --- The catalogue and the contracts ---------------------------------------------------------------------


class Tier(NamedTuple):
    """The last view that a rate applies to; None: without an end."""

    up_to: int | None
    rate: int


class Card(NamedTuple):
    """A rate card, from the contract's document."""

    effective_from_on: str
    default: tuple[str, tuple[Tier, ...]]
    """(flat, graduated or volume; the tiers)"""
    by_country: dict[str, tuple[str, tuple[Tier, ...]]]
    minimum_view_seconds: int
    ads: dict[str, int]
    """Ad type → the payees' micros per 1,000."""
    tax: dict[str, int]
    tax_default: int
    cap_micros: int | None

    def heading(self, country: str) -> str:
        """Return the country if it has a rate of its own, else `*`."""
        return country if country in self.by_country else "*"

    def rate(self, heading: str) -> tuple[str, tuple[Tier, ...]]:
        """Return the rate under a heading."""
        return self.default if heading == "*" else self.by_country[heading]


class Contracts:
    """One version of the contracts."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.currency: str = document["currency"]
        self._cards: list[list[Card]] = []
        self._by_payee: dict[str, int] = {}
        self._default: int | None = None
        for index, contract in enumerate(document["contracts"]):
            cards = sorted((_card(each) for each in contract["cards"]), key=lambda card: card.effective_from_on)
            self._cards.append(cards)
            if "payees" in contract:
                self._by_payee.update(dict.fromkeys(contract["payees"], index))
            elif self._default is None:
                self._default = index

    def card_on(self, payee_id: str, day: str) -> Card | None:
        """Return the card in force for a payee on a day."""
        index = self._by_payee.get(payee_id, self._default)
        if index is None:
            return None
        found = bisect_right(self._cards[index], day, key=lambda card: card.effective_from_on)
        return self._cards[index][found - 1] if found else None


def _card(document: dict[str, Any]) -> Card:
    rates = document["rate_per_thousand_micros"]
    tax = document.get("withholding_tax_ppm", {})
    return Card(
        document["effective_from_on"],
        _rate(rates["default"]),
        {country: _rate(rate) for country, rate in rates.get("by_country", {}).items()},
        document.get("minimum_view_seconds") or 0,
        {
            name: each["per_thousand_micros"] * each["share_ppm"] // PPM
            for name, each in document.get("ad_income", {}).items()
        },
        tax.get("by_country", {}),
        tax.get("default", 0),
        document.get("cap_micros_per_period"),
    )


def _rate(document: Any) -> tuple[str, tuple[Tier, ...]]:
    if isinstance(document, int):
        return "flat", (Tier(None, document),)
    ((form, tiers),) = document.items()
    return form, tuple(Tier(tier.get("up_to_views"), tier["per_thousand_micros"]) for tier in tiers)


def tier_of(tiers: Sequence[Tier], number: int) -> int:
    """Return the index of the tier that contains the view with a number (from 1)."""
    return next(index for index, tier in enumerate(tiers) if tier.up_to is None or number <= tier.up_to)


def check_catalogue(bundle: Bundle, found: Found) -> None:
    """Read payees, videos and owners, and check their hash against the catalogue's record."""
    digest, database = hashlib.sha256(), found.database
    version = str(bundle.versions["catalogue"])
    last: tuple[str, ...] = ("",)
    number = 0
    try:
        for number, row in bundle.rows(PAYEES):
            last = _ascending(PAYEES, number, last, (row["payee_id"],))
            user_id, country = _absent(row["user_id"]), _absent(row["country"])
            digest.update(json.dumps(["payee", row["payee_id"], row["name"], user_id, country]).encode() + b"\n")
            database.execute("INSERT INTO payees VALUES (?, ?)", (row["payee_id"], country))
        last = ("",)
        for number, row in bundle.rows(VIDEOS):
            last = _ascending(VIDEOS, number, last, (row["video_id"],))
            length = int(row["length_seconds"]) if row["length_seconds"] else None
            digest.update(json.dumps(["video", row["video_id"], length]).encode() + b"\n")
            database.execute("INSERT INTO videos VALUES (?, ?)", (row["video_id"], length))
        last = ("",)
        for number, row in bundle.rows(OWNERS):
            last = _ascending(OWNERS, number, last, (row["video_id"], row["from_on"], row["to_on"], row["payee_id"]))
            values = (row["video_id"], row["from_on"], row["to_on"], row["payee_id"], int(row["share_ppm"]))
            digest.update(json.dumps(["owner", *row.values()]).encode() + b"\n")
            database.execute("INSERT INTO owners VALUES (?, ?, ?, ?, ?)", values)
    except ValueError as error:
        raise WrongError(
            OWNERS if len(last) > 1 else VIDEOS, number, f"a field is not valid ({cause(error)})"
        ) from error
    database.execute("CREATE INDEX owners_by_video ON owners (video_id)")
    row = _content(found, "catalogue", version)
    if row["content_hash"] != digest.hexdigest():
        raise WrongError(PAYEES, 0, f"{PAYEES}, {VIDEOS} and {OWNERS} are not catalogue {version}: a row was changed")


def contracts_of(bundle: Bundle, found: Found) -> Contracts:
    """Return the contracts of the bundle's runs from their record."""
    version = str(bundle.versions["contract"])
    row = _content(found, "contract", version)
    if hashlib.sha256(json.dumps(row["document"], sort_keys=True).encode()).hexdigest() != row["content_hash"]:
        raise WrongError(RECORDS, 0, f"contract {version} is not what its content_hash says")
    try:
        return Contracts(row["document"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WrongError(RECORDS, 0, f"contract {version} cannot be read ({cause(error)})") from error


def _content(found: Found, kind: str, key: str) -> Any:
    if not isinstance(key, str) or (kind, key) not in found.contents:
        raise WrongError(RECORDS, 0, f"{kind} {key}, which everything rests on, is missing")
    return found.contents[kind, key]


def _absent(text: str) -> str | None:
    return text or None


def _ascending(file: str, number: int, last: tuple[str, ...], place: tuple[str, ...]) -> tuple[str, ...]:
    if place <= last:
        raise WrongError(file, number, f"{' '.join(place)} appears twice or out of order")
    return place


# --- Statements ------------------------------------------------------------------------------------------


def check_statements(bundle: Bundle, found: Found, contracts: Contracts) -> int:
    """Recompute every statement from its lines; the newest of each payee also from the contract. Return how many."""
    database = found.database
    _mark_current(found)
    count = 0
    for line, text, is_current in database.execute("SELECT line, record, is_current FROM statements ORDER BY line"):
        record = json.loads(text)
        try:
            run = _content(found, "run", record["row"]["run_id"])
            _content(found, "version", str(run["batch_version"]))
            _check_sums(line, record)
            if any(each["batch_version"] != run["batch_version"] for each in record.get("lines", [])):
                raise WrongError(RECORDS, line, f"a line of statement {record['key']} rests on another version")
            _check_posting(found, line, record["row"])
            if is_current:
                _check_terms(bundle, found, contracts, line, record)
                _remember_lines(database, line, record)
        except (KeyError, TypeError, ValueError, StopIteration) as error:
            raise WrongError(RECORDS, line, f"a field is missing or not valid ({cause(error)})") from error
        count += 1
    orphan = database.execute(
        "SELECT line, statement_id FROM postings WHERE statement_id NOT IN (SELECT statement_id FROM statements) "
        "AND (SELECT count(*) FROM states WHERE states.statement_id = postings.statement_id) > 0"
    ).fetchone()
    if orphan:
        raise WrongError(RECORDS, orphan[0], f"posts statement {orphan[1]}, which is not there")
    try:
        _check_notices(database)
        _check_shares(database)
    except NO_VALUE as error:
        raise WrongError(RECORDS, 0, f"a field of a statement is missing or not valid ({cause(error)})") from error
    database.execute("CREATE INDEX lines_by_video ON lines (video_id)")
    return count


def _mark_current(found: Found) -> None:
    """Mark the posted statement of each payee, or else the newest waiting one that restates nothing."""
    current: dict[str, tuple[bool, int]] = {}
    query = (
        "SELECT payee_id, number, record, was_posted FROM statements LEFT JOIN states USING (statement_id) "
        "WHERE state IS NULL OR state NOT IN ('voided', 'superseded') ORDER BY payee_id, number"
    )
    for payee_id, number, text, was_posted in found.database.execute(query):
        restates = _content(found, "run", json.loads(text)["row"]["run_id"]).get("kind") == "restatement"
        if was_posted or not (restates or current.get(payee_id, (False, 0))[0]):
            current[payee_id] = (bool(was_posted), number)
    found.database.executemany(
        "UPDATE statements SET is_current = 1 WHERE payee_id = ? AND number = ?",
        ((payee_id, number) for payee_id, (_, number) in current.items()),
    )


def _check_shares(database: sqlite3.Connection) -> None:
    """Check that a view is paid at most once: the shares of a video on a day add up to at most the whole."""
    query = """
        WITH shares AS (
            SELECT DISTINCT statement_line, video_id, owned_from_on AS from_on, record ->> 'owned_to_on' AS to_on,
                   record ->> 'share_ppm' AS share_ppm FROM lines
        )
        SELECT max(b.statement_line), a.video_id, a.from_on, sum(b.share_ppm)
        FROM (SELECT DISTINCT video_id, from_on FROM shares) AS a
        JOIN shares b ON b.video_id = a.video_id AND b.from_on <= a.from_on AND a.from_on < b.to_on
        GROUP BY a.video_id, a.from_on HAVING sum(b.share_ppm) > 1000000 ORDER BY a.video_id, a.from_on LIMIT 1"""
    for line, video_id, day, share_ppm in database.execute(query):
        text = f"with it {share_ppm} parts per million of each view of video {video_id} on {day} are paid"
        raise WrongError(RECORDS, line, f"{text}: more than the whole")


def _check_notices(database: sqlite3.Connection) -> None:
    """Check that each replaced posted statement has a notice to its payee, with the right difference."""
    before: tuple[str, int] | None = None
    query = (
        "SELECT payee_id, statement_id, line, record FROM statements WHERE statement_id IN "
        "(SELECT statement_id FROM postings WHERE kind <> 'reversal') ORDER BY payee_id, number"
    )
    for payee_id, statement_id, line, text in database.execute(query):
        row = json.loads(text)["row"]
        earned = row["payable_micros"] + row["tax_micros"]
        notice = database.execute("SELECT delta_micros, line FROM notices WHERE statement_id = ?", (statement_id,))
        delta, place = notice.fetchone() or (None, line)
        expected = earned - before[1] if before and before[0] == payee_id else None
        causes = row.get("causes")
        if causes is not None and sum(causes.values()) != (earned if expected is None else expected):
            text = f"the causes of statement {statement_id} add up to {sum(causes.values())} micros"
            raise WrongError(RECORDS, line, f"{text}, and it changed what was posted by another sum")
        if delta != expected:
            seen = "there is no notice of it" if delta is None else f"a notice says {delta} micros"
            text = f"{expected} micros" if expected is not None else "nothing"
            raise WrongError(RECORDS, place, f"statement {statement_id} changed what was posted by {text}, and {seen}")
        before = (payee_id, earned)
    query = "SELECT line, statement_id FROM notices WHERE statement_id NOT IN (SELECT statement_id FROM statements)"
    for line, statement_id in database.execute(query):
        raise WrongError(RECORDS, line, f"a notice is of statement {statement_id}, which is not there")


def _check_sums(number: int, record: dict[str, Any]) -> None:
    row, lines = record["row"], record.get("lines", [])
    carried, total, views = row["carried_nanomicros_before"], 0, 0
    for index, line in enumerate(lines):
        name = f"line {index} of statement {row['statement_id']}"
        if line["line_index"] != index:
            raise WrongError(RECORDS, number, f"{name} is missing or out of order")
        owed = line["rate_per_thousand_micros"] * line["quantity"] * line["share_ppm"] + carried
        amount, carried = divmod(owed, NANOMICROS)
        if (line["amount_micros"], line["carried_nanomicros"]) != (amount, carried):
            raise WrongError(
                RECORDS,
                number,
                f"{name} pays {line['amount_micros']} micros and carries {line['carried_nanomicros']} nano-micros on; "
                f"{amount} and {carried} are right",
            )
        if line["currency"] != row["currency"] or line["provisional_views"] != 0:
            raise WrongError(RECORDS, number, f"{name} is in another currency or rests on provisional views")
        is_views = line["kind"] == "views"
        if is_views and line["quantity"] != line["event_end"] - line["event_start"]:
            raise WrongError(RECORDS, number, f"{name} pays {line['quantity']} views for another number of events")
        total += amount
        views += line["quantity"] if is_views else 0
    expected = {
        "line_count": len(lines),
        "billable_views": views,
        "carried_nanomicros_after": carried,
        "over_cap_micros": total - row["tax_micros"] - row["payable_micros"],
    }
    for name, value in expected.items():
        if row[name] != value:
            raise WrongError(RECORDS, number, f"{name} of statement {row['statement_id']} is {row[name]}, not {value}")


def _check_posting(found: Found, number: int, row: dict[str, Any]) -> None:
    """Check that a finalised statement is in the ledger, with its own sums, and undone if it was superseded since."""
    statement_id = row["statement_id"]
    query = "SELECT state, was_posted FROM states WHERE statement_id = ?"
    state, was_posted = found.database.execute(query, (statement_id,)).fetchone() or (None, 0)
    if state is None:
        raise WrongError(RECORDS, number, f"statement {statement_id} has no state: its transitions are missing")
    postings = dict(
        found.database.execute("SELECT kind, record FROM postings WHERE statement_id = ?", (statement_id,)).fetchall()
    )
    name = f"statement {statement_id} is {state}"
    if not was_posted and postings:
        raise WrongError(RECORDS, number, f"{name}, was never finalised, and is in the ledger")
    kind_due = "suspense" if row["payee_id"] == SUSPENSE else "statement"
    if was_posted and kind_due not in postings:
        raise WrongError(RECORDS, number, f"{name}, was finalised, and its transaction is not there")
    if state == "superseded" and was_posted and "reversal" not in postings:
        raise WrongError(RECORDS, number, f"{name} and was never undone in the ledger")
    if state != "superseded" and "reversal" in postings:
        raise WrongError(RECORDS, number, f"{name} and was undone in the ledger")
    for kind, text in postings.items():
        sign = -1 if kind == "reversal" else 1
        record = json.loads(text)
        sums: Counter[str] = Counter()
        for entry in record["entries"]:
            sums[entry["account"].partition(":")[0]] -= entry["amount_micros"]
        payable = sign * row["payable_micros"] + record["row"]["remainder_micros"]
        owed = sums["suspense" if row["payee_id"] == SUSPENSE else "payable"]
        if (owed, sums["withheld-tax"]) != (payable, sign * row["tax_micros"]):
            raise WrongError(RECORDS, number, f"statement {statement_id} and its transaction {kind} do not agree")
        carried = sign * (row["carried_nanomicros_after"] - row["carried_nanomicros_before"])
        before, after = record["row"]["carried_nanomicros_before"], record["row"]["carried_nanomicros_after"]
        if before + carried != record["row"]["remainder_micros"] * NANOMICROS + after:
            raise WrongError(RECORDS, number, f"the remainder of statement {statement_id} was not carried on whole")


def _check_terms(bundle: Bundle, found: Found, contracts: Contracts, number: int, record: dict[str, Any]) -> None:
    """Check that rates, tiers, cap and tax of a statement follow from the contract."""
    row = record["row"]
    country = found.database.execute("SELECT country FROM payees WHERE payee_id = ?", (row["payee_id"],)).fetchone()
    if row["payee_id"] == SUSPENSE:
        country = (None,)
    if country is None and record.get("lines"):
        raise WrongError(RECORDS, number, f"payee {row['payee_id']} is not in the catalogue")
    _check_totals(contracts, bundle.end_on, country[0] or "ZZ" if country else "ZZ", number, record)


def _check_totals(contracts: Contracts, end_on: date, tax_country: str, number: int, record: dict[str, Any]) -> None:
    """Check that rates, tiers, cap and tax of a statement follow from the contract and the country of its tax."""
    row, lines = record["row"], record.get("lines", [])
    if not lines:
        return
    last_card = contracts.card_on(row["payee_id"], (end_on - timedelta(days=1)).isoformat())
    if last_card is None:
        raise WrongError(RECORDS, number, f"payee {row['payee_id']} has no contract")
    total = sum(line["amount_micros"] for line in lines)
    if row["payee_id"] == SUSPENSE:  # tax and cap are those of the later owner
        last_card = last_card._replace(cap_micros=None, tax={}, tax_default=0)
    earned = total if last_card.cap_micros is None else min(total, last_card.cap_micros)
    tax = earned * last_card.tax.get(tax_country, last_card.tax_default) // PPM
    expected = {
        "currency": contracts.currency,
        "tax_country": tax_country,
        "over_cap_micros": total - earned,
        "tax_micros": tax,
        "payable_micros": earned - tax,
    }
    for name, value in expected.items():
        if row[name] != value:
            raise WrongError(RECORDS, number, f"{name} of statement {row['statement_id']} is {row[name]}, not {value}")
    _check_rates(contracts, number, row, lines)


GROUP = ("video_id", "owned_from_on", "effective_from_on", "country", "policy_version")


def _check_rates(contracts: Contracts, number: int, row: dict[str, Any], lines: list[dict[str, Any]]) -> None:
    totals: Counter[tuple[str, str]] = Counter()
    groups = [
        (key, list(group)) for key, group in itertools.groupby(lines, lambda line: [line[name] for name in GROUP])
    ]
    for _, group in groups:
        totals[group[0]["effective_from_on"], group[0]["country"]] += max(line["event_end"] for line in group)
    before: Counter[tuple[str, str]] = Counter()
    last: list[Any] = []
    for key, group in groups:
        first = group[0]
        name = f"line {first['line_index']} of statement {row['statement_id']}"
        if key <= last:
            raise WrongError(RECORDS, number, f"{name} is out of order")
        last = key
        card = contracts.card_on(row["payee_id"], first["effective_from_on"])
        if card is None or card.effective_from_on != first["effective_from_on"]:
            raise WrongError(RECORDS, number, f"{name} is under a card that the payee's contract does not have")
        heading = (first["effective_from_on"], first["country"])
        count = max(line["event_end"] for line in group)
        form, tiers = card.rate(first["country"])
        due = list(_slices(form, tiers, before[heading], count, totals[heading]))
        due_ads = sorted({line["kind"] for line in group if line["kind"] != "views"})
        expected: list[tuple[Any, ...]] = [("views", *each) for each in due]
        expected += [(kind, 0, 0, count, card.ads.get(kind.removeprefix("ads:"))) for kind in due_ads]
        names = ("kind", "tier_index", "event_start", "event_end", "rate_per_thousand_micros")
        actual = [tuple(line[name] for name in names) for line in group]
        for line, is_, must in itertools.zip_longest(group, actual, expected):
            if is_ != must:
                place = line or group[-1]
                text = f"line {place['line_index']} of statement {row['statement_id']}"
                raise WrongError(RECORDS, number, f"{text} has (kind, tier, start, end, rate) {is_}, not {must}")
        before[heading] += count


def _slices(
    form: str, tiers: Sequence[Tier], before: int, count: int, total: int
) -> Iterator[tuple[int, int, int, int]]:
    """Yield (tier index, event start, event end, rate): how a contract splits a group's views."""
    if form != "graduated":
        index = tier_of(tiers, total) if form == "volume" else 0
        yield index, 0, count, tiers[index].rate
        return
    start = 0
    while start < count:
        index = tier_of(tiers, before + start + 1)
        up_to = tiers[index].up_to
        end = count if up_to is None else min(count, up_to - before)
        yield index, start, end, tiers[index].rate
        start = end


def _remember_lines(database: sqlite3.Connection, number: int, record: dict[str, Any]) -> None:
    payee_id = record["row"]["payee_id"]
    for line in record.get("lines", []):
        key = [line["video_id"], payee_id, *(line[name] for name in GROUP[1:])]
        database.execute(
            "INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*key, number, line["line_index"], json.dumps(line))
        )


# --- Events ----------------------------------------------------------------------------------------------


@dataclass
class Group:
    """The events of one payee and video that share ownership interval, card, heading and policy, and their lines."""

    owned_to_on: str
    share_ppm: int
    lines: list[tuple[int, dict[str, Any]]]
    """(line of the statement's record, ledger line)"""
    trees: list[Tree]
    outcomes: Counter[str] = field(default_factory=Counter)
    ads: Counter[str] = field(default_factory=Counter)
    count: int = 0


Key = tuple[str, str, str, str, int]
"""payee, owned from, card's first day, heading, policy version"""


def check_events(bundle: Bundle, found: Found, contracts: Contracts) -> int:
    """Recompute every count and root from the events, and compare them with the lines; return how many there are."""
    counts = bundle.rows(COUNTS)
    event_count, last = 0, ""
    for video_id, rows in itertools.groupby(bundle.rows(EVENTS), key=lambda each: each[1]["video_id"]):
        events = (_event(*each) for each in rows)
        if video_id <= last:
            raise WrongError(EVENTS, next(events).line, f"video {video_id} is out of order")
        last = video_id
        event_count += _check_video(bundle, found, contracts, video_id, events, counts)
    extra = next(counts, None)
    if extra is not None:
        raise WrongError(
            COUNTS, extra[0], f"counts views of video {extra[1]['video_id']} that are not among the events"
        )
    unpaid = found.database.execute(
        "SELECT statement_line, video_id, line_index FROM lines ORDER BY statement_line, line_index LIMIT 1"
    ).fetchone()
    if unpaid:
        raise WrongError(RECORDS, unpaid[0], f"line {unpaid[2]} pays for video {unpaid[1]}, of which there is no event")
    try:
        _check_outcomes(found, bundle.versions["batch"])
    except NO_VALUE as error:
        raise WrongError(RECORDS, 0, f"the outcomes of a statement are not counts ({cause(error)})") from error
    return event_count


class Event(NamedTuple):
    """One event of the bundle."""

    line: int
    event_id: str
    place: tuple[str, int, int]
    day: str
    country: str
    outcome: str
    seconds: int
    ad_types: list[str]
    policy_version: int
    sha256: str
    """Of its message; empty if it is not known."""


def _event(number: int, row: dict[str, str]) -> Event:
    try:
        return Event(
            number,
            row["event_id"],
            (row["event_id"], int(row["partition"]), int(row["offset"])),
            row["event_day"],
            row["country"],
            row["outcome"],
            int(row["view_duration"] or 0),
            json.loads(row["ad_types"]) if row["ad_types"] else [],
            int(row["policy_version"] or 0),
            row.get(DIGEST, ""),
        )
    except ValueError as error:
        raise WrongError(EVENTS, number, f"a field is not valid ({cause(error)})") from error


def _event_contracts(version: dict[str, Any]) -> list[tuple[int, list[int]]]:
    """Return the versions of the event contract with the ends of the log from which each is in force."""
    try:
        return [
            (int(each["version"]), [int(end) for end in each["offsets"]["ends"]])
            for each in version.get("event_contracts") or ()
        ]
    except NO_VALUE as error:
        raise WrongError(RECORDS, 0, f"the event contracts of a version cannot be read ({cause(error)})") from error


def _check_advertisements(in_force: list[tuple[int, list[int]]], event: Event) -> None:
    """Check the advertisements of an event against the event contract in force at its place."""
    _, partition, offset = event.place
    for contract, ends in in_force:
        if contract >= 2 and (partition >= len(ends) or offset >= ends[partition]):
            allowed = min(ADVERTISEMENTS_MAX, max(1, event.seconds // ADVERTISEMENT_SECONDS_MIN))
            if len(event.ad_types) > allowed:
                text = f"counts {len(event.ad_types)} advertisements; {event.seconds} seconds have room for {allowed}"
                raise WrongError(EVENTS, event.line, f"event {event.event_id} {text}")


def _check_video(
    bundle: Bundle, found: Found, contracts: Contracts, video_id: str, events: Iterator[Event], counts: Rows
) -> int:
    """Check all events of a video; return how many there are."""
    database = found.database
    owners = database.execute(
        "SELECT from_on, to_on, payee_id, share_ppm FROM owners WHERE video_id = ?", (video_id,)
    ).fetchall()
    length = database.execute("SELECT length_seconds FROM videos WHERE video_id = ?", (video_id,)).fetchone()
    if length is not None:  # a video of the catalogue; other ids have no owner and are not paid
        owners += _in_suspense(bundle, owners)
    groups = _groups_of(database, video_id)
    in_force = _event_contracts(found.contents.get(("version", str(bundle.versions["batch"])), {}))
    views: dict[tuple[str, str, int], list[int]] = {}
    last, number, event_count = ("", -1, -1), 0, 0
    for event in events:
        event_count, number = event_count + 1, event.line
        if event.place <= last:
            raise WrongError(EVENTS, number, f"event {event.event_id} appears twice or out of order")
        last = event.place
        if not bundle.start_on.isoformat() <= event.day < bundle.end_on.isoformat():
            raise WrongError(EVENTS, number, f"event {event.event_id} lies on {event.day}, outside of the period")
        _check_advertisements(in_force, event)
        _compare(found, video_id, event)
        if event.outcome == "billable" or event.outcome in NOT_BILLABLE:
            _check_policy(found, event)
            counted = views.setdefault((event.day, event.country, event.policy_version), [0, 0])
            counted[0] += 1
            counted[1] += event.outcome == "billable"
        for owner in owners:
            if owner[0] <= event.day < owner[1]:
                _add_event(bundle, contracts, groups, owner, event, length[0] if length else None)
    _check_counts(video_id, views, counts)
    for key, group in sorted(groups.items()):
        _check_group(bundle, database, (video_id, key), group, number)
    database.execute("DELETE FROM lines WHERE video_id = ?", (video_id,))
    return event_count


def _compare(found: Found, video_id: str, event: Event) -> None:
    """Compare an event with its receipts, and keep what the rules of traffic are compared with."""
    if found.receipted_count:
        _compare_with_receipts(found.database, video_id, event)
    if found.reader == AUDITOR:
        _remember_event(found.database, video_id, event)


def _remember_event(database: sqlite3.Connection, video_id: str, event: Event) -> None:
    """Keep what the rules of traffic are compared with."""
    values = (*event.place[1:], event.event_id, video_id, event.day, event.country, event.seconds, event.outcome)
    try:
        database.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*values, event.line))
    except sqlite3.IntegrityError as error:
        raise WrongError(EVENTS, event.line, f"event {event.event_id} has the place of another one") from error


def _in_suspense(bundle: Bundle, owners: Sequence[tuple[str, str, str, int]]) -> list[tuple[str, str, str, int]]:
    """Return the days of the period on which a video has no owner, as shares of the whole in suspense."""
    found, at, end = [], bundle.start_on.isoformat(), bundle.end_on.isoformat()
    for from_on, to_on, *_ in sorted(owners):
        if at < min(from_on, end):
            found.append((at, min(from_on, end), SUSPENSE, PPM))
        at = max(at, to_on)
    return [*found, (at, end, SUSPENSE, PPM)] if at < end else found


def _check_counts(video_id: str, views: dict[tuple[str, str, int], list[int]], counts: Rows) -> None:
    for (day, country, policy), (all_views, billable) in sorted(views.items()):
        values = (video_id, day, country, all_views, billable, policy)
        line, row = next(counts, (0, {}))
        if row != dict(zip(COLUMNS[COUNTS].split(","), map(str, values), strict=True)):
            text = f"add up to {all_views} views, {billable} of them billable, by policy {policy}"
            raise WrongError(COUNTS, line, f"the events of {video_id} on {day} from {country} {text}")


def _groups_of(database: sqlite3.Connection, video_id: str) -> dict[Key, Group]:
    """Return the groups that the ledger's lines of a video name."""
    groups: dict[Key, Group] = {}
    for row in database.execute(
        "SELECT payee_id, owned_from_on, effective_from_on, country, policy_version, statement_line, record FROM lines "
        "WHERE video_id = ? ORDER BY payee_id, line_index",
        (video_id,),
    ):
        line = json.loads(row[6])
        group = groups.setdefault(row[:5], Group(line["owned_to_on"], line["share_ppm"], [], []))
        group.lines.append((row[5], line))
        group.trees.append(Tree())
    return groups


def _add_event(
    bundle: Bundle,
    contracts: Contracts,
    groups: dict[Key, Group],
    owner: tuple[str, str, str, int],
    event: Event,
    length: int | None,
) -> None:
    """Add an event to the group of one of its owners."""
    from_on, to_on, payee_id, share_ppm = owner
    card = contracts.card_on(payee_id, event.day)
    if card is None:
        return
    minimum = card.minimum_view_seconds if length is None else min(card.minimum_view_seconds, length)
    is_billable = event.outcome == "billable" and event.seconds >= minimum
    owned_from_on, owned_to_on = max(from_on, bundle.start_on.isoformat()), min(to_on, bundle.end_on.isoformat())
    key = (payee_id, owned_from_on, card.effective_from_on, card.heading(event.country), event.policy_version)
    group = groups.setdefault(key, Group(owned_to_on, share_ppm, [], []))
    if (group.owned_to_on, group.share_ppm) != (owned_to_on, share_ppm):
        text = f"has a share of {group.share_ppm} until {group.owned_to_on}, not of {share_ppm} until {owned_to_on}"
        raise WrongError(RECORDS, group.lines[0][0], f"line {group.lines[0][1]['line_index']} {text}")
    is_excluded_here = event.outcome == "billable" and not is_billable
    group.outcomes["below_minimum" if is_excluded_here else event.outcome] += 1
    if not is_billable:
        return
    leaf = leaf_hash(event.event_id.encode())
    for (_, line), tree in zip(group.lines, group.trees, strict=True):
        if line["event_start"] <= group.count < line["event_end"]:
            tree.add(leaf)
    group.count += 1
    group.ads.update(ad_type for ad_type in event.ad_types if ad_type in card.ads)


def _check_group(
    bundle: Bundle, database: sqlite3.Connection, place: tuple[str, Key], group: Group, number: int
) -> None:
    video_id, (payee_id, *_) = place
    for outcome, events in group.outcomes.items():
        database.execute(
            "INSERT INTO outcomes VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET events = events + excluded.events",
            (payee_id, outcome, events),
        )
    if not group.lines:
        if group.count:
            text = f"{group.count} billable views of video {video_id} until here are in no line of payee {payee_id}"
            raise WrongError(EVENTS, number, text)
        return
    counted = sum(events for name, events in group.outcomes.items() if name == "billable" or name in NOT_BILLABLE)
    for (statement_line, line), tree in zip(group.lines, group.trees, strict=True):
        name = f"line {line['line_index']} of payee {payee_id} for video {video_id}"
        quantity = tree.count if line["kind"] == "views" else group.ads[line["kind"].removeprefix("ads:")]
        if line["event_end"] > group.count or line["quantity"] != quantity:
            text = f"{name} pays {line['quantity']} {line['kind']}, and the events hold {quantity} of {group.count}"
            raise WrongError(RECORDS, statement_line, text)
        is_of_version = line["batch_version"] == bundle.versions["batch"]  # else the views known then are not bundled
        if is_of_version and line["settled_views"] != counted:
            raise WrongError(
                RECORDS, statement_line, f"{name} says {line['settled_views']} settled views, not {counted}"
            )
        if line["evidence_root"] != tree.root():
            text = f"{name} was paid for other events than those of {EVENTS} up to line {number}: the roots differ"
            raise WrongError(RECORDS, statement_line, text)
    if max(line["event_end"] for _, line in group.lines) != group.count:
        raise WrongError(EVENTS, number, f"there are {group.count} billable views of {video_id}, more than were paid")
    for ad_type in sorted(group.ads.keys() - {line["kind"].removeprefix("ads:") for _, line in group.lines}):
        raise WrongError(EVENTS, number, f"the ad views {ad_type} of {video_id} are in no line of payee {payee_id}")


def _check_outcomes(found: Found, batch_version: int) -> None:
    """Compare the outcomes of every newest statement with the events.

    A statement that a later version left unchanged has the outcomes of its own version, whose events are not bundled.
    """
    for line, text in found.database.execute("SELECT line, record FROM statements WHERE is_current ORDER BY line"):
        row = json.loads(text)["row"]
        if _content(found, "run", row["run_id"])["batch_version"] != batch_version:
            continue
        expected = dict(
            found.database.execute("SELECT outcome, events FROM outcomes WHERE payee_id = ?", (row["payee_id"],))
        )
        if row["outcomes"] != expected and (row["line_count"] or row["outcomes"]):
            for name in sorted({*expected, *row["outcomes"]}):
                if row["outcomes"].get(name, 0) != expected.get(name, 0):
                    raise WrongError(
                        RECORDS,
                        line,
                        f"statement {row['statement_id']} says {row['outcomes'].get(name, 0)} events {name}, "
                        f"and the events hold {expected.get(name, 0)}",
                    )


# --- The reasons of traffic, in a bundle for an auditor --------------------------------------------------

SECOND, TEN_MINUTES, HOUR = 1_000_000, 600_000_000, 3_600_000_000
"""Instants are microseconds since 1970."""
MILLION = 1_000_000
INVALID_POINTS, STRONG_POINTS, REVIEW_POINTS, HINT_POINTS = 100, 60, 50, 40
REASONS = {
    "plays_at_once": "impossible",
    "more_hours_than_a_day": "impossible",
    "countries_within_hours": "impossible",
    "networks_within_hours": "impossible",
    "even_pauses": "robot",
    "shared_session": "coordinated",
    "repeated_script": "coordinated",
    "lockstep": "coordinated",
    "accounts_in_turn": "coordinated",
    "nobody_leaves_early": "unnatural",
    "leave_once_paid": "unnatural",
    "neither_left_nor_finished": "unnatural",
    "networks_seen_once": "origin",
}
"""Reason → its class; of reasons with equal points the first is named."""
PERIOD_REASONS = {"even_days": "robot", "payees_in_a_ring": "coordinated", "crowd_of_weeks": "unnatural"}
"""Reasons that rules find over weeks: a bundle of a period has not all that they see, and they are taken as given."""
CLASS_OF = REASONS | PERIOD_REASONS
ALLOWABLE = tuple(
    reason
    for reason, its_class in CLASS_OF.items()
    if its_class in ("coordinated", "unnatural", "origin") and reason != "payees_in_a_ring"
)
"""What the allow-list of a policy may exempt from."""
RANK = {reason: -number for number, reason in enumerate(REASONS)}
DECIDED = ("released", "confirmed")
NO_REFERRER = "none"
"""The referrer of a view of which the player said that it had none."""
CLASS_LENGTHS = (45, 60, 90, 120, 180, 240, 360, 480, 720, 1_200, 2_400)
END_NAMES = ("early", "middle", "edges", "window_2", "window_4", "window_8", "window_30")
CROWD_TESTS = (
    ("early", "nobody_leaves_early"),
    ("edges", "neither_left_nor_finished"),
    ("window_2", "leave_once_paid"),
    ("window_4", "leave_once_paid"),
    ("window_8", "leave_once_paid"),
    ("window_30", "leave_once_paid"),
)
CLOSE_CROWDS = ("viewer", "network", "referrer", "video_hour", "payee_network")
"""Crowds of which honest people are hardly a part; in all others the benefit of the doubt goes to some viewers."""


class View(NamedTuple):
    """What the rules of a day see of an event. Names are hashes by a key of the bundle alone; empty is not known."""

    line: int
    place: tuple[int, int]
    event_id: str
    day: str
    begun: int
    video: str
    payee: str
    length: int | None
    viewer: str
    session: str
    seconds: int
    country: str
    device: str
    network: str
    network_kind: str
    agent: str
    referrer: str
    allowed: tuple[int, ...]
    """The numbers of the entries of the policy's allow-list that it is of."""

    @property
    def ended(self) -> int:
        """Return when it ended."""
        return self.begun + self.seconds * SECOND

    @property
    def is_left(self) -> bool:
        """Return whether it ended clearly before its video did."""
        return self.length is not None and self.seconds * 10 < self.length * 9 and self.seconds < self.length - 3


class Reason(NamedTuple):
    """What the rules of a day say of an event."""

    outcome: str
    reason: str
    points: int


class DayRules:
    """The rules of one day on all that they see, by the thresholds of a policy.

    `views` are of the day and of the day before, by time.
    """

    def __init__(self, views: Sequence[View], policy: dict[str, Any]) -> None:
        self.views, self.policy = views, policy
        self.demoted = frozenset(policy["demoted"])
        self.allowed = [entry[3] for entry in policy.get("allowed", ())]
        self.found: dict[tuple[int, int], dict[str, tuple[int, int, str]]] = {}

    def reasons(self, day: str) -> dict[tuple[int, int], Reason]:
        """Return the reason of each event of the day that has one."""
        for of_viewer in _grouped(self.views, lambda view: view.viewer).values():
            self._at_once(of_viewer)
            self._hours(of_viewer)
            self._moves(of_viewer)
            self._pauses(of_viewer)
        self._sessions()
        self._scripts()
        self._timetables()
        self._turns()
        self._crowds()
        self._lonely_networks()
        reasons = {}
        for view in self.views:
            classes = self.found.get(view.place)
            if classes and view.day == day:
                points = sum(strongest[0] for strongest in classes.values())
                if points >= REVIEW_POINTS:
                    outcome = "invalid" if points >= INVALID_POINTS else "review"
                    reasons[view.place] = Reason(outcome, max(classes.values())[2], points)
        return reasons

    def _note(self, views: Sequence[View], reason: str, points: int) -> None:
        """Keep what was found; of each class of an event only the strongest counts."""
        if reason in self.demoted:
            points = min(points, REVIEW_POINTS)
        finding = (points, RANK[reason], reason)
        for view in views:
            if any(reason in self.allowed[number] for number in view.allowed):
                continue
            classes = self.found.setdefault(view.place, {})
            its_class = REASONS[reason]
            classes[its_class] = max(classes.get(its_class, finding), finding)

    def _level(self, number: int, name: str) -> int:
        """Return the points of a number at which a person must look, or which is enough."""
        if number >= self.policy[f"{name}_invalid"]:
            return INVALID_POINTS
        return REVIEW_POINTS if number >= self.policy[f"{name}_review"] else 0

    def _at_once(self, mine: list[View]) -> None:
        groups = [("at_once", mine)]
        groups += [("payee_at_once", views) for views in _grouped(mine, lambda view: view.payee).values()]
        for name, views in groups:
            numbers = list(zip(views, _in_progress(views), strict=True))
            for level, points in (("invalid", INVALID_POINTS), ("review", REVIEW_POINTS)):
                least, times = self.policy[f"{name}_{level}"], self.policy[f"{name}_times_{level}"]
                if len({view.begun // TEN_MINUTES for view, number in numbers if number >= least}) >= times:
                    self._note(views, "plays_at_once", points)
                    break

    def _hours(self, mine: list[View]) -> None:
        for views in _grouped(mine, lambda view: view.day).values():
            hours = sum(view.seconds for view in views) // 3_600
            if points := self._level(hours, "hours"):
                self._note(views, "more_hours_than_a_day", points)

    def _moves(self, mine: list[View]) -> None:
        at_home = [view for view in mine if not view.network_kind.startswith(("relay/", "vpn/"))]
        for name, one in (("countries", "country"), ("networks", "network")):
            known = [(getattr(view, one), view) for view in at_home if getattr(view, one)]
            moved = sum(
                place != next_place and later.begun - view.ended < HOUR
                for (place, view), (next_place, later) in itertools.pairwise(known)
            )
            points = self._level(len({place for place, _ in known}), name)
            if points and moved >= self.policy[f"{one}_changes"]:
                self._note([view for _, view in known], f"{name}_within_hours", points)

    def _pauses(self, mine: list[View]) -> None:
        left = [(later.begun - one.ended, one.seconds) for one, later in itertools.pairwise(mine) if one.is_left]
        long = sorted(each for each in left if self.policy["pause_seconds"] * SECOND <= each[0] < HOUR)
        if not long or len(long) * 10 < len(left) * 8:
            return
        middle, seconds = long[(len(long) - 1) // 2][0], [each[1] for each in long]
        even = sum(abs(pause - middle) <= SECOND for pause, _ in long)
        points = self._level(len(long), "pauses")
        if points and even * 10 >= len(long) * 9 and max(seconds) - min(seconds) >= 10:
            self._note(mine, "even_pauses", points)

    def _sessions(self) -> None:
        for views in _grouped(self.views, lambda view: view.session).values():
            viewers, networks = _distinct(view.viewer for view in views), _distinct(view.network for view in views)
            of_payees = Counter(view.payee for view in views if view.payee)
            if viewers < 2 or 2 * max(of_payees.values(), default=0) < len(views):
                continue
            points = min(self._level(viewers, "session_viewers"), self._level(networks, "session_networks"))
            if points:
                self._note(views, "shared_session", points)

    def _scripts(self) -> None:
        paid = self.policy["paid_seconds"]
        threes = _in_a_row([view for view in self.views if view.seconds >= paid and view.is_left])
        of_videos = Counter(tuple(view.video for view in three) for three in threes)
        sessions: Counter[tuple[str, str]] = Counter()
        for shift in (0, 3):
            scripts = _grouped(
                threes,
                lambda three: tuple((view.video, (view.seconds + shift) // 6) for view in three),  # noqa: B023
            )
            for script, same in scripts.items():
                firsts = [three[0] for three in same]
                if len(same) * self.policy["script_share"] < of_videos[tuple(video for video, _ in script)]:
                    continue
                begun = [view.begun for view in firsts]
                if max(begun) - min(begun) < self.policy["script_spread_seconds"] * SECOND:
                    continue
                viewers, networks = (
                    _distinct(each.viewer for each in firsts),
                    _distinct(each.network for each in firsts),
                )
                points = self._level(len(same), "script_repeats")
                if points == REVIEW_POINTS and (viewers < self.policy["script_viewers"] or networks < 2):
                    continue
                _raise(sessions, same, points)
        self._note_sessions(sessions, "repeated_script")

    def _timetables(self) -> None:
        threes = [three for three in _in_a_row(self.views) if len({view.payee for view in three}) > 1]
        sessions: Counter[tuple[str, str]] = Counter()
        for shift in (0, 60 * SECOND):
            began = _grouped(self.views, lambda view: (view.video, (view.begun + shift) // (120 * SECOND)))  # noqa: B023
            tables = _grouped(
                threes,
                lambda three: tuple((view.video, (view.begun + shift) // (120 * SECOND)) for view in three),  # noqa: B023
            )
            for table, same in tables.items():
                firsts = [three[0] for three in same]
                viewers = _distinct(view.viewer for view in firsts)
                if _distinct(view.network for view in firsts) < self.policy["lockstep_networks"]:
                    continue
                if 100 * viewers >= self.policy["lockstep_share"] * _distinct(view.viewer for view in began[table[0]]):
                    _raise(sessions, same, self._level(viewers, "lockstep_viewers"))
        self._note_sessions(sessions, "lockstep")

    def _note_sessions(self, sessions: "Counter[tuple[str, str]]", reason: str) -> None:
        of_sessions = _grouped(self.views, lambda view: (view.viewer, view.session) if view.viewer else "")
        for session, points in sessions.items():
            if points:
                self._note(of_sessions[session], reason, points)

    def _turns(self) -> None:
        known = [view for view in self.views if view.network and view.agent and view.payee]
        of_device = Counter((view.network, view.agent) for view in known)
        of_payee = Counter(view.payee for view in known)
        for (*device, payee, _), mine in _grouped(
            known, lambda view: (view.network, view.agent, view.payee, view.day)
        ).items():
            if len(mine) < self.policy["turn_views"]:
                continue
            if _distinct(view.viewer for view in mine) < self.policy["turn_viewers"]:
                continue
            expected = self.policy["turn_ratio"] * of_device[device[0], device[1]] * of_payee[payee]
            together = sum(number > 1 for number in _in_progress(mine))
            watched = sum(view.seconds for view in mine) * SECOND
            span = max(view.ended for view in mine) - min(view.begun for view in mine)
            is_in_turn = together * self.policy["turn_overlap_share"] <= len(mine) and 2 * watched >= span
            if is_in_turn and len(mine) * len(known) >= expected:
                self._note(mine, "accounts_in_turn", REVIEW_POINTS)

    def _crowds(self) -> None:
        ends = {view.place: self._ends(view) for view in self.views}
        long = [view for view in self.views if view.length is not None and view.length >= CLASS_LENGTHS[0]]
        evidence = self._witnesses(long)
        crowds = self._unusual(evidence, ends)
        habits = {}
        for viewer, mine in _grouped(self.views, lambda view: view.viewer).items():
            sums = [sum(each) for each in zip(*(ends[view.place] for view in mine), strict=True)]
            habits[viewer] = (len({view.payee for view in mine}), sums)
        witnesses = {view.place for view in evidence}
        for view in long:
            early, middle = ends[view.place][:2]
            meant = dict(zip(END_NAMES, ends[view.place], strict=True)) | {"early": 1 - early, "edges": middle}
            for crowd in _crowds_of(view):
                for test, points in crowds.get(crowd, ()):
                    if not meant[test]:
                        continue
                    is_known = bool(view.viewer) and view.place in witnesses
                    is_sure = crowd[0] in CLOSE_CROWDS or (is_known and _does_as_all(test, *habits[view.viewer]))
                    is_doubted = test in ("early", "edges") and not is_sure
                    less = STRONG_POINTS if points == INVALID_POINTS else HINT_POINTS
                    self._note([view], dict(CROWD_TESTS)[test], less if is_doubted else points)

    def _ends(self, view: View) -> tuple[int, ...]:
        """Return how a view ended, as ones and zeros by `END_NAMES`."""
        beyond = view.seconds - self.policy["paid_seconds"]
        early, middle = view.is_left and beyond < 0, view.is_left and beyond >= 0
        return (int(early), int(middle), int(not middle), *(int(middle and beyond < each) for each in (2, 4, 8, 30)))

    def _witnesses(self, long: Sequence[View]) -> list[View]:
        """Return the views that are evidence: one of a room, and of a viewer and payee only some."""
        rooms, numbers, found = set(), Counter[tuple[str, str]](), list[View]()
        for view in long:
            room = (view.video, view.network, view.begun // (300 * SECOND))
            if view.network:
                if room in rooms:
                    continue
                rooms.add(room)
            if view.viewer:
                numbers[view.viewer, view.payee] += 1
                if numbers[view.viewer, view.payee] > self.policy["witness_views_max"]:
                    continue
            found.append(view)
        return found

    def _unusual(
        self, evidence: Sequence[View], ends: dict[tuple[int, int], tuple[int, ...]]
    ) -> dict[tuple[Any, ...], list[tuple[str, int]]]:
        """Return the crowds whose views end in another way than is usual for videos of their length."""
        usual = {}
        for number, views in _grouped(evidence, _length_class).items():
            early, middle, *others = (sum(each) for each in zip(*(ends[view.place] for view in views), strict=True))
            without_early = middle * MILLION // max(1, len(views) - early)
            usual[number] = (
                early * MILLION // max(1, early + middle),
                (middle * MILLION // len(views) + without_early) // 2,
                *(each * MILLION // len(views) for each in others),
            )
        seen: dict[tuple[Any, ...], list[int]] = {}
        expected: dict[tuple[Any, ...], list[int]] = {}
        for view in evidence:
            own, of_class = ends[view.place], usual[_length_class(view)]
            due = ((own[0] + own[1]) * of_class[0], *of_class[1:])
            for crowd in _crowds_of(view):
                seen[crowd] = [one + more for one, more in zip(seen.get(crowd, [0] * 7), own, strict=True)]
                expected[crowd] = [one + more for one, more in zip(expected.get(crowd, [0] * 7), due, strict=True)]
        found = {crowd: list(self._crowd_tests(seen[crowd], expected[crowd])) for crowd in seen}
        return {crowd: tests for crowd, tests in found.items() if tests}

    def _crowd_tests(self, seen: list[int], expected: list[int]) -> Iterator[tuple[str, int]]:
        for test, _ in CROWD_TESTS:
            index = END_NAMES.index(test)
            for level, points in (("invalid", INVALID_POINTS), ("review", STRONG_POINTS)):
                ratio = self.policy[f"{test}_ratio_{level}"]
                least = self.policy[f"{test if test in ('early', 'edges') else 'window'}_least_{level}"]
                if test in ("early", "edges"):
                    is_found = expected[index] >= least * MILLION and seen[index] * MILLION * ratio <= expected[index]
                else:
                    is_found = seen[index] >= least and seen[index] * MILLION >= ratio * expected[index]
                # who must see a video leaves less often early, and later, too
                if is_found and (test != "early" or seen[1] * MILLION >= expected[1]):
                    yield test, points
                    break

    def _lonely_networks(self) -> None:
        of_networks = _grouped(self.views, lambda view: view.network)
        lonely = {
            network
            for network, views in of_networks.items()
            if len(views) <= 3 and len({view.viewer for view in views}) == 1 and views[0].viewer
        }
        known = [view for view in self.views if view.network and view.country]
        usual = {
            country: sum(view.network in lonely for view in views) * MILLION // len(views)
            for country, views in _grouped(known, lambda view: view.country).items()
        }
        for views in _grouped(known, lambda view: view.payee).values():
            alone = [view for view in views if view.network in lonely]
            expected = sum(usual[view.country] for view in views)
            for level, points in (("invalid", INVALID_POINTS), ("review", STRONG_POINTS)):
                ratio = self.policy[f"lonely_ratio_{level}"]
                if len(alone) >= self.policy[f"lonely_least_{level}"] and len(alone) * MILLION >= ratio * expected:
                    self._note(alone, "networks_seen_once", points)
                    break


def _grouped(rows: Sequence[Any], key: Callable[[Any], Any]) -> dict[Any, list[Any]]:
    """Return rows by a key, in their order; those whose key is empty are left out."""
    groups: dict[Any, list[Any]] = {}
    for row in rows:
        if (its_key := key(row)) != "":
            groups.setdefault(its_key, []).append(row)
    return groups


def _distinct(names: Iterable[str]) -> int:
    return len(set(names) - {""})


def _in_progress(views: Sequence[View]) -> list[int]:
    """Return for each view how many are in progress when it begins, itself included unless it has no length."""
    begun, ended = sorted(view.begun for view in views), sorted(view.ended for view in views)
    return [bisect_right(begun, view.begun) - bisect_right(ended, view.begun) for view in views]


def _in_a_row(views: Sequence[View]) -> list[tuple[View, View, View]]:
    """Return each three views that follow one another among these of a viewer."""
    found = list[tuple[View, View, View]]()
    for mine in _grouped(views, lambda view: view.viewer).values():
        found += zip(mine, mine[1:], mine[2:], strict=False)
    return found


def _raise(sessions: "Counter[tuple[str, str]]", threes: Sequence[tuple[View, View, View]], points: int) -> None:
    for view in itertools.chain.from_iterable(threes):
        sessions[view.viewer, view.session] = max(points, sessions[view.viewer, view.session])


def _length_class(view: View) -> int:
    return bisect_right(CLASS_LENGTHS, view.length or 0)


def _crowds_of(view: View) -> Iterator[tuple[Any, ...]]:
    """Yield the crowds that a view belongs to."""
    for kind, name in (("viewer", view.viewer), ("network", view.network), ("referrer", view.referrer)):
        if name:
            yield kind, name
    yield "video_hour", view.video, view.begun // HOUR
    if view.payee:
        yield "payee", view.payee
        parts = (view.network, view.network_kind, view.agent, view.device, view.country, view.referrer or NO_REFERRER)
        for kind, name in zip(
            ("network", "network_kind", "agent", "device", "country", "referrer"), parts, strict=True
        ):
            if name:
                yield f"payee_{kind}", view.payee, name


def _does_as_all(test: str, payee_count: int, ends: list[int]) -> bool:
    """Return whether a viewer did what the whole crowd did, and watched nothing else."""
    early, middle, edges = ends[:3]
    if test == "early":
        return payee_count == 1 and not early and (middle > 0 or edges <= 2)
    return payee_count == 1 and edges <= middle


class Stored(NamedTuple):
    """A row of the stored outcomes."""

    line: int
    place: tuple[int, int]
    payee: str
    reason: Reason


@dataclass(frozen=True)
class JudgedDay:
    """What a version names for the rules of a day."""

    day: str
    policy: dict[str, Any]
    ends: list[int]
    """The rules saw what lies below, by partition."""
    reviewed: list[str]
    """Reasons that are no more than a review on this day."""
    has_catalogue: bool
    """Whether they were given the catalogue of the bundle."""

    def is_seen(self, place: tuple[int, int]) -> bool:
        """Return whether the rules saw an event."""
        return place[0] < len(self.ends) and place[1] < self.ends[place[0]]


def check_reasons(bundle: Bundle, found: Found) -> dict[str, int]:
    """Judge every judged day again, and compare what the rules say with the stored outcomes and with the events."""
    days = _judged_days(bundle, found)
    if unknown := bundle.days_left_out - days.keys():
        raise WrongError("manifest.json", 1, f"leaves out {min(unknown)}, which the version has not judged")
    all_views = itertools.groupby(_views(bundle), key=lambda each: each[0])
    all_stored = itertools.groupby(_stored_reasons(bundle), key=lambda each: each[0])
    next_views, next_stored = next(all_views, None), next(all_stored, None)
    judged_count = 0
    again = sorted(days.keys() - bundle.days_left_out)
    for day in again:
        views: list[View] = []
        stored: dict[tuple[int, int], Stored] = {}
        if next_views is not None and next_views[0] == day:
            views, next_views = [view for _, view in next_views[1]], next(all_views, None)
        if next_stored is not None and next_stored[0] == day:
            stored = {each.place: each for _, each in next_stored[1]}
            next_stored = next(all_stored, None)
        _check_views(found, days[day], views)
        _check_allowed(days[day], views)
        _check_stored(found, days[day], views, stored)
        judged_count += sum(view.day == day for view in views)
    for name, more in ((JUDGED, next_views), (STORED, next_stored)):
        if more is not None:
            raise WrongError(name, 0, f"has rows of {more[0]}, which is out of order or was not judged")
    _check_decisions(found)
    return {
        "days_judged_again": len(again),
        "events_judged_again": judged_count,
        "judged_days_left_out": len(bundle.days_left_out),
    }


def _judged_days(bundle: Bundle, found: Found) -> dict[str, JudgedDay]:
    """Return the judged days of the period, by the signed record of the version."""
    days = {}
    for day, traffic in ruled_days(bundle, found):
        if "ends" not in traffic:
            continue
        policy = found.thresholds.get(int(traffic["policy_version"]))
        if policy is None:
            name = f"traffic policy {traffic['policy_version']}"
            raise WrongError(RECORDS, 0, f"{day} was judged by {name}, which is not among the records")
        for kind, name, _, reasons, _ in policy.get("allowed", ()):
            if never := sorted(reason for reason in reasons if reason not in ALLOWABLE):
                text = (
                    f"traffic policy {traffic['policy_version']} allows the {kind} {shown(name)} what no viewer can do"
                )
                raise WrongError(RECORDS, 0, f"{text}: {never[0]}")
        has_catalogue = traffic["catalogue_version"] == bundle.versions["catalogue"]
        days[day] = JudgedDay(day, policy, list(traffic["ends"]), list(traffic.get("reviewed", ())), has_catalogue)
    return days


def _views(bundle: Bundle) -> Iterator[tuple[str, View]]:
    """Yield each judged day with what its rules see, by time."""
    last: tuple[Any, ...] = ()
    for line, row in bundle.rows(JUDGED):
        try:
            view = View(
                line,
                (int(row["partition"]), int(row["offset"])),
                row["event_id"],
                row["event_day"],
                int(row["begun"]),
                row["video_id"],
                row["payee_id"],
                int(row["length_seconds"]) if row["length_seconds"] else None,
                row["viewer"],
                row["session"],
                int(row["view_duration"]),
                *(row[name] for name in ("country", "device_type", "network", "network_kind", "agent", "referrer")),
                tuple(map(int, row["allowed"].split())),
            )
        except ValueError as error:
            raise WrongError(JUDGED, line, f"a field is not valid ({cause(error)})") from error
        order = (row["judged_day"], view.begun, view.event_id, view.place)
        if order <= last:
            raise WrongError(JUDGED, line, "is out of order")
        last = order
        yield row["judged_day"], view


def _stored_reasons(bundle: Bundle) -> Iterator[tuple[str, Stored]]:
    """Yield each day with its stored outcomes, by place."""
    last: tuple[Any, ...] = ()
    for line, row in bundle.rows(STORED):
        try:
            place, points = (int(row["partition"]), int(row["offset"])), int(row["points"])
        except ValueError as error:
            raise WrongError(STORED, line, f"a field is not valid ({cause(error)})") from error
        if (row["event_day"], place) <= last:
            raise WrongError(STORED, line, "is out of order")
        last = (row["event_day"], place)
        yield row["event_day"], Stored(line, place, row["payee_id"], Reason(row["outcome"], row["reason"], points))


def _check_views(found: Found, judged: JudgedDay, views: Sequence[View]) -> None:
    """Check that the rules are given what would be counted of the day without them, and nothing else."""
    before = (date.fromisoformat(judged.day) - timedelta(days=1)).isoformat()
    for view in views:
        name = f"event {view.event_id}, as the rules of {judged.day} see it,"
        if view.day not in (judged.day, before) or not judged.is_seen(view.place):
            raise WrongError(JUDGED, view.line, f"{name} is not one that they saw")
        known = found.database.execute(
            "SELECT event_id, video_id, day, country, seconds, outcome FROM events WHERE partition = ? AND offset = ?",
            view.place,
        ).fetchone()
        if known is None and view.day >= found.first_day:
            raise WrongError(JUDGED, view.line, f"{name} is not among the events")
        if known is not None:
            if known[:5] != (view.event_id, view.video, view.day, view.country, view.seconds):
                raise WrongError(JUDGED, view.line, f"{name} is another one than among the events")
            if not (_is_counted(known[5]) or known[5].startswith(("invalid_traffic:", "duplicate", "conflict"))):
                raise WrongError(JUDGED, view.line, f"{name} is {known[5]} and cannot be counted")
        if judged.has_catalogue:
            _check_catalogue_of(found, judged.day, view, name)
    seen = {view.place for view in views}
    for partition, offset, event_id, outcome in found.database.execute(
        "SELECT partition, offset, event_id, outcome FROM events WHERE day = ?", (judged.day,)
    ):
        is_missing = (partition, offset) not in seen and judged.is_seen((partition, offset))
        if is_missing and _is_counted(outcome):
            raise WrongError(JUDGED, 0, f"event {event_id} is counted, and the rules of {judged.day} do not see it")


def _check_allowed(judged: JudgedDay, views: Sequence[View]) -> None:
    """Check that each entry of the policy's allow-list is about the views of one name, about all of them, and in time.

    Which name the hash of a network or agent stands for is taken as given.
    """
    entries = judged.policy.get("allowed", [])
    named = [{name} if kind == "payee" else set() for kind, name, *_ in entries]
    for view in views:
        for number in view.allowed:
            if not 0 <= number < len(entries) or not view.day == judged.day < entries[number][2]:
                text = f"event {view.event_id} is allowed by entry {number}, which the policy has not on {view.day}"
                raise WrongError(JUDGED, view.line, text)
            named[number].add(getattr(view, entries[number][0]))
            if len(named[number]) > 1 or named[number] == {""}:
                text = f"event {view.event_id} is allowed by entry {number}, which names another {entries[number][0]}"
                raise WrongError(JUDGED, view.line, text)
    for view in views:
        for number, (kind, _, until, *_) in enumerate(entries):
            is_its = view.day == judged.day < until and getattr(view, kind) in named[number]
            if is_its and number not in view.allowed:
                text = f"event {view.event_id} is not allowed by entry {number}, which names its {kind}"
                raise WrongError(JUDGED, view.line, text)


def _check_catalogue_of(found: Found, day: str, view: View, name: str) -> None:
    """Check the length of a view's video, and who owns the largest share of it on the day."""
    length = found.database.execute("SELECT length_seconds FROM videos WHERE video_id = ?", (view.video,)).fetchone()
    payee = found.database.execute(
        "SELECT payee_id FROM owners WHERE video_id = ? AND from_on <= ? AND ? < to_on "
        "ORDER BY share_ppm DESC, payee_id LIMIT 1",
        (view.video, view.day, view.day),
    ).fetchone()
    if view.length != (length[0] if length else None) or view.payee != (payee[0] if payee else ""):
        raise WrongError(JUDGED, view.line, f"{name} has another length or payee than in the catalogue of {day}")


def _check_stored(
    found: Found, judged: JudgedDay, views: Sequence[View], stored: dict[tuple[int, int], Stored]
) -> None:
    """Compare the stored outcomes with what the rules say, and with what became of the events."""
    due = {
        place: reason._replace(outcome="review") if reason.reason in judged.reviewed else reason
        for place, reason in DayRules(views, judged.policy).reasons(judged.day).items()
    }
    of_day = {view.place: view for view in views if view.day == judged.day}
    for each in stored.values():
        payee = of_day[each.place].payee if each.place in of_day else None
        if each.reason.reason not in CLASS_OF:
            raise WrongError(STORED, each.line, f"names {each.reason.reason}, which is not a reason of traffic")
        if each.reason.outcome in DECIDED:
            found.decided[judged.day, each.reason.reason, each.payee, each.reason.outcome] += 1
        elif each.reason.reason in REASONS and (due.get(each.place), payee) != (each.reason, each.payee):
            says = "nothing of it" if each.place not in due else " ".join(map(str, due[each.place]))
            text = f"says {' '.join(map(str, each.reason))} of payee {each.payee or 'nobody'}, and the rules say {says}"
            raise WrongError(STORED, each.line, text)
    for place in sorted(due.keys() - stored.keys()):
        text = f"the rules of {judged.day} say {' '.join(map(str, due[place]))} of event {of_day[place].event_id}"
        raise WrongError(STORED, 0, f"{text}, and no row has it")
    for partition, offset, event_id, outcome, line in found.database.execute(
        "SELECT partition, offset, event_id, outcome, line FROM events WHERE day = ? ORDER BY line", (judged.day,)
    ):
        row = stored.get((partition, offset))
        kept = row.reason.outcome if row else ""
        is_invalid = outcome.startswith("invalid_traffic:")
        is_wrong = (
            (kept in ("invalid", "confirmed") and _is_counted(outcome))
            or (row is not None and is_invalid and outcome != f"invalid_traffic:{CLASS_OF[row.reason.reason]}")
            or (kept in ("review", "released") and is_invalid)
            or (kept == "review" and outcome == "billable")
            or (kept != "review" and outcome == "under_review")
            or (is_invalid and row is None and (partition, offset) in of_day)
            or (outcome == "traffic_pending" and judged.is_seen((partition, offset)))
            or (outcome == "billable" and not judged.is_seen((partition, offset)))
        )
        if is_wrong:
            text = f"is {outcome}, and the outcome of its traffic is {kept or 'none'}"
            raise WrongError(EVENTS, line, f"event {event_id} of {judged.day} {text}")


def _check_decisions(found: Found) -> None:
    """Check that somebody decided on as many events as the outcomes have decided ones, of each group's kind."""
    for key, count in sorted(found.decided.items()):
        if count > found.decisions[key]:
            day, reason, payee, outcome = key
            text = f"{count} events of payee {payee or 'nobody'} on {day} for {reason} are {outcome}"
            raise WrongError(STORED, 0, f"{text}, and decisions of the records name {found.decisions[key]}")


def _is_counted(outcome: str) -> bool:
    return outcome == "billable" or outcome in NOT_BILLABLE


# --- Receipts --------------------------------------------------------------------------------------------

RECEIPT_HEADER = ("EdDSA", "viewledger-receipt")
"""`alg` and `typ`."""
RECEIPT_EVENTS_MAX, RECEIPT_LINE_MAX = 500, 1 << 20
CLOCK_SPARE = timedelta(minutes=1)
"""How far the collector's knowledge of the broker's clock may be off."""
OTHER, SAME_WITHOUT_CONTENT, SAME = 1, 2, 3
"""What the bundle has under the id of a receipted event; 0 is nothing."""
_HASH = re.compile(r"[0-9a-f]{64}")
_RECEIPTED = {
    "event_id": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "video_id": re.compile(r"[A-Za-z0-9_-]{1,64}"),
    "event_day": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    "sha256": _HASH,
}


def _of_base64url(text: str) -> bytes:
    """Return the bytes of base64url without padding; raise ValueError for any second spelling of them."""
    content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(content).rstrip(b"=").decode() != text:
        raise ValueError("not base64url")
    return content


def read_receipt_keys(file: Path) -> dict[str, bytes]:
    """Return the Ed25519 keys of a JWK Set by their ids; raise UnusableError."""
    try:
        keys = {}
        for each in value_of(short_content(file))["keys"]:
            if (each["kty"], each["crv"]) != ("OKP", "Ed25519") or len(_of_base64url(each["x"])) != 32:
                raise ValueError(f"the key {each['kid']} is not an Ed25519 key")
            keys[str(each["kid"])] = _of_base64url(each["x"])
    except (OSError, RecursionError, *NO_VALUE) as error:
        raise UnusableError(f"{file} is not a JWK Set of receipts' keys ({cause(error)})") from error
    return keys


def keep_receipts(bundle: Bundle, files: Sequence[Path], keys: dict[str, bytes], database: sqlite3.Connection) -> int:
    """Check every receipt by itself; keep the events of the period. Return how many events have a receipt in all.

    An event of a later day than its receipt can only be rejected, and is filed under the day it was received.
    """
    if not bundle.has_digests:
        raise UnusableError(f"the bundle is of the format {bundle.manifest['format']}, which has no digests of events")
    count, start, end = 0, bundle.start_on.isoformat(), bundle.end_on.isoformat()
    for file in files:
        for number, line in _receipt_lines(file):
            try:
                at, events = _checked_receipt(line, keys)
            except (UnusableError, RecursionError, *NO_VALUE) as error:
                is_cut = not line.endswith(b"\n") and not line.rstrip().endswith(b"}")
                text = "ends within a receipt: the file was cut off" if is_cut else f"is not a receipt ({cause(error)})"
                raise UnusableError(f"{file}, line {number}: {text}") from error
            count += len(events)
            received_on = at.date().isoformat()
            for event in events:
                days = {event["event_day"], min(event["event_day"], received_on)}
                if all(start <= day < end for day in days):
                    values = (*(event[name] for name in _RECEIPTED), at.isoformat(), str(file), number)
                    database.execute("INSERT INTO receipted VALUES (?, ?, ?, ?, ?, ?, ?, 0)", values)
    return count


def _receipt_lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file of receipts that are not blank."""
    is_empty = True
    with opened(file) as readable:
        for number, line in enumerate(iter(lambda: readable.readline(RECEIPT_LINE_MAX + 1), b""), 1):
            if len(line) > RECEIPT_LINE_MAX:
                raise UnusableError(f"{file}, line {number}: is longer than any receipt")
            if line.strip():
                is_empty = False
                yield number, line
    if is_empty:
        raise UnusableError(f"{file} holds no receipt")


def _checked_receipt(line: bytes, keys: dict[str, bytes]) -> tuple[datetime, list[dict[str, Any]]]:
    """Return the instant and the events of a receipt whose signature and root are right; raise UnusableError."""
    receipt = value_of(line)
    body, events = _signed_part(receipt["signed"], keys), receipt["events"]
    if receipt.keys() != {"signed", "events"} or body.keys() != {"at", "events", "root"}:
        raise UnusableError("it has other fields than a receipt")
    if not isinstance(events, list) or not 1 <= len(events) <= RECEIPT_EVENTS_MAX:
        raise UnusableError(f"it has not 1 to {RECEIPT_EVENTS_MAX} events")
    leaves = [leaf_hash(_receipted_leaf(event)) for event in events]
    if any("audit_path" in event for event in events):
        pairs = zip(leaves, events, strict=True)
        roots = {_root_by_path(leaf, each["leaf_index"], body["events"], each["audit_path"]) for leaf, each in pairs}
    else:
        tree = Tree()
        for leaf in leaves:
            tree.add(leaf)
        roots = {tree.root() if tree.count == body["events"] else None}
    if roots != {body["root"]}:
        raise UnusableError("it does not lead to the root that was signed: an event was changed, added or left out")
    return datetime.fromisoformat(body["at"]), events


def _signed_part(text: str, keys: dict[str, bytes]) -> dict[str, Any]:
    """Return what a key has signed; raise UnusableError."""
    signed, _, signature = text.rpartition(".")
    head, _, payload = signed.partition(".")
    header = value_of(_of_base64url(head))
    if (header["alg"], header["typ"]) != RECEIPT_HEADER or header.keys() != {"alg", "kid", "typ"}:
        raise UnusableError("it is signed as something else")
    if header["kid"] not in keys:
        raise UnusableError(f"its key {header['kid']!r} is unknown")
    if not is_signed(keys[header["kid"]], signed.encode("ascii"), _of_base64url(signature)):
        raise UnusableError("its signature is wrong")
    body: dict[str, Any] = value_of(_of_base64url(payload))
    return body


def _receipted_leaf(event: dict[str, Any]) -> bytes:
    """Return the content of an event's leaf; raise UnusableError if a field has another form."""
    if event.keys() - {*_RECEIPTED, "leaf_index", "audit_path"}:
        raise UnusableError("an event has other fields than a receipted one")
    are_hashes = all(map(_HASH.fullmatch, event.get("audit_path", [])))
    if not are_hashes or not all(form.fullmatch(event[name]) for name, form in _RECEIPTED.items()):
        raise UnusableError("an event has a field of another form")
    return " ".join(event[name] for name in _RECEIPTED).encode("ascii")


def _root_by_path(node: bytes, index: int, count: int, path: Sequence[str]) -> str | None:
    """Return the root that an audit path leads to (RFC 9162, section 2.1.3.2); None if it is not a path of the leaf."""
    last = count - 1
    if not 0 <= index <= last:
        return None
    for each in path:
        if last == 0:
            return None
        beside = bytes.fromhex(each)
        if index & 1 or index == last:
            node = hashlib.sha256(b"\x01" + beside + node).digest()
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\x01" + node + beside).digest()
        index, last = index >> 1, last >> 1
    return node.hex() if last == 0 else None


def _compare_with_receipts(database: sqlite3.Connection, video_id: str, event: Event) -> None:
    """Note at its receipts that an event is there."""
    receipts = database.execute(
        "SELECT rowid, video_id, day, sha256 FROM receipted WHERE event_id = ?", (event.event_id,)
    ).fetchall()
    for rowid, *receipted in receipts:
        is_filed = receipted[:2] == [video_id, event.day] or event.outcome.startswith("rejected:")
        known = SAME if event.sha256 == receipted[2] else OTHER if event.sha256 else SAME_WITHOUT_CONTENT
        database.execute(
            "UPDATE receipted SET found = max(found, ?) WHERE rowid = ?", (known if is_filed else OTHER, rowid)
        )
    if receipts:
        try:
            database.execute("INSERT INTO receipted_places VALUES (?, ?)", event.place[1:])
        except sqlite3.IntegrityError as error:
            raise WrongError(EVENTS, event.line, f"event {event.event_id} has a second verdict") from error


def check_receipts(bundle: Bundle, found: Found) -> dict[str, int]:
    """Check that every receipted event of the period is there; return how many could not be compared, and why."""
    version = bundle.versions["batch"]
    try:
        marks = _content(found, "version", str(version)).get("watermarks") or ()
        settled_until = min(map(datetime.fromisoformat, marks), default=None)
        unsettled = 0
        for event_id, at, file, line, known in found.database.execute(
            "SELECT event_id, at, file, line, found FROM receipted WHERE found < ? ORDER BY file, line, rowid",
            (SAME_WITHOUT_CONTENT,),
        ):
            if not known and settled_until and datetime.fromisoformat(at) >= settled_until - CLOCK_SPARE:
                unsettled += 1
                continue
            reason = (
                "is there with another content, video or day" if known else f"is not there; version {version} covers it"
            )
            raise WrongError(EVENTS, 0, f"event {event_id}, receipted at {at} ({file}, line {line}), {reason}")
    except NO_VALUE as error:
        raise WrongError(RECORDS, 0, f"the watermarks of version {version} cannot be read ({cause(error)})") from error
    sums = "SELECT count(*) FILTER (WHERE found = ?), count(*) FROM receipted"
    without, count = found.database.execute(sums, (SAME_WITHOUT_CONTENT,)).fetchone()
    return {
        "receipted_events": count - unsettled,
        "receipted_events_without_content": without,
        "receipted_events_not_settled": unsettled,
    }


# --- One statement ---------------------------------------------------------------------------------------


class Days(NamedTuple):
    """The days [start, end) of a statement."""

    start_on: date
    end_on: date


SHOWN = (
    "the statement, its steps and its postings are in the signed books, and were not changed since",
    "its lines come to its amount, line by line, with remainder, cap and tax; the ledger holds the same amount",
    "rates, tiers, cap and tax follow from the terms in the file",
)
NOT_SHOWN = (
    "that the terms are those of your contract, and that tax is withheld for your country: compare both yourself",
    "that no view was left out or judged wrongly: the bundle of the period recomputes that for all payees together",
    "steps that were taken after the file was made",
    "that the amount arrived: your bank shows that, by the reference of the payout",
)
SHOWN_BY_EVENTS = "every line pays exactly the events of the second file that name it, each view once"
SHOWN_BY_EVENTS_ONLY = "which events the lines pay: give them with --events"
SHOWN_BY_KEPT_ONLY = "that others were shown the same checkpoints: give those that were kept elsewhere with --kept"


def verify_statement(
    file: Path, public_key: str, kept_places: Sequence[Path], *, events: Path | None = None
) -> dict[str, Any]:
    """Check the bundle of one statement; return what was found. Raise WrongError, UnusableError."""
    kept, _ = read_kept(kept_places)
    try:
        document = value_of(short_content(file, JSON_LINE_MAX))
        if document["format"] != STATEMENT_FORMAT:
            raise ValueError(f"its format is {document['format']!r}")
    except (OSError, RecursionError, *NO_VALUE) as error:
        raise UnusableError(f"{file} is not a bundle of a statement, {STATEMENT_FORMAT} ({cause(error)})") from error
    try:
        checkpoints = check_chain(_links(document["checkpoints"]), public_key, kept)
        days, statement, found = _statement_records(document, checkpoints)
        row = statement["row"]
        _check_sums(1, statement)
        check_ledger_of_statement(found, row)
        _check_totals(Contracts(document["terms"]), days.end_on, row["tax_country"], 1, statement)
        counted_events = {} if events is None else {"events": check_paid_events(events, statement["lines"])}
        query = "SELECT state FROM states WHERE statement_id = ?"
        (state,) = found.database.execute(query, (row["statement_id"],)).fetchone()
    except WrongError as error:
        raise error if error.file == str(events) else WrongError(str(file), 0, error.text) from error
    except (*NO_VALUE, StopIteration, RecursionError) as error:
        raise WrongError(str(file), 0, f"a field is missing or not valid ({cause(error)})") from error
    names = ("statement_id", "payee_id", "currency", "payable_micros")
    return {
        **{name: row[name] for name in names},
        "period": f"{days.start_on}/{days.end_on}",
        "state": state,
        "checkpoints": len(checkpoints),
        "records": found.record_count,
        "records_not_signed": found.uncovered_count,
        "lines": len(statement["lines"]),
        **counted_events,
    }


def _links(links: list[dict[str, str]]) -> Iterator[tuple[int, bytes]]:
    for number, link in enumerate(links, 1):
        body = parsed(CHECKPOINTS, number, link["body"].encode())
        if canonical(body) != link["body"].encode():
            raise WrongError(CHECKPOINTS, number, f"link {number} is not in canonical form")
        yield number, canonical({"body": body, "signature": link["signature"]})


def _statement_records(document: dict[str, Any], checkpoints: Sequence[Checkpoint]) -> tuple[Days, Any, Found]:
    """Check each record's way to its checkpoint and its cause; return the statement's days, its record and all."""
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.executescript(SCHEMA)
    found, by_sequence = Found(database, has_whole_ledger=False), {each.line: each for each in checkpoints}
    statement_id, last, first, days = document["statement_id"], 0, None, Days(date.min, date.min)
    for number, each in enumerate(document["records"], 1):
        text = each["record"].encode()
        record = parsed(RECORDS, number, text)
        row, name = record["row"], f"{record['kind']} {record['key']}"
        about = {"statement": "statement_id", "transaction": "statement_id", "transition": "subject_id"}
        if (first is None) != (record["kind"] == "statement") or row[about[record["kind"]]] != statement_id:
            raise WrongError(RECORDS, number, f"{name} is not a record of statement {statement_id} at its place")
        if canonical(record) != text or not isinstance(record["position"], int) or record["position"] <= last:
            raise WrongError(RECORDS, number, f"{name} is not in canonical form, or out of order")
        last = record["position"]
        if first is None:
            first, days = record, Days(*(date.fromisoformat(row[f"period_{end}_on"]) for end in ("start", "end")))
        _check_inclusion(number, each, record, by_sequence)
        _check_time(number, record, checkpoints)
        found.record_count += 1
        found.uncovered_count += "checkpoint" not in each
        _remember(found, days, number, record)
    if first is None:
        raise WrongError(RECORDS, 0, f"statement {statement_id} is missing")
    return days, first, found


def _check_inclusion(
    number: int, each: dict[str, Any], record: dict[str, Any], by_sequence: dict[int, Checkpoint]
) -> None:
    """Check that a record's audit path leads to the root of the checkpoint that covers its position."""
    if "checkpoint" not in each:
        return
    name, checkpoint = f"{record['kind']} {record['key']}", by_sequence.get(each["checkpoint"])
    if checkpoint is None or not checkpoint.position_start <= record["position"] < checkpoint.position_end:
        raise WrongError(RECORDS, number, f"{name} is not covered by checkpoint {each['checkpoint']}")
    node = leaf_hash(each["record"].encode())
    if _root_by_path(node, each["leaf_index"], checkpoint.record_count, each["audit_path"]) != checkpoint.root:
        raise WrongError(RECORDS, number, f"{name} is not what the checkpoint of {checkpoint.day} signed")


def check_ledger_of_statement(found: Found, row: dict[str, Any]) -> None:
    """Check that the postings of a statement follow from it and from its state, and no others are there."""
    query = "SELECT line, kind, subject_id, record FROM transactions ORDER BY line"
    for line, kind, subject_id, text in found.database.execute(query).fetchall():
        _check_transaction(found, line, kind, subject_id, json.loads(text))
    _check_posting(found, 1, row)


def check_paid_events(file: Path, lines: Sequence[dict[str, Any]]) -> int:
    """Check that the events of a file are those that the lines pay, by their evidence roots; return how many."""
    trees, last, number = [Tree() for _ in lines], ("", ""), 0
    with opened(file) as readable:
        for number, text in enumerate(iter(lambda: readable.readline(CSV_LINE_MAX), b""), 1):
            try:
                event = value_of(text)
                place, paying = (event["video_id"], event["event_id"]), [lines[index] for index in event["lines"]]
                is_paid_once = [line["kind"] for line in paying].count("views") == 1
                if event["number"] != number or place < last or min(event["lines"]) < 0:
                    raise WrongError(str(file), number, f"is not event {number}: one is missing or out of order")
                if not is_paid_once or any(line["video_id"] != place[0] for line in paying):
                    raise WrongError(str(file), number, f"event {place[1]} is not paid once, for its own video")
                for index in event["lines"]:
                    trees[index].add(leaf_hash(place[1].encode()))
            except (IndexError, RecursionError, *NO_VALUE) as error:
                raise WrongError(str(file), number, f"is not an event of the statement ({cause(error)})") from error
            last = place
    for line, tree in zip(lines, trees, strict=True):
        if (tree.count, tree.root()) != (line["event_end"] - line["event_start"], line["evidence_root"]):
            name = f"line {line['line_index']} pays {line['event_end'] - line['event_start']} events"
            text = f"{name}, and these are not the {tree.count} of this file that name it"
            raise WrongError(str(file), 0, text)
    return number


def print_statement(found: dict[str, Any], *, as_json: bool, with_kept: bool) -> int:
    """Print what was found, and in words what that shows and what it does not; return the exit code."""
    by_events = "events" in found
    shows = [*SHOWN, *[SHOWN_BY_EVENTS] * by_events]
    others = [*NOT_SHOWN, *[SHOWN_BY_EVENTS_ONLY] * (not by_events), *[SHOWN_BY_KEPT_ONLY] * (not with_kept)]
    if as_json:
        print(json.dumps({"sound": True, **found, "shows": shows, "does_not_show": others}))
    else:
        names = ("checkpoints", "records", "records_not_signed", "lines", *["events"] * by_events)
        counts = ", ".join(counted(found[name], name.replace("_", " ")) for name in names)
        whole, micros = divmod(found["payable_micros"], 1_000_000)
        name = f"statement {found['statement_id']} of payee {found['payee_id']} for {found['period']}, {found['state']}"
        text = [f"viewledger-verify: everything agrees: {name}: {whole:,}.{micros:06} {found['currency']} payable"]
        text += [f"checked: {counts}", "this shows:", *(f"  - {each}" for each in shows)]
        text += ["this does not show:", *(f"  - {each}" for each in others)]
        print("\n".join(map(shown, text)))
    return 3 if found["records_not_signed"] else 0


# --- The whole -------------------------------------------------------------------------------------------


def check_files(bundle: Bundle) -> None:
    """Check that the files are those of the manifest; last, because the checks before it name the row."""
    for name in bundle.files:
        if bundle.manifest["files"].get(name) != bundle.sha256(name):
            raise WrongError(name, 0, "is not the file that manifest.json names (SHA-256)")


def verify(
    folder: Path,
    public_key: str,
    kept_places: Sequence[Path],
    *,
    opened_max: int = OPENED_MAX,
    receipts: Sequence[Path] = (),
    receipt_keys: Path | None = None,
    reader: str = "",
) -> dict[str, Any]:
    """Check everything; return what was found. Raise WrongError at the first wrong row, UnusableError."""
    if bool(receipts) != bool(receipt_keys):
        raise UnusableError("give --receipts and --receipt-keys together")
    kept, kept_leaves = read_kept(kept_places)
    bundle = Bundle(folder, opened_max)
    if reader:
        refuse_other_reader(bundle, reader)
    with tempfile.TemporaryDirectory(prefix="viewledger-verify-") as scratch:
        database = sqlite3.connect(os.path.join(scratch, "index.sqlite"), isolation_level=None)
        database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN;" + SCHEMA)
        receipted = keep_receipts(bundle, receipts, read_receipt_keys(receipt_keys), database) if receipt_keys else 0
        checkpoints = check_chain(bundle.lines(CHECKPOINTS), public_key, kept)
        check_kept_leaves(bundle, checkpoints, kept_leaves)
        found = check_records(bundle, checkpoints, database)
        (found.receipted_count,) = database.execute("SELECT count(*) FROM receipted").fetchone()
        transaction_count = check_ledger(bundle, found)
        check_catalogue(bundle, found)
        contracts = contracts_of(bundle, found)
        statement_count = check_statements(bundle, found, contracts)
        event_count = check_events(bundle, found, contracts)
        about_reasons = _about_reasons(bundle, found)
        about_receipts = check_receipts(bundle, found) if receipt_keys else {}
        check_files(bundle)
        database.close()
    return {
        **({"for": bundle.reader} if bundle.reader else {}),
        "checkpoints": len(checkpoints),
        "records": found.record_count,
        "records_not_signed": found.uncovered_count,
        "transactions": transaction_count,
        "statements": statement_count,
        "events": event_count,
        **about_reasons,
        **about_receipts,
        **({"receipted_events_elsewhere": receipted - found.receipted_count} if receipt_keys else {}),
    }


def _about_reasons(bundle: Bundle, found: Found) -> dict[str, int]:
    if bundle.reader != AUDITOR:
        return {}
    try:
        return check_reasons(bundle, found)
    except NO_VALUE as error:
        raise WrongError(RECORDS, 0, f"what the rules of traffic need cannot be read ({cause(error)})") from error


def counted(count: int, name: str) -> str:
    """Return a number with its noun: `records not signed` is `record not signed` for one."""
    first, *others = name.split(" ")
    return " ".join([f"{count:,}", first.removesuffix("s") if count == 1 else first, *others])


def read_public_key(text: str) -> str:
    """Return a public key in hex from 64 hex digits, or from a file that holds them or a PEM of RFC 8410."""
    path = Path(text)
    content = short_content(path).decode().strip() if path.is_file() else text.strip()
    if content.startswith("-----BEGIN PUBLIC KEY-----"):
        raw = base64.b64decode("".join(content.splitlines()[1:-1]))
        if len(raw) != 44 or not raw.startswith(bytes.fromhex("302a300506032b6570032100")):
            raise UnusableError(f"{text} holds no Ed25519 key")
        return raw[12:].hex()
    if len(content) != 64 or set(content.lower()) - set("0123456789abcdef"):
        raise UnusableError(f"{text} is not a public key: give 64 hex digits or a PEM file")
    return content.lower()


def main(words: Sequence[str]) -> int:
    """Run the command line; return the exit code."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="viewledger-verify", description=__doc__, formatter_class=plain)
    parser.add_argument(
        "bundle",
        type=Path,
        metavar="BUNDLE",
        help="the folder that `billing proof export` wrote, or the file of one statement",
    )
    parser.add_argument(
        "--pubkey", required=True, metavar="K", help="the signer's public key: a file, or 64 hex digits"
    )
    parser.add_argument(
        "--kept",
        type=Path,
        action="append",
        default=[],
        metavar="PLACE",
        help="checkpoints kept elsewhere: file or folder",
    )
    parser.add_argument(
        "--receipts",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="receipts of the collector, one a line: each event of the period must be in the bundle",
    )
    parser.add_argument("--receipt-keys", type=Path, metavar="JWKS", help="the collector's public keys")
    parser.add_argument("--events", type=Path, metavar="FILE", help="the events of the statement, as NDJSON")
    parser.add_argument(
        "--for",
        dest="reader",
        choices=(PAYEE, AUDITOR),
        default="",
        help="for whom the bundle must be; others are refused",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--opened-max",
        type=int,
        default=OPENED_MAX,
        metavar="BYTES",
        help=f"most that a compressed file may open to (default: {OPENED_MAX})",
    )
    arguments = parser.parse_args(words)
    try:
        public_key = read_public_key(arguments.pubkey)
        if arguments.bundle.is_file():
            if arguments.receipts or arguments.receipt_keys or arguments.reader:
                raise UnusableError("--receipts and --for go with the bundle of a period, which is a folder")
            found = verify_statement(arguments.bundle, public_key, arguments.kept, events=arguments.events)
            return print_statement(found, as_json=arguments.json, with_kept=bool(arguments.kept))
        if arguments.events:
            raise UnusableError("--events goes with the bundle of one statement, which is a file")
        found = verify(
            arguments.bundle,
            public_key,
            arguments.kept,
            opened_max=arguments.opened_max,
            receipts=arguments.receipts,
            receipt_keys=arguments.receipt_keys,
            reader=arguments.reader,
        )
    except WrongError as error:
        document = {"sound": False, "file": error.file, "line": error.line, "wrong": error.text}
        print(json.dumps(document) if arguments.json else shown(f"viewledger-verify: WRONG: {error}"))
        return 1
    except OSError as error:
        text = f"viewledger-verify: {error.filename or 'a file'} cannot be read ({cause(error)})"
        print(shown(text), file=sys.stderr)
        return 2
    except (UnusableError, ValueError) as error:
        print(shown(f"viewledger-verify: {error}"), file=sys.stderr)
        return 2
    except Exception as error:  # noqa: BLE001  a bundle comes from a stranger: the answer is always one sentence
        wrong = f"a value has a form that is not allowed in a bundle ({type(error).__name__})"
        document = {"sound": False, "file": str(arguments.bundle), "line": 0, "wrong": wrong}
        print(json.dumps(document) if arguments.json else shown(f"viewledger-verify: WRONG: {wrong}"))
        return 1
    if arguments.json:
        print(json.dumps({"sound": True, **found}))
    else:
        reader = found.pop("for", "")
        counts = ", ".join(counted(count, name.replace("_", " ")) for name, count in found.items())
        print(f"viewledger-verify: everything agrees{f' in this bundle for the {reader}' if reader else ''}: {counts}")
    return 3 if found["records_not_signed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
