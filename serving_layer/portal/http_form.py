"""The forms of pages: read within bounds, and accepted from a page of the same session alone."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.responses import Response

from ingestion.contract.printable import is_text
from serving_layer.portal.http_visit import Visit
from serving_layer.request.parameters import is_number
from serving_layer.routes.http_bodies import read_body

FORM_BYTES_MAX = 16 * 1024
FIELDS_MAX = 20


async def form_of(visit: Visit) -> Mapping[str, str] | Response:
    """Return the fields of the sent form, or the page that says why it is not accepted.

    Raises:
        ProblemError: it does not arrive whole, or in time.
    """
    length = visit.request.headers.get("content-length", "")
    if not is_number(length) or int(length) > FORM_BYTES_MAX:
        return visit.problem(413, "Too much text", f"A form has at most {FORM_BYTES_MAX} bytes and a Content-Length.")
    media_type = visit.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":  # the codec of our pages; other forms may name any codec
        return visit.problem(415, "Not a form", "This is not a form of these pages; send the form from the page.")
    body = await read_body(visit.request, FORM_BYTES_MAX)
    if visit.portal.sessions.is_foreign(visit.request):
        return visit.problem(403, "Another site", "This form was sent by a page of another site; nothing was done.")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except ValueError:
        sentence = f"A form has at most {FIELDS_MAX} fields of text in UTF-8; send the form from the page."
        return visit.problem(422, "Not a form", sentence)
    form = dict(pairs)
    if len(form) < len(pairs):
        return visit.problem(422, "Not a form", "A field appears twice; send the form from the page.")
    if not visit.portal.sessions.accepts(visit.request, form.get("csrf")):
        return visit.problem(403, "This form is too old", "Open the page again and send the form from there.")
    if not all(is_text(text, most=FORM_BYTES_MAX) for text in form.values() if text.strip()):
        return visit.problem(422, "Not a text", "A field has a character that cannot be shown; leave it out.")
    return form


def text_of(form: Mapping[str, str], name: str) -> str:
    """Return a field's text without leading and trailing white space."""
    return form.get(name, "").strip()
