"""A play: what the platform that serves a video knows of a view before it begins, and signs for the player to send.

One play is one view: its id is the event's id, whatever is sent, and however often.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, NamedTuple, Protocol
from uuid import UUID

from msgspec import Meta, Struct, field

from ingestion.contract.event import ADVERTISEMENTS_MAX, PersonText, Reason, ShortText, VideoId

PLAY_FIELD = "play"
"""The field of an event in which a player sends the play's token."""
TOKEN_LENGTH_MAX = 2_048
AUDIENCE = "viewledger"
"""The default audience of tokens; installations that share keys need different ones."""
PLAYS_MAX = 500
"""Plays in one request."""
ALGORITHMS = ("HS256", "EdDSA")

_ViewerPseudonym = Annotated[str, Meta(pattern=r"^viewer_[0-9a-f]{32}\Z")]
_SessionPseudonym = Annotated[str, Meta(pattern=r"^session_[0-9a-f]{32}\Z")]
_Seconds = Annotated[int, Meta(ge=0, le=253_000_000_000)]
"""Seconds since 1970 of an instant that the contract of events allows."""
PlayerVersion = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}/[A-Za-z0-9][A-Za-z0-9._+-]{0,22}\Z")]
"""A player and its version, such as `web/3.2.1`."""
PLAYERS_MAX = 200
"""This number of players is counted apart; what a process sees later is counted as `OTHER_PLAYER`."""
OTHER_PLAYER = "other"
_AdViews = Annotated[int, Meta(ge=0, le=ADVERTISEMENTS_MAX)]


class Play(Struct, frozen=True, gc=False):
    """The claims of a token: a JWT of RFC 7519, with the names that it registers where it has one."""

    play_id: UUID = field(name="jti")
    """Also the id of the play's one event."""
    audience: str = field(name="aud")
    begun_at_seconds: _Seconds = field(name="iat")
    """When the view begins, in seconds since 1970; becomes the event's timestamp."""
    start_until_seconds: _Seconds = field(name="exp")
    """The player may begin the view until then. Its events may arrive later."""
    user_id: _ViewerPseudonym = field(name="sub")
    """The viewer's pseudonym."""
    session_id: _SessionPseudonym
    """The session's pseudonym."""
    video_id: VideoId
    revenue_eligible: bool
    geo_location: ShortText | None = None
    """The viewer's country, by the platform's own knowledge."""
    ad_views_max: _AdViews = 0
    """How many advertisements the player may show."""
    player: PlayerVersion | None = None
    """By which plays and events are counted, so that a release that does not send is seen. Events do not have it."""

    @property
    def begun_at(self) -> datetime:
        """Return when the view begins."""
        return _EPOCH + timedelta(seconds=self.begun_at_seconds)

    @property
    def start_until(self) -> datetime:
        """Return until when the view may begin."""
        return _EPOCH + timedelta(seconds=self.start_until_seconds)


class PlayRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """What the platform says of a view that is about to begin."""

    video_id: VideoId
    user_id: PersonText
    """The viewer, as the platform knows them; the token holds a pseudonym."""
    session_id: PersonText
    revenue_eligible: bool
    geo_location: ShortText | None = None
    ad_views_max: _AdViews = 0
    player: PlayerVersion | None = None


class SignedPlay(Struct, frozen=True):
    """A token, and what is known of it without opening it."""

    play: str
    event_id: str
    begun_at: datetime
    start_until: datetime


class SignedPlays(Struct, frozen=True):
    """The tokens, in the order in which they were asked for."""

    plays: list[SignedPlay]


class PlaySigner(Protocol):
    """Signs plays that begin now."""

    def __call__(self, asked: PlayRequest) -> SignedPlay:
        """Return the signed play."""


class ReadPlay(NamedTuple):
    """What a token says, and which key signed it."""

    play: Play
    key_id: str


class PlayReader(Protocol):
    """Reads tokens without asking anybody."""

    def __call__(self, token: str) -> ReadPlay | Reason:
        """Return what a token says that a known key signed for us, or the reason for refusing it. Looks at no clock."""


class CountedPlayers:
    """The players that a process counts apart: the first `PLAYERS_MAX` that it sees, so that labels have an end."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def label(self, player: str) -> str:
        """Return what a player is counted as."""
        if player not in self._known:
            if len(self._known) >= PLAYERS_MAX:
                return OTHER_PLAYER
            self._known.add(player)
        return player


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
