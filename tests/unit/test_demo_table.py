"""The demo's last table."""

from jobs.demo.comparison import ComparedRow, render


def test_every_number_stands_under_its_heading_however_large_it_is() -> None:
    rows = [
        ComparedRow("small", 1, 1, "views"),
        ComparedRow("large", 107_620_160_478_000_000, 107_620_160_478_000_001, "nano-micros"),
    ]
    head, *lines = render(rows).splitlines()
    assert lines[1].split() == ["large", "107,620,160,478,000,000", "107,620,160,478,000,001", "1", "nano-micros"]
    for heading, numbers in (("truth", ("1", "107,620,160,478,000,000")), ("difference", ("0", "1"))):
        end = head.index(heading) + len(heading)
        assert [line[:end].split()[-1] for line in lines] == list(numbers)
