"""Files that pages give: kept by nobody on the way, and with no cell that a spreadsheet reads as a formula."""

import csv
import io
from collections.abc import Iterable, Sequence

from starlette.responses import Response

from serving_layer.portal.http_visit import NOT_KEPT, SECURITY_HEADERS
from serving_layer.routes.http_answers import harmless

CSV = "text/csv; charset=utf-8"


def download(name: str, content: bytes, media_type: str = CSV) -> Response:
    """Return an answer that a browser stores as a file."""
    return Response(content, headers=headers_of(name), media_type=media_type)


def headers_of(name: str) -> dict[str, str]:
    """Return the headers of an answer that a browser stores as a file."""
    return SECURITY_HEADERS | NOT_KEPT | {"Content-Disposition": f'attachment; filename="{name}"'}


def csv_of(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> bytes:
    """Return rows as CSV with a header line.

    A cell that a spreadsheet would read as a formula gets a leading apostrophe; ids may begin with `-`.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(map(harmless, row) for row in rows)
    return text.getvalue().encode()
