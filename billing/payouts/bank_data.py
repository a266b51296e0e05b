"""Validate bank data before money moves: holder, IBAN (ISO 13616), BIC (ISO 9362), characters (EPC217-08). Pure.

A sentence about bank data never repeats it.
"""

import re
import unicodedata
from dataclasses import dataclass

from schwifty import BIC, IBAN
from schwifty.exceptions import InvalidChecksumDigits, InvalidLength, SchwiftyException
from text_unidecode import unidecode

from ingestion.contract.printable import is_name

NAME_CHARACTERS_MAX = 70
EMAIL_CHARACTERS_MAX = 254
BANK_CHARACTERS = "letters, digits, space and / - ? : ( ) . , ' +"
"""The characters that every bank of SEPA accepts (EPC217-08, 6.1)."""

_TAKEN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 /-?:().,'+")
_REPLACED = {"&": "+", "_": "-", "`": "'", "[": "(", "]": ")", "{": "(", "}": ")", ";": ","} | dict.fromkeys(
    '!"#$%*<=>@\\^|~', "."
)
"""The replacements that EPC217-08 gives for the rest of ASCII."""
_SCRIPTS = ("LATIN ", "GREEK ", "CYRILLIC ")
"""Scripts that EPC217-08 transliterates to Latin letters. For other scripts, the bank has the name in Latin letters."""

_BIC = r"[A-Z]{6}[A-Z2-9][A-NP-Z0-9]([A-Z0-9]{3})?"
"""As pain.001 accepts it; ISO 9362 would allow digits in the first four."""
_BIC_ALLOWED = "4 letters of the bank, 2 of its country, 2 characters of its place, and 3 of its branch or none"
_EMAIL = (
    r"(?=.{1,64}@.{1,189}$)"
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]"
)
"""RFC 5321 without quotes and literals: a header or command can never end inside of it."""
_BANKS_OF = {
    "ES": {"IC", "EA"},
    "FI": {"AX"},
    "FR": {"BL", "GF", "GP", "MC", "MF", "MQ", "NC", "PF", "PM", "RE", "TF", "WF", "YT"},
    "GB": {"GG", "IM", "JE"},
}
"""Country of an IBAN → the other countries whose banks keep accounts under it (the IBAN registry of SWIFT)."""


@dataclass(frozen=True)
class BankAccount:
    """The account that a payee is paid to. Its text never appears in a message or log."""

    payee_id: str
    holder_name: str
    iban: str
    bic: str | None = None
    email: str | None = None
    """Where its payee gets notices; None: where it got them before."""

    def __repr__(self) -> str:
        return f"BankAccount({self.payee_id}, {self.masked})"

    @property
    def masked(self) -> str:
        """Return the country and the last four characters."""
        return f"{self.iban[:2]}…{self.iban[-4:]}"


def electronic(text: str) -> str:
    """Return an IBAN or BIC without spaces and in capitals; what is not ASCII stays: "ı" would become a letter."""
    text = text.replace(" ", "")
    return text.upper() if text.isascii() else text


def bank_text(text: str) -> str | None:
    """Return a text in the characters that banks accept; None if it cannot be written in them."""
    written = [_written(character) for character in unicodedata.normalize("NFKC", text)]
    if None in written:
        return None
    return " ".join("".join(filter(None, written)).split()) or None


def name_problem(name: str) -> str | None:
    """Return what is wrong with the name of an account's holder; None if a bank accepts it."""
    if not is_name(name, most=NAME_CHARACTERS_MAX):
        return f"the holder's name must be 1 to {NAME_CHARACTERS_MAX} printable characters"
    written = bank_text(name)
    if written is None:
        return (
            "the holder's name cannot be written in the characters that banks take; write it in Latin letters, as "
            f"the bank has it (accents, Greek and Cyrillic are converted; allowed: {BANK_CHARACTERS})"
        )
    if len(written) > NAME_CHARACTERS_MAX:
        return f"the holder's name is longer than {NAME_CHARACTERS_MAX} characters as banks write it; shorten it"
    if not written[0].isalnum() or "//" in written:
        return "the holder's name must begin with a letter or digit, and have no // in it"
    return None


def iban_problem(iban: str) -> str | None:
    """Return what is wrong with an IBAN in its electronic form (capital letters, no spaces)."""
    allowed = "like NL91ABNA0417164300"
    if re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{1,30}", iban) is None:
        return f"not an IBAN: a country, 2 check digits, and letters and digits of the account, {allowed}"
    country = iban[:2]
    try:
        IBAN(iban)
    except InvalidChecksumDigits:
        return "not an IBAN: its check digits are wrong, so a character is mistyped"
    except InvalidLength:
        length = IBAN(iban, allow_invalid=True).spec.iban_length
        return f"not an IBAN: one of {country} has {length} characters, and this one {len(iban)}"
    except SchwiftyException as error:
        return f"not an IBAN of {country}: {_without_value(error)}, {allowed}"
    return None


def bic_problem(bic: str, iban: str) -> str | None:
    """Return what is wrong with a BIC, by itself or together with the IBAN."""
    if re.fullmatch(_BIC, bic) is None:
        return f"not a BIC; allowed: {_BIC_ALLOWED}, like COBADEFFXXX"
    try:
        BIC(bic)
    except SchwiftyException as error:
        return f"not a BIC: {_without_value(error)}; allowed: {_BIC_ALLOWED}, like COBADEFFXXX"
    country, of_bank = iban[:2], bic[4:6]
    if of_bank != country and of_bank not in _BANKS_OF.get(country, ()):
        return f"the BIC is of a bank in {of_bank} and the IBAN of {country}; give the BIC of the account's bank"
    return None


def email_problem(email: str) -> str | None:
    """Return what is wrong with an address for notices."""
    if len(email) <= EMAIL_CHARACTERS_MAX and re.fullmatch(_EMAIL, email):
        return None
    return f"not an e-mail address; allowed: ASCII, at most {EMAIL_CHARACTERS_MAX} characters, like ann@example.org"


def account_problems(account: BankAccount) -> dict[str, str]:
    """Return what is wrong with an account, by column (holder_name, iban, bic, email)."""
    found = {"holder_name": name_problem(account.holder_name), "iban": iban_problem(account.iban)}
    if account.bic is not None:
        found["bic"] = bic_problem(account.bic, account.iban)
    if account.email is not None:
        found["email"] = email_problem(account.email)
    return {column: problem for column, problem in found.items() if problem}


def is_in_sepa(iban: str) -> bool:
    """Return whether a SEPA transfer reaches a valid IBAN."""
    return IBAN(iban).in_sepa_zone


def _written(character: str) -> str | None:
    if character in _TAKEN:
        return character
    if character.isascii():
        return _REPLACED.get(character)
    kind = unicodedata.category(character)
    if kind in ("Mn", "Cf"):
        return ""  # an accent that has no letter of its own; a joiner
    if kind[0] in "LN" and not unicodedata.name(character, "").startswith((*_SCRIPTS, "MODIFIER LETTER ")):
        return None
    written = "".join(each if each in _TAKEN else _REPLACED.get(each, "") for each in unidecode(character))
    return written or None


def _without_value(error: Exception) -> str:
    """Return the library's reason, without the account that it repeats after it."""
    names = re.findall("[A-Z][a-z]+", type(error).__name__)
    return " ".join(names).lower()
