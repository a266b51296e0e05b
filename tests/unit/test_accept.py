"""The weights of Accept decide which form an answer has."""

import random

import pytest

from serving_layer.request.accept import preferred

JSON, CSV = "application/json", "text/csv"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("text/csv", CSV),
        ("text/*", CSV),
        ("TEXT/CSV", CSV),
        ("text/csv, application/json", CSV),
        ("application/json, text/csv", JSON),
        ("text/csv;q=0.5, application/json", JSON),
        ("application/json;q=0.5, text/csv;q=0.9", CSV),
        ("application/json;q=0, */*", CSV),
        ("text/csv;q=0, */*", JSON),
        ("*/*;q=0.1, text/csv;q=0.2", CSV),
        ("text/*;q=0, text/csv", CSV),
        ("text/csv; header=present; q=0.3, application/json ; q=0.2", CSV),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON),
        ("application/*;q=0.001", JSON),
        ("text/csv;q=0", None),
        ("application/json;q=0, text/csv;q=0", None),
        ("*/*;q=0", None),
        ("text/html", None),
        ("text/csv;q=x", None),
        ("text/csv;q=-1", None),
        ("text/csv;q=2", None),
        ("text/csv;q=nan", None),
        ("text/csv;q=" + "9" * 5_000, None),
        (", ,", JSON),
    ],
)
def test_the_largest_weight_of_the_most_exact_range_wins(accept: str, expected: str | None) -> None:
    assert preferred(accept, (JSON, CSV)) == expected


def test_what_has_the_weight_zero_is_never_sent_and_no_header_breaks_it() -> None:
    rng = random.Random(20261128)
    pieces = [
        JSON,
        CSV,
        "text/*",
        "application/*",
        "*/*",
        ";q=0",
        ";q=0.5",
        ";q=1",
        ";q=",
        ";",
        ",",
        " ",
        "=",
        "é",
        "*",
    ]
    for _ in range(5_000):
        accept = "".join(rng.choices(pieces, k=rng.randrange(8)))
        assert preferred(accept, (JSON, CSV)) in (JSON, CSV, None)
        for media_type in (JSON, CSV):
            assert preferred(f"{media_type};q=0,{accept}", (media_type,)) in (None, media_type)
            assert preferred(f"{media_type};q=0,*/*", (media_type,)) is None
