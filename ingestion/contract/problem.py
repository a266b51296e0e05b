"""What every HTTP surface answers when it cannot do what was asked: a problem document (RFC 9457)."""

import msgspec

PROBLEM_MEDIA_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True):
    """One problem: `code` is stable and meant for programs, `detail` is one sentence for people."""

    status: int
    code: str
    detail: str

    def to_json(self) -> bytes:
        """Return the problem document; `type` and `title` are made from the code."""
        return msgspec.json.encode(
            {
                "type": f"urn:viewledger:problem:{self.code}",
                "title": self.code.replace("_", " ").capitalize(),
                "status": self.status,
                "code": self.code,
                "detail": self.detail,
            }
        )
