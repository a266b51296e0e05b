"""Render the pages. All values are escaped; a missing value is an error."""

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from ingestion.contract.printable import counted
from serving_layer.portal import formatting
from serving_layer.portal.statement_chain import period_text

STATIC = "/portal/static"
STATIC_FOLDER = Path(__file__).parent / "static"


def coded(text: str) -> Markup:
    """Return a sentence as HTML, with its commands (between backticks) as code; everything else is escaped."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704  escaped before


_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(default=True, default_for_string=True),
    undefined=StrictUndefined,
    # a running process keeps the pages of its own release while files are replaced
    auto_reload=False,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= {
    "period": lambda statement: period_text(statement.period_start_on, statement.period_end_on),
    "period_name": lambda period: period_text(period.start_on, period.end_on),
    "whole": formatting.whole,
    "counted": counted,
    "duration": formatting.duration,
    "money": formatting.money,
    "aligned_money": formatting.aligned_money,
    "signed": formatting.signed,
    "signed_money": formatting.signed_money,
    "utc": formatting.utc,
    "machine": formatting.machine,
    "percent": formatting.percent,
    "coded": coded,
    "words": formatting.words,
    "tone": formatting.tone,
}
_environment.globals["static"] = STATIC


def rendered(template: str, context: dict[str, object]) -> str:
    """Return the page as HTML."""
    return _environment.get_template(template).render(context)
