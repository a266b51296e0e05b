"""Sorted events are folded into pieces, and a list of advertisements stays a list on the way."""

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa

from batch_layer.settled.spark_attribution import _gather, unpacked
from ingestion.contract.settled import SettledPiece

NAMES = [
    "payee_id", "video_id", "owned_from_on", "effective_from_on", "country", "policy_version", "owned_to_on",
    "share_ppm", "outcome", "event_id", "ads",
]  # fmt: skip
GROUP = ("ann", "v", 20_000, 20_000, "US", 1, 20_100, 1_000_000)
WILD = ["pre_roll\npre_roll\npre_roll", "", "a,b", 'a"b', "a\0b", "\u2028", "a|b", "mid"]


def pieces_of(shown: Sequence[Sequence[str] | None]) -> list[SettledPiece]:
    """Return the pieces of billable events with these advertisements, three events in each chunk."""
    rows = [(*GROUP, "billable", f"{number:032x}", ads) for number, ads in enumerate(shown)]
    chunks = []
    for at in range(0, len(rows), 3):
        *columns, ads = zip(*rows[at : at + 3], strict=True)
        arrays = [*map(pa.array, columns), pa.array(ads, pa.list_(pa.string()))]
        chunks.append(pa.RecordBatch.from_arrays(arrays, names=NAMES))
    return list(unpacked([row["packed"]] for packet in _gather(chunks) for row in packet.to_pylist()))


def test_one_advertisement_is_paid_once_whatever_its_type_is_written_with() -> None:
    (piece,) = pieces_of([["pre_roll\npre_roll\npre_roll"]])
    assert piece.ads == {"pre_roll\npre_roll\npre_roll": 1}


def test_every_advertisement_of_every_list_is_one_and_keeps_its_text() -> None:
    shown = [WILD, None, ["mid"], ["mid", "mid\nmid"], WILD[:3], None, ["a|b"]]
    (piece,) = pieces_of(shown)
    assert piece.ads == Counter(name for ads in shown for name in ads or ())
    assert piece.outcomes == {"billable": len(shown)}
    assert len(piece.event_ids) == len(shown)
