"""The answer of every HTTP surface to a request that it refuses: a problem document (RFC 9457)."""

import msgspec

PROBLEM_MEDIA_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True):
    """One problem: `code` is stable and meant for programs, `detail` is one sentence for people.

    `part` names the part that does not answer, if that is the reason: `kafka`, `postgres` and so on. `problems` lists
    each single problem, where there may be several.
    """

    status: int
    code: str
    detail: str
    part: str | None = None
    problems: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        """Return the problem document; `type` and `title` are made from the code."""
        document: dict[str, object] = {
            "type": f"urn:viewledger:problem:{self.code}",
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        further = {"part": self.part, "problems": self.problems}
        return msgspec.json.encode(document | {name: value for name, value in further.items() if value})
