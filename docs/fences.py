"""Commands in the pages of the book.

They stand in fences of the kind `sh`. A comment in front of a fence says if they are not run: `<!-- not run: REASON -->`, or
`<!-- checked by PATH -->`, which must exist.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"(?:<!-- ([^>]*) -->\n\n)?^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A fence of no kind that begins so holds commands that nobody would check.
COMMAND = re.compile(r"(driftlet|cargo|scripts/\S+|bindings/\S+|firmware-demo/\S+|rustup|pip|npm|python3|docs/\S+) ")


def fences(page: Path, section: str = "") -> Iterator[tuple[str, str]]:
    """What becomes of the commands of each fence, and the commands; of one section, if its title begins with `section`."""
    parts = re.split(r"^## ", page.read_text(), flags=re.MULTILINE)
    for part in parts:
        if not part.startswith(section):
            continue
        for note, kind, body in FENCE.findall(part):
            if kind == "sh":
                yield fate(page, note), body
            elif not kind and COMMAND.match(body):
                sys.exit(f"{page}: commands in a fence without `sh`: {body.splitlines()[0]}")


def fate(page: Path, note: str) -> str:
    """`run`, or why not."""
    if note.startswith("checked by "):
        if not (ROOT / note.removeprefix("checked by ")).exists():
            sys.exit(f"{page}: {note}: there is no such file")
        return note
    if note.startswith("not run: "):
        return note
    if note:
        sys.exit(f"{page}: a comment in front of commands is neither `not run: ..` nor `checked by ..`: {note}")
    return "run"


def script(page: Path, section: str = "") -> str:
    """The commands that are run."""
    return "\n".join(body for becomes, body in fences(page, section) if becomes == "run")
