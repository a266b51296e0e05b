"""Charts of the evidence on a group of traffic: shares of its events beside those of others, as bars. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ingestion.contract.traffic_evidence import PARTS, SECONDS_FROM, UNKNOWN, Aspect, EvidenceCount, GroupEvidence
from serving_layer.portal.formatting import whole, words

WIDTH, PLOT_HEIGHT, TOP = 600, 110, 6
"""Of a chart, in units of its own; labels are below the plot."""
SHOWN_MAX = 10
"""The most values of an aspect without an order; the rest is one more."""
PPM = 1_000_000
_TITLES = {
    Aspect.HOUR: ("When in the day", "Hour (UTC)"),
    Aspect.NETWORK_KIND: ("Kinds of network", "Kind"),
    Aspect.DEVICE: ("Devices", "Device"),
    Aspect.COUNTRY: ("Countries", "Country"),
    Aspect.SECONDS: ("Seconds watched", "Seconds"),
    Aspect.ENDING: ("Where in the video they ended", "Part of the video"),
}
_NOT_SAID = {Aspect.NETWORK_KIND: "on no list", Aspect.ENDING: "length unknown"}
_OTHERS = "others"


@dataclass(frozen=True)
class Bar:
    """One bar, in units of the chart. `series` is `group`, `videos` or `all`."""

    series: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class ChartColumn:
    """One value of an aspect: its label, the three counts with their shares in millionths, and their bars."""

    label: str
    middle: float
    counts: tuple[int, int, int]
    shares_ppm: tuple[int, int, int]
    bars: tuple[Bar, ...]

    @property
    def tick(self) -> str:
        """Return the label below the bars: of a range its beginning, for there is little room."""
        return self.label.partition("–")[0]


@dataclass(frozen=True)
class Chart:
    """The chart of one aspect; each series adds up to the whole."""

    title: str
    head: str
    columns: tuple[ChartColumn, ...]


def charts_of(evidence: GroupEvidence) -> list[Chart]:
    """Return a chart for each aspect that is known of any event."""
    return [_chart(aspect, evidence.counts[aspect]) for aspect in Aspect if evidence.counts.get(aspect)]


def totals_of(evidence: GroupEvidence) -> tuple[int, int, int]:
    """Return the events of the group, the others of its videos, and the others of the day."""
    return _sums(evidence.counts.get(Aspect.HOUR, ()))


def _chart(aspect: Aspect, counts: Sequence[EvidenceCount]) -> Chart:
    rows = list(_rows(aspect, counts))
    totals = _sums(counts)
    shares = [
        tuple(count * PPM // total if total else 0 for count, total in zip(each[1:], totals, strict=True))
        for each in rows
    ]
    highest = max((max(each) for each in shares), default=0) or 1
    title, head = _TITLES[aspect]
    return Chart(
        title,
        head,
        tuple(
            ChartColumn(
                each.value,
                (number + 0.5) * WIDTH / len(rows),
                each[1:],
                (share[0], share[1], share[2]),
                tuple(_bars(number, len(rows), share, highest)),
            )
            for number, (each, share) in enumerate(zip(rows, shares, strict=True))
        ),
    )


def _bars(number: int, count: int, shares: Sequence[int], highest: int) -> Iterator[Bar]:
    column = WIDTH / count
    width = column * 0.27
    for place, (series, share) in enumerate(zip(("group", "videos", "all"), shares, strict=True)):
        height = PLOT_HEIGHT * share / highest
        x = number * column + column * 0.095 + place * width
        yield Bar(series, round(x, 1), round(TOP + PLOT_HEIGHT - height, 1), round(width, 1), round(height, 1))


def _rows(aspect: Aspect, counts: Sequence[EvidenceCount]) -> Iterator[EvidenceCount]:
    """Yield a count for each column, its label in the place of the value."""
    known = {each.value: each for each in counts}
    if (order := _ORDERS.get(aspect)) is not None:
        for value, label in order:
            yield EvidenceCount(label, *known.pop(value, EvidenceCount(value, 0, 0, 0))[1:])
    by_size = sorted(known.values(), key=lambda each: (-each.of_group, -each.of_videos, -each.of_all, each.value))
    for each in by_size[:SHOWN_MAX]:
        yield EvidenceCount(_label(aspect, each.value), *each[1:])
    if rest := by_size[SHOWN_MAX:]:
        yield EvidenceCount(_OTHERS, *_sums(rest))


def _label(aspect: Aspect, value: str) -> str:
    return _NOT_SAID.get(aspect, "not said") if value == UNKNOWN else words(value)


def _sums(counts: Sequence[EvidenceCount]) -> tuple[int, int, int]:
    return (
        sum(each.of_group for each in counts),
        sum(each.of_videos for each in counts),
        sum(each.of_all for each in counts),
    )


def _seconds() -> Iterator[tuple[str, str]]:
    for first, after in zip(SECONDS_FROM, (*SECONDS_FROM[1:], None), strict=True):
        yield str(first), f"{whole(first)}+" if after is None else f"{first}–{after - 1}"


_ORDERS = {
    Aspect.HOUR: [(f"{hour:02d}", f"{hour:02d}") for hour in range(24)],
    Aspect.SECONDS: list(_seconds()),
    Aspect.ENDING: [*((str(part), f"{part * 100 // PARTS} %") for part in range(PARTS)), (str(PARTS), "end")],
}
