"""Writes payment status reports (pain.002) as banks send them."""

from collections.abc import Sequence

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:"


def _element(name: str, text: str) -> str:
    return f"<{name}>{text}</{name}>" if text else ""


def _reason(code: str, proprietary: str, more: Sequence[str]) -> str:
    kind = _element("Cd", code) + _element("Prtry", proprietary)
    received = "".join(_element("AddtlInf", text) for text in more)
    return _element("StsRsnInf", _element("Rsn", kind) + received)


def payment(
    item_id: str,
    status: str,
    *,
    code: str = "",
    proprietary: str = "",
    more: Sequence[str] = (),
    amount: str = "",
    after: str = "",
) -> str:
    """Return the bank's status of one payment; `after` follows the reason."""
    ref = f'<OrgnlTxRef><Amt><InstdAmt Ccy="EUR">{amount}</InstdAmt></Amt></OrgnlTxRef>' if amount else ""
    answer = _element("OrgnlEndToEndId", item_id) + _element("TxSts", status) + _reason(code, proprietary, more)
    return _element("TxInfAndSts", answer + ref + after)


def batch(payments: str = "", *, status: str = "", batch_id: str = "VL-EUR-20261201-1", code: str = "") -> str:
    """Return the bank's status of one payment information, and of payments in it."""
    answer = _element("OrgnlPmtInfId", batch_id) + _element("PmtInfSts", status) + _reason(code, "", ())
    return f"<OrgnlPmtInfAndSts>{answer}{payments}</OrgnlPmtInfAndSts>"


def report(
    batches: str = "",
    *,
    status: str = "",
    code: str = "",
    more: Sequence[str] = (),
    count: str = "",
    total: str = "",
    message_id: str = "VL-EUR-20261201-1",
    answers: str = "pain.001.001.03",
    version: str = "001.03",
) -> str:
    """Return a whole report; its status is that of the group."""
    original = _element("OrgnlMsgId", message_id) + _element("OrgnlMsgNmId", answers)
    sums = _element("OrgnlNbOfTxs", count) + _element("OrgnlCtrlSum", total)
    group = original + sums + _element("GrpSts", status) + _reason(code, "", more)
    header = "<GrpHdr><MsgId>B1</MsgId><CreDtTm>2026-12-01T09:00:00</CreDtTm></GrpHdr>"
    body = f"<CstmrPmtStsRpt>{header}<OrgnlGrpInfAndSts>{group}</OrgnlGrpInfAndSts>{batches}</CstmrPmtStsRpt>"
    return f'<Document xmlns="{NAMESPACE}pain.002.{version}">{body}</Document>'
