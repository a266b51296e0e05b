"""`./viewledger attacks [NAME…]`: try attacks of strangers and insiders, and name what any of them gained."""

import json
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from attacks import (
    bank_attacks,
    bundle_attacks,
    event_attacks,
    framing_attacks,
    login_attacks,
    play_attacks,
    poison_attacks,
    portal_attacks,
    request_attacks,
    token_attacks,
)
from attacks.attempts import GOT_THROUGH, REPELLED, Attack, Outcome, carry_out
from attacks.results import record, table, write_document
from attacks.site import SETTINGS, Site
from faults.choosing import chosen, fresh_folder, listing
from faults.scene import Scene
from faults.servers import AllServers
from jobs.exit_codes import ExitCode

ATTACKS: Mapping[str, Attack] = {
    **event_attacks.FAMILY,
    **play_attacks.FAMILY,
    **poison_attacks.FAMILY,
    **token_attacks.FAMILY,
    **portal_attacks.FAMILY,
    **request_attacks.FAMILY,
    **framing_attacks.FAMILY,
    **bank_attacks.FAMILY,
    **bundle_attacks.FAMILY,
    **login_attacks.FAMILY,
}
SENTENCES = {name: " ".join((attack.__doc__ or "").split("\n\n")[0].split()) for name, attack in ATTACKS.items()}
SLOW = frozenset({"request-half-open"})
"""Attacks that wait for minutes, or need more servers; `--quick` leaves them out."""
SEED = 20261128


def run(*, names: Sequence[str], listed: bool, quick: bool, recorded: bool, as_json: bool) -> ExitCode:
    """Return OK if every attack was repelled; DIFFERENCE if one got through or could not be tried."""
    if listed:
        print(listing(SENTENCES, as_json=as_json))
        return ExitCode.OK
    for noisy in ("kafka", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    wanted = [name for name in chosen(names, ATTACKS, "attack") if not (quick and name in SLOW)]
    folder = fresh_folder("attacks", "stack")
    outcomes = []
    with (
        AllServers(folder, with_hdfs=False, tell=tell) as servers,
        Scene(servers.usual(), folder / "site", SEED, settings=SETTINGS) as scene,
        Site(scene) as site,
    ):
        for name in wanted:
            outcomes.append(tried(name, site))
            if recorded:
                record(outcomes[-1])
                write_document(SENTENCES)
    print(json.dumps([asdict(each) for each in outcomes], indent=1) if as_json else _shown(outcomes))
    return ExitCode.OK if all(each.verdict == REPELLED for each in outcomes) else ExitCode.DIFFERENCE


def tried(name: str, site: Site) -> Outcome:
    """Carry out an attack and return its result."""
    started = time.monotonic()
    outcome = carry_out(name, ATTACKS[name], site)
    tell(f"{name}: {outcome.verdict}, {outcome.tries:,} tries ({time.monotonic() - started:.0f} s)")
    for gain in outcome.gained:
        tell(f"    {gain}")
    return outcome


def _shown(outcomes: Sequence[Outcome]) -> str:
    through = sum(each.verdict == GOT_THROUGH for each in outcomes)
    repelled = sum(each.verdict == REPELLED for each in outcomes)
    rest = len(outcomes) - through - repelled
    closing = f"{repelled} of {len(outcomes)} attacks repelled, {through} got through, {rest} could not be tried"
    return "\n".join([*table(outcomes, SENTENCES), "", closing])


def tell(text: str) -> None:
    """Print one line of progress."""
    print(f"attacks: {text}", file=sys.stderr, flush=True)
