"""Write viewledger.min.js from viewledger.js: `python -m clients.js.build`. A test compares them."""

from pathlib import Path

import rjsmin

SOURCE = Path(__file__).with_name("viewledger.js")
MINIFIED = Path(__file__).with_name("viewledger.min.js")
HEAD = "// viewledger's player library, Apache-2.0; written from viewledger.js by python -m clients.js.build\n"


def minified() -> str:
    """Return the library without comments and blanks."""
    return HEAD + str(rjsmin.jsmin(SOURCE.read_text(encoding="utf-8"))).strip() + "\n"


if __name__ == "__main__":
    MINIFIED.write_text(minified(), encoding="utf-8")
