"""Write docs/reference/events.md and docs/view-event.schema.json: `python -m jobs.event_page`. A test compares them."""

import json
from typing import Any

from ingestion import cloud_events
from ingestion.contract.decoding import NESTING_MAX
from ingestion.contract.event import EVENT_BYTES_MAX, EVENT_ID_PATTERN, VIDEO_ID_LENGTH_MAX, VIDEO_ID_PATTERN
from ingestion.contract.event_schema import INSTANT_PATTERN, event_schema
from ingestion.request_body import BODY_BYTES_MAX, EVENTS_MAX
from jobs.settings.declared.listening import COLLECTOR_ORIGINS
from jobs.settings.declared.pipeline import RECEIPTS
from jobs.settings.state_home import PROJECT

PAGE = PROJECT / "docs" / "reference" / "events.md"
SCHEMA = PROJECT / "docs" / "view-event.schema.json"
KIB = 1024
HEAD = f"""\
# Sending events

Written by `python -m jobs.event_page` from the contract; not to be changed by hand. What an event
means is on [the page of the view event](../concepts/events.md), and a library for pages on [players
and servers](../start/players.md). The same contract as JSON Schema 2020-12 is
[view-event.schema.json](../view-event.schema.json).

An event is one JSON object in UTF-8 of at most {EVENT_BYTES_MAX // KIB} KiB. It nests at most {NESTING_MAX} deep,
and no key appears twice in one object. Whole numbers have neither a fraction nor an exponent.
Fields that are not listed here are kept and are not an error. A [play](../concepts/events.md#plays)
is a token that claims most of the fields.
"""
REQUESTS = f"""\
## Requests

`POST /v1/events` takes these bodies, of at most {BODY_BYTES_MAX // KIB:,} KiB and {EVENTS_MAX} events.

| `Content-Type` | body |
|---|---|
| `application/json`, `text/plain`, or none | one event, an array of events, or one event a line |
| `application/x-ndjson`, `application/jsonl` | the same |
| `{cloud_events.ONE}` | one CloudEvent 1.0 with the event in `data` |
| `{cloud_events.BATCH}` | an array of them |
| as in the first two rows, beside headers `ce-…` | binary mode of CloudEvents: one event as the body |

`Content-Encoding: gzip` is allowed with each. The limit of a body holds for the body as sent and as
opened, and opening stops there.

**Pages of other origins.** A page sends with `fetch` or `navigator.sendBeacon`. A text (a
`text/plain` body) needs no preflight request. The setting `{COLLECTOR_ORIGINS.name}` lists the
origins whose pages may use the other forms too and read the answers, problems included; `*` is
every origin. It is not access control: a browser sends a text in any case, and only hides the
answer. The collector knows neither cookies nor credentials of browsers. A connection that is
refused before its request is read (429 `connections_exhausted`) looks to a page like a network
that fails.

**CloudEvents.** `specversion` is `1.0`, `type` is `{cloud_events.EVENT_TYPE}`, and `source` is any text.
`id` is the `event_id`: it stands for one that `data` lacks, and must equal one that `data` has. So
an envelope that is sent again under its `id` is the same event. `time`, if present, is an instant,
and nothing else looks at it: `timestamp` decides. `datacontenttype`, if present, is
`application/json`. Further attributes are ignored. An envelope that breaks this is a rejected
event.

## Answers

202 has one result for every event, in the order sent: `{{"index", "event_id", "status", "reasons"}}`,
where `status` is `accepted` or `rejected`. An accepted event is in the log and stays there. A
rejected one is not, and is rejected again when it is sent again.

With `{RECEIPTS.name}` set, or with the header `Receipt: yes` (`Receipt: paths` for audit paths
too), the answer has a [`receipt`](../concepts/receipts.md) for the accepted events: a signed proof
that they are in the log. `GET /v1/receipt-keys` answers the public keys that check it.

A request may have the header `traceparent` of W3C's Trace Context. It decides nothing about the
events; an installation that [traces](../operate/observing.md#traces) continues the sender's trace.

Every other answer is a problem document (RFC 9457) about the whole request, of which nothing is
promised. Where the table allows it, a sender waits, for `Retry-After` at least, and sends the same
events again under the same ids.
"""
PROBLEMS: dict[str, tuple[str, str, bool]] = {
    "body_empty": ("400", "The body holds no event.", False),
    "body_incomplete": ("400", "The connection closed before the whole body arrived.", True),
    "body_malformed": ("400", "The body is not JSON, not gzip, or not of the form that its media type names.", False),
    "body_too_large": ("413", "The body is larger than allowed, as sent or as opened.", False),
    "body_too_slow": ("408", "The body did not arrive in time.", True),
    "broker_unreachable": ("503", "Kafka does not answer; `/readyz` only.", True),
    "charset_unsupported": ("415", "The charset is not UTF-8.", False),
    "connections_exhausted": ("429, 503", "The address, or the process, has as many connections as allowed.", True),
    "encoding_unsupported": ("415", "The Content-Encoding is not gzip.", False),
    "headers_too_large": ("431", "The headers are larger, or more, than allowed.", False),
    "headers_too_slow": ("408", "The headers did not arrive in time.", True),
    "http_error": ("400", "The request cannot be served as it is.", False),
    "internal_error": ("500", "An unexpected error, which was logged.", True),
    "log_unavailable": ("503", "Kafka did not acknowledge in time; some of the events may be in the log.", True),
    "media_type_unsupported": ("415", "The Content-Type is none of those above.", False),
    "method_not_allowed": ("405", "The path exists, but not with this method.", False),
    "not_found": ("404", "There is nothing at this path.", False),
    "origin_not_allowed": ("403", "A preflight request of a page whose origin is not allowed.", False),
    "preflight_refused": ("400", "A preflight request for another method or other headers.", False),
    "rate_limited": ("429", "The network, or the key that signed the plays, brought more events than allowed.", True),
    "receipt_unknown": ("400", "The header `Receipt` is neither `yes` nor `paths`.", False),
    "receipts_unavailable": ("406", "A receipt is asked for, and this collector signs none.", False),
    "request_malformed": ("400", "It is not a valid HTTP request.", False),
    "stopping": ("503", "The process is about to stop; `/readyz` only.", True),
    "too_many_events": ("413", "The body holds more events than allowed.", False),
    "url_too_long": ("414", "The URL is longer than allowed.", False),
}
"""Code → its statuses, when it is answered, and whether the same request may succeed later."""
REASONS = {
    "FIELD_missing": "A required field is absent.",
    "FIELD_invalid": "A field has another type, or lies outside its limits. The sentence names it.",
    "ad_views_too_many": "The event has more advertisements than allowed.",
    "body_too_large": "The event is larger than allowed, as sent or with the collector's fields.",
    "clock_suspect": "It claims to begin more than 5 minutes after it was received.",
    "cloudevent_ATTRIBUTE_missing": "The envelope lacks a required attribute.",
    "cloudevent_ATTRIBUTE_invalid": "An attribute of the envelope is wrong. The sentence names it.",
    "cloudevent_data_missing": "The envelope has no `data`.",
    "cloudevent_id_invalid": "The envelope's `id` is not the `event_id` of its `data`, or is empty.",
    "duplicate_key": "A key appears twice in one object.",
    "event_invalid": "The event breaks the contract in a way that no other code names.",
    "event_unreadable": "A step failed on it.",
    "json_malformed": "It is not JSON.",
    "json_not_an_object": "It is JSON, but not an object.",
    "play_algorithm_refused": "`alg` of the play is not that of its key, or it has `crit`.",
    "play_audience_wrong": "The play was signed for another installation.",
    "play_claims_invalid": "The signer of the play made a mistake. The sentence names the claim.",
    "play_expired": "The play began more than 35 days ago.",
    "play_key_unknown": "No key has the `kid` of the play.",
    "play_malformed": "`play` is not a token.",
    "play_missing": "The event has no play, and plays are required.",
    "play_not_begun": "The play begins more than 5 minutes from now.",
    "play_signature_wrong": "The play was changed, or signed with another key.",
    "play_too_long": "The play is longer than allowed.",
    "schema_version_invalid": "`schema_version` is larger than allowed.",
    "timestamp_invalid": "`timestamp` is not an instant, or lies outside the years from 1970 to 9998.",
    "view_duration_beyond_play": "More seconds were watched than have passed since the play began, plus 5 minutes.",
}
"""Code of a rejected event's reason → when it is given; a word in capitals is a name."""


_FORMS = {
    EVENT_ID_PATTERN: "a UUID, with or without hyphens, in small or capital letters",
    VIDEO_ID_PATTERN: f"1 to {VIDEO_ID_LENGTH_MAX} of the characters `A-Z a-z 0-9 _ -`",
    INSTANT_PATTERN: "an instant of RFC 3339 with its zone, in the years from 1970 to 9998",
}
"""Pattern → its form in words."""


def page() -> str:
    """Return the whole page."""
    schema = event_schema()
    return "\n".join(
        [
            HEAD,
            *("## Fields", "", *_fields(schema), ""),
            *("### Advertisements", "", "Each element of `ad_views` is an object:", ""),
            *(*_fields(schema["$defs"]["AdView"]), ""),
            REQUESTS,
            *("| code | status | when | send again |", "|---|---|---|---|"),
            *(
                f"| `{code}` | {status} | {when} | {'yes' if again else 'no'} |"
                for code, (status, when, again) in PROBLEMS.items()
            ),
            *("", "A rejected event has one reason or more:", "", "| code | when |", "|---|---|"),
            *(f"| `{code}` | {when} |" for code, when in REASONS.items()),
            "",
        ]
    )


def schema_text() -> str:
    """Return the schema as it is committed."""
    return json.dumps(event_schema(), indent=2, ensure_ascii=False) + "\n"


def _fields(described: dict[str, Any]) -> list[str]:
    claimed = described.get("then", {"properties": {}, "required": []})
    needed = {**dict.fromkeys(described["required"], "yes"), **dict.fromkeys(claimed["required"], "without a play")}
    values = {name: {**each, **claimed["properties"].get(name, {})} for name, each in described["properties"].items()}
    rows = [
        f"| `{name}` | {each['description']} | {_limits(each)} | {needed.get(name, '')} |"
        for name, each in values.items()
    ]
    return ["| field | meaning | a value | required |", "|---|---|---|---|", *rows]


def _limits(value: dict[str, Any]) -> str:
    """Return a schema's limits in words."""
    if "anyOf" in value:
        return _limits(value["anyOf"][0])
    match value["type"]:
        case "integer":
            return f"a whole number from {value['minimum']:,} to {value['maximum']:,}"
        case "boolean":
            return "`true` or `false`"
        case "array":
            return f"a list of at most {value['maxItems']}"
    if "pattern" in value:
        return _FORMS[value["pattern"]]
    return f"{value.get('minLength', 0)} to {value['maxLength']:,} characters"


if __name__ == "__main__":
    PAGE.write_text(page())
    SCHEMA.write_text(schema_text())
