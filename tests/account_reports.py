"""Writes account statements (camt.053) and notifications (camt.054) as banks send them."""

from collections.abc import Sequence
from decimal import Decimal

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:"
IBAN = "NO9386011117947"


def _amount(name: str, amount: str, currency: str) -> str:
    return f'<{name} Ccy="{currency}">{amount.lstrip("-")}</{name}>'


def _sign(amount: str) -> str:
    return f"<CdtDbtInd>{'DBIT' if amount.startswith('-') else 'CRDT'}</CdtDbtInd>"


def detail(
    item_id: str, amount: str = "", *, currency: str = "EUR", charges: str = "", reason: str = "", reference: str = "",
    refs: str = "",
) -> str:  # fmt: skip
    """Return one payment in a movement."""
    named = f"<AcctSvcrRef>{reference}</AcctSvcrRef>" if reference else ""
    named += refs + (f"<EndToEndId>{item_id}</EndToEndId>" if item_id else "")
    text = f"<Refs>{named}</Refs>"
    if amount:
        text += _amount("Amt", amount, currency) + _sign(amount)
    if charges:
        text += f"<Chrgs><Rcrd>{_amount('Amt', charges, currency)}</Rcrd></Chrgs>"
    if reason:
        text += f"<RtrInf><Rsn><Cd>{reason}</Cd></Rsn></RtrInf>"
    return f"<TxDtls>{text}</TxDtls>"


def entry(
    amount: str,
    details: str = "",
    *,
    reference: str = "R1",
    currency: str = "EUR",
    status: str = "<Sts>BOOK</Sts>",
    day: str = "2026-12-01",
    code: str = "",
    batch_id: str = "",
    charges: str = "",
) -> str:
    """Return one movement; a debit has a minus."""
    text = _amount("Amt", amount, currency) + _sign(amount) + status
    text += f"<BookgDt><Dt>{day}</Dt></BookgDt>" if day else ""
    text += f"<AcctSvcrRef>{reference}</AcctSvcrRef>" if reference else ""
    if code:
        text += f"<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>MDOP</Cd><SubFmlyCd>{code}</SubFmlyCd></Fmly></Domn></BkTxCd>"
    text += f"<Chrgs>{_amount('TtlChrgsAndTaxAmt', charges, currency)}</Chrgs>" if charges else ""
    batch = f"<Btch><PmtInfId>{batch_id}</PmtInfId></Btch>" if batch_id else ""
    return f"<Ntry>{text}{f'<NtryDtls>{batch}{details}</NtryDtls>' if batch or details else ''}</Ntry>"


def balances(opening: str, closing: str, currency: str = "EUR") -> str:
    """Return the balances of a statement; a debit has a minus."""
    return "".join(
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{_amount('Amt', amount, currency)}{_sign(amount)}</Bal>"
        for code, amount in (("OPBD", opening), ("CLBD", closing))
    )


def statement(entries: Sequence[str] | str = "", *, identity: str = "S1", iban: str = IBAN, of: str = "") -> str:
    """Return one statement of an account; `of` are its balances."""
    account = f"<Acct><Id><IBAN>{iban}</IBAN></Id></Acct>" if iban else ""
    return f"<Id>{identity}</Id>{account}{of}{''.join(entries)}"


def report(*statements: str, kind: str = "camt.053.001.08") -> str:
    """Return a whole document."""
    outer, inner = ("BkToCstmrStmt", "Stmt") if kind.startswith("camt.053") else ("BkToCstmrDbtCdtNtfctn", "Ntfctn")
    body = "".join(f"<{inner}>{each}</{inner}>" for each in statements)
    return f'<Document xmlns="{NAMESPACE}{kind}"><{outer}><GrpHdr><MsgId>1</MsgId></GrpHdr>{body}</{outer}></Document>'


def euros(amount_micros: int) -> str:
    """Return an amount as the bank writes it."""
    return f"{Decimal(amount_micros) / 1_000_000:.2f}"
