"""What a server finds wrong in the rows of a file, told by the file, its line and its column.

Never with a value: an error's detail would repeat it.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterator

from raccord.data.container import ANOTHER
from raccord.data.pairs import Pair
from raccord.data.sealing import Damaged
from raccord.database import postgres
from raccord.model.text import shown

# Where COPY stands, in whatever language: "COPY notes, line 7, column id: ...".
_LINE = re.compile(r"^COPY .*?, \D{1,40}?(?P<line>\d+)(?=[,:]|$)", re.MULTILINE)
_SAID = {
    "22021": "it is not in UTF-8, or holds a NUL",
    "22P03": "a value is none of its column's type",
    "22P04": "the row has more or fewer columns than the header, or a quote that is not closed",
    "22P02": "a value is none of its column's type",
    "23505": "two rows have the same key",
    "23502": "a row has no key, or no value where one must be",
}


@contextlib.contextmanager
def telling_rows(pair: Pair, file: str, *, keys: bool = False) -> Iterator[None]:
    """Turns what the server refuses of rows into an error about their file.

    Args:
        file: where they are, "" where a person can't look into it.
        keys: whether this is about the keys that tell them apart, and not about the table's own.

    Raises:
        Damaged: it refused a row; nothing was changed.
    """
    errors = postgres.driver().errors
    try:
        yield
    except (errors.DataError, errors.IntegrityError) as error:
        if not (keys or (file and isinstance(error, errors.DataError))):
            raise
        found = _LINE.search(getattr(error.diag, "context", None) or "")
        line = found["line"] if found else ""
        said = _SAID.get(error.sqlstate or "") or shown(postgres.said(error))
        about = f" ({', '.join(map(shown, pair.key))})" if error.sqlstate == "23505" else ""
        where = shown(file) or f"the rows of {pair.shown}"
        at = f", line {line}" if line and file else ""
        quoted = shown(shlex.quote(file))
        look = f"sed -n {line}p {quoted}" if line else f"head {quoted}"
        raise Damaged(
            f"{where}{at}: {said}{about}; nothing was changed",
            hint=look if file else ANOTHER,
        ) from None
