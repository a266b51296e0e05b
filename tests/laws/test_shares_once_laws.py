"""After any imports, bills, restatements, approvals and voids in any order: no view is ever paid twice."""

import contextlib
import random
from dataclasses import replace
from datetime import date, timedelta

import pytest

from billing.errors import PostingConflictError
from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.ownership import SINCE_EVER, WITHOUT_END, OwnerShare, divided
from tests.billing_fakes import OCTOBER, Count, card_of, contracts_of
from tests.unit.test_billing_corrections import RATE, Scene

SEEDS = range(20261300, 20261340)
NAMES = ("ann", "bob", "cid", "dan")
VIDEOS = ("v", "w", "x")


def random_catalogue(chance: random.Random) -> Catalogue:
    """Return a catalogue in which any payee owns any share of any video on any days, or nobody does."""
    shares: list[OwnerShare] = []
    for video_id in VIDEOS:
        starts = [SINCE_EVER, *sorted({OCTOBER.start_on + timedelta(days=chance.randint(1, 30)) for _ in range(2)})]
        for start, end in zip(starts, [*starts[1:], WITHOUT_END], strict=True):
            owners = chance.sample(NAMES, chance.randint(0, 2))
            parts = [1_000_000] if len(owners) == 1 else [chance.randint(1, 999_999)]
            parts += [1_000_000 - parts[0]] if len(owners) == 2 else []
            shares += [OwnerShare(video_id, start, end, *each) for each in zip(owners, parts, strict=False)]
    owned = (share for video_id in VIDEOS for share in divided(video_id, (s for s in shares if s.video_id == video_id)))
    return Catalogue(tuple(Payee(name, name) for name in NAMES), tuple(map(Video, VIDEOS)), tuple(owned))


def random_count(chance: random.Random) -> Count:
    day = OCTOBER.start_on + timedelta(days=chance.randint(0, 30))
    return Count(chance.choice([*VIDEOS, "unknown"]), day, chance.choice(["US", None]), 7, chance.randint(1, 7))


@pytest.mark.parametrize("seed", SEEDS)
def test_no_view_is_paid_twice_in_any_order_of_what_people_do(seed: int) -> None:
    chance = random.Random(seed)
    scene = Scene(catalogues=[random_catalogue(chance)], counts=[random_count(chance) for _ in range(12)])
    scene.counts = list({(each.video_id, each.event_day, each.country): each for each in scene.counts}.values())
    for _ in range(14):
        with contextlib.suppress(PostingConflictError):
            step(scene, chance)
        assert scene.books.beyond_whole() == [], f"seed {seed}"
        assert all(each.difference_nanomicros == 0 for each in scene.books.totals()), f"seed {seed}"
    scene.run()
    with contextlib.suppress(PostingConflictError):
        scene.move("approved")
    assert most_paid(scene) <= all_that_is_there(scene), f"seed {seed}"


def step(scene: Scene, chance: random.Random) -> None:
    """Do one of the things that people do."""
    action = chance.choice(["import", "run", "restate", "restate by", "rates", "late", "approve", "void"])
    billed = scene.books.restatement_number(scene.run().run) > 0
    if action == "import":
        scene.catalogues.append(random_catalogue(chance))
    elif action == "rates":
        scene.contracts.append(contracts_of(card_of(chance.choice([RATE, RATE * 2]))))
    elif action == "late":
        index = chance.randrange(len(scene.counts))
        one = scene.counts[index]
        scene.counts[index] = replace(one, views=one.views + 1, billable_views=one.billable_views + 1)
        scene.version += 1
    elif action == "restate" and billed:
        scene.run("late events")
    elif action == "restate by" and billed:
        scene.run("other terms", catalogue=chance.randint(1, len(scene.catalogues)), contract=len(scene.contracts))
    elif action in ("approve", "void"):
        some = chance.sample(NAMES, chance.randint(0, len(NAMES)))
        scene.move("approved" if action == "approve" else "voided", *some)


def most_paid(scene: Scene) -> int:
    """Return Σ share × quantity over the lines in force."""
    books = scene.books
    posted = [each for each in books.statements.values() if books.state(each) in ("finalised", "paid")]
    lines = (settled.line for each in posted for settled in books.lines[each.statement_id])
    return sum(line.quantity * line.share_ppm for line in lines)


def all_that_is_there(scene: Scene) -> int:
    """Return the whole of every billable view of a video of the catalogue."""
    assert all(each.event_day < date(2026, 11, 1) for each in scene.counts)
    return sum(each.billable_views * 1_000_000 for each in scene.counts if each.video_id in VIDEOS)
