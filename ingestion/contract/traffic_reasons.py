"""Why the rules of traffic doubt an event, and the classes that payees see of all reasons."""

from enum import Enum, StrEnum

from ingestion.contract.event import Reason


class InvalidClass(StrEnum):
    """What payees are shown of a reason: never the rule, and never its thresholds."""

    ROBOT = "robot"
    """A program: by its own words, or because it keeps time as no person does."""
    CONTRADICTION = "contradiction"
    """What the event says in two places cannot both be so."""
    IMPOSSIBLE = "impossible"
    """Nobody can have watched that."""
    COORDINATED = "coordinated"
    """Several viewers act as one."""
    UNNATURAL = "unnatural"
    """Views that end as those of no audience do."""
    ORIGIN = "origin"
    """Views that come from where an audience does not come from."""


class TrafficReason(Enum):
    """Why an event is doubted or invalid traffic: a stable code, its class, and a sentence for people."""

    def __init__(self, code: str, its_class: InvalidClass, sentence: str) -> None:
        self.code = code
        self.its_class = its_class
        self.sentence = sentence

    @property
    def reason(self) -> Reason:
        """Return the reason as events keep it."""
        return Reason(self.code, self.sentence)


class DayReason(TrafficReason):
    """Why the day rules doubt an event.

    The class is the family of evidence too: points of two reasons add up only if their classes differ.
    """

    PLAYS_AT_ONCE = (
        "plays_at_once",
        InvalidClass.IMPOSSIBLE,
        "One viewer watched more videos at the same time, again and again, than a household on one account does",
    )
    MORE_HOURS_THAN_A_DAY = (
        "more_hours_than_a_day",
        InvalidClass.IMPOSSIBLE,
        "One viewer watched more hours than the day has",
    )
    COUNTRIES_WITHIN_HOURS = (
        "countries_within_hours",
        InvalidClass.IMPOSSIBLE,
        "One viewer moved between more countries than anybody can within that time",
    )
    NETWORKS_WITHIN_HOURS = (
        "networks_within_hours",
        InvalidClass.IMPOSSIBLE,
        "One viewer moved between more networks than anybody can within that time",
    )
    EVEN_PAUSES = (
        "even_pauses",
        InvalidClass.ROBOT,
        "One viewer's views follow each other by a clock, although they are left at different moments",
    )
    SHARED_SESSION = (
        "shared_session",
        InvalidClass.COORDINATED,
        "One session of a player was used by several viewers in several networks, for one payee",
    )
    REPEATED_SCRIPT = (
        "repeated_script",
        InvalidClass.COORDINATED,
        "The same videos were left at the same seconds, in the same order, by several viewers or again and again",
    )
    LOCKSTEP = (
        "lockstep",
        InvalidClass.COORDINATED,
        "Viewers in several networks began the same videos of several payees at the same times",
    )
    ACCOUNTS_IN_TURN = (
        "accounts_in_turn",
        InvalidClass.COORDINATED,
        "Several viewers on one device watched one payee, and never two of them at a time",
    )
    NOBODY_LEAVES_EARLY = (
        "nobody_leaves_early",
        InvalidClass.UNNATURAL,
        "Many left these videos before their end, but hardly one of them before the view was long enough to be paid",
    )
    LEAVE_ONCE_PAID = (
        "leave_once_paid",
        InvalidClass.UNNATURAL,
        "Many more than elsewhere left as soon as the view was long enough to be paid",
    )
    NEITHER_LEFT_NOR_FINISHED = (
        "neither_left_nor_finished",
        InvalidClass.UNNATURAL,
        "Hardly one of these views was left early or seen to its end, and of all others about half are",
    )
    NETWORKS_SEEN_ONCE = (
        "networks_seen_once",
        InvalidClass.ORIGIN,
        "Many more than elsewhere in the same countries came from networks that nobody else uses",
    )


class PeriodReason(TrafficReason):
    """Why the rules of a period doubt an event: what shows only over weeks."""

    EVEN_DAYS = (
        "even_days",
        InvalidClass.ROBOT,
        "One viewer left as many videos of one payee before their end on every day, for weeks",
    )
    PAYEES_IN_A_RING = (
        "payees_in_a_ring",
        InvalidClass.COORDINATED,
        "Payees watched the same videos of one another again and again, for weeks",
    )
    CROWD_OF_WEEKS = (
        "crowd_of_weeks",
        InvalidClass.UNNATURAL,
        "Over weeks, the views of many viewers of one payee end as those of no audience do",
    )


RULE_REASONS: tuple[TrafficReason, ...] = (*DayReason, *PeriodReason)
"""Those of all rules that look at many events."""
PERIOD_CODES = frozenset(each.code for each in PeriodReason)
ORDER_OF_CODE = {each.code: number for number, each in enumerate(RULE_REASONS)}
"""Of two reasons with equal points the first one is named."""
