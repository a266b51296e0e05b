"""An attack, and its result."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from attacks.site import Site
from faults.waiting import NotInTimeError

REPELLED, GOT_THROUGH, NOT_TRIED = "repelled", "got through", "not tried"
GAINS_SHOWN = 5

Attack = Callable[[Site], Iterator[str | None]]
"""Yields once for each try: None if it was repelled, else one sentence that says what it gained.

The first line of its docstring describes the try and its possible gain.
"""


class NotTriedError(Exception):
    """The attack could not be carried out, so nothing is proven; the message gives the reason."""


@dataclass(frozen=True)
class Outcome:
    """The result of one attack. `tries` counts the attempts, each of which had to be repelled."""

    attack: str
    verdict: str
    tries: int
    gained: tuple[str, ...] = ()


def carry_out(name: str, attack: Attack, site: Site) -> Outcome:
    """Return the result of the attack; one that tried nothing, or could not be tried, is not a success."""
    tries, gained = 0, []
    try:
        for gain in attack(site):
            tries += 1
            if gain is not None:
                gained.append(gain)
    except (NotTriedError, NotInTimeError) as error:
        return Outcome(name, GOT_THROUGH if gained else NOT_TRIED, tries, (*gained[:GAINS_SHOWN], str(error)))
    if gained:
        return Outcome(name, GOT_THROUGH, tries, tuple(gained[:GAINS_SHOWN]))
    return Outcome(name, REPELLED if tries else NOT_TRIED, tries)
