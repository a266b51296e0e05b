"""The demo's last table: every number of the pipeline beside the generator's known truth."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from billing.money import NANOMICROS, SHARE_WHOLE_PPM
from jobs.demo.maker import Family, Truth
from jobs.demo.senders import Sent


@dataclass(frozen=True)
class ComparedRow:
    """One number with its expected and its actual value. `unit` is views, events, micros …"""

    name: str
    expected: int
    actual: int
    unit: str = "events"

    @property
    def difference(self) -> int:
        """Return the difference; 0 everywhere is a pass."""
        return self.actual - self.expected


@dataclass(frozen=True)
class Observed:
    """The pipeline's own results at the end, read from its interfaces."""

    over_http: Sent
    to_kafka: Sent
    archived: int
    verdicts: Mapping[str, int]
    served: Mapping[str, Mapping[str, Any]]
    """Video id → answer of the view-count API."""
    invalid: Mapping[str, int]
    """Title of a family's channel → its invalid traffic, by the API."""
    under_review: Mapping[str, int]
    """Title of a family's channel → its views under review, by its statement."""
    billed_views: int
    paid_micros: int
    carried_nanomicros: int
    ledger_sum_micros: int


def compare(truth: Truth, observed: Observed, rates: Mapping[str, int]) -> list[ComparedRow]:
    """Return all rows. `rates` are micros per thousand billable views by country, `*` for every other country."""
    rows = [
        ComparedRow(
            "acknowledged over HTTP", truth.sent_over_http - truth.refused_by_collector, observed.over_http.acknowledged
        ),
        ComparedRow("refused by the collector", truth.refused_by_collector, observed.over_http.refused),
        ComparedRow("acknowledged by Kafka", truth.sent_to_kafka, observed.to_kafka.acknowledged),
        ComparedRow("archived (raw rows, settled part)", truth.settled_verdicts.total(), observed.archived),
    ]
    for verdict in sorted({*truth.settled_verdicts, *observed.verdicts}):
        rows.append(
            ComparedRow(f"verdict {verdict}", truth.settled_verdicts[verdict], observed.verdicts.get(verdict, 0))
        )
    billable = Counter[str]()
    for (video_id, _), count in truth.billable_views.items():
        billable[video_id] += count
    rows += _served_rows(truth, observed.served, billable)
    rows += _family_rows(truth.families, observed)
    due = sum(count * rates.get(country or "*", rates["*"]) for (_, country), count in truth.billable_views.items())
    rows += [
        ComparedRow("billed views", billable.total(), observed.billed_views, "views"),
        ComparedRow(
            "paid + carried",
            due * SHARE_WHOLE_PPM,
            observed.paid_micros * NANOMICROS + observed.carried_nanomicros,
            "nano-micros",
        ),
        ComparedRow("ledger sum", 0, observed.ledger_sum_micros, "micros"),
    ]
    return rows


def _served_rows(
    truth: Truth, served: Mapping[str, Mapping[str, Any]], billable: Mapping[str, int]
) -> list[ComparedRow]:
    total = Counter(truth.settled_views)
    total.update(truth.provisional_views)
    rows, wrong = [], set[str]()
    for name, expected in (
        ("settled_views", truth.settled_views),
        ("provisional_views", truth.provisional_views),
        ("views", total),
        ("billable_views", billable),
    ):
        rows.append(
            ComparedRow(f"served {name}", sum(expected.values()), sum(each[name] for each in served.values()), "views")
        )
        wrong |= {
            video for video in {*expected, *served} if expected.get(video, 0) != served.get(video, {}).get(name, 0)
        }
    rows.append(ComparedRow("videos whose served counts differ", 0, len(wrong), "videos"))
    rows.append(
        ComparedRow("answers marked incomplete", 0, sum(not each["complete"] for each in served.values()), "videos")
    )
    return rows


def _family_rows(families: Sequence[Family], observed: Observed) -> list[ComparedRow]:
    """Return what became of each family, and that no attack was paid and no honest person was suspected."""
    paid = {
        each.name: sum(observed.served.get(video, {}).get("billable_views") or 0 for video in each.videos)
        for each in families
    }
    rows = []
    for family in families:
        found = (
            ("invalid", family.invalid, observed.invalid.get(family.channel, 0)),
            ("under review", family.under_review, observed.under_review.get(family.channel, 0)),
            ("paid", family.paid, paid[family.name]),
        )
        unit = {"invalid": "events", "under review": "views", "paid": "views"}
        rows += [
            ComparedRow(f"{family.name}: {name}", expected, actual, unit[name])
            for name, expected, actual in found
            if expected or actual
        ]
    attacks, honest = ([each for each in families if each.is_attack is wanted] for wanted in (True, False))
    suspected = sum(
        observed.invalid.get(each.channel, 0) + observed.under_review.get(each.channel, 0) for each in honest
    )
    return [
        *rows,
        ComparedRow("all attacks: paid", 0, sum(paid[each.name] for each in attacks), "views"),
        ComparedRow("all look-alikes: invalid or under review", 0, suspected, "views"),
    ]


def render(rows: Sequence[ComparedRow]) -> str:
    """Return the rows as an aligned table."""
    cells = [("", "truth", "pipeline", "difference", "")]
    cells += [(row.name, f"{row.expected:,}", f"{row.actual:,}", f"{row.difference:,}", row.unit) for row in rows]
    name, truth, pipeline, difference, _ = (max(map(len, column)) for column in zip(*cells, strict=True))
    return "\n".join(
        f"{row[0]:{name}}  {row[1]:>{truth}}  {row[2]:>{pipeline}}  {row[3]:>{difference}}  {row[4]}".rstrip()
        for row in cells
    )
