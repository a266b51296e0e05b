"""What a server answers, as one line that a terminal and a log can show."""


def readable(text: bytes | str) -> str:
    """Return the words of an answer on one line, without characters that are not printed."""
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return " ".join("".join(each if each.isprintable() else " " for each in words).split())
