"""The text of a new revision, and the name of its file. Pure: the time and the id are given.

The project's own template is not run; what it is written like is taken over where that is plain to see.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from raccord.errors import UsageError
from raccord.migrations.project import Database
from raccord.migrations.revision import Revision, read
from raccord.model.text import shown

_WORD = re.compile(r"\w+")
_UPGRADE = re.compile(r"^def upgrade\(([\w:, ]*)\)", re.MULTILINE)

_TEXT = '''\
"""{message}

Revision ID: {id}
Revises: {revises}
Create Date: {created}

"""

{imports}# revision identifiers, used by Alembic.
revision{text} = {quoted}
down_revision{several} = {parents}
branch_labels{several} = {labels}
depends_on{several} = {depends_on}


def upgrade({given}){none}:
    pass


def downgrade({given}){none}:
    pass
'''


@dataclass(frozen=True, slots=True)
class Style:
    """What the project's template is written like.

    Attributes:
        annotated: whether revisions have types.
        given: the parameters of `upgrade`: several databases have one.
    """

    annotated: bool = False
    given: str = ""

    @classmethod
    def of(cls, template: str) -> Style:
        """Looks at the text of a script.py.mako."""
        found = _UPGRADE.search(template)
        return cls("revision: str" in template, found[1].strip() if found else "")


def source(
    id_: str,
    parents: Sequence[str],
    message: str,
    created: datetime,
    style: Style,
    *,
    labels: Sequence[str] = (),
    depends_on: Sequence[str] = (),
    blank: bool = False,
) -> bytes:
    """A revision that changes nothing yet.

    Args:
        created: with a zone where alembic would write one.
        blank: whether a person fills it in, with what alembic's own template imports.

    Raises:
        UsageError: an id or the message is nothing that can be written into a file.
    """
    imports = "from typing import Sequence, Union\n\n" if style.annotated else ""
    if blank:
        imports += "from alembic import op\nimport sqlalchemy as sa\n\n"
    text = _TEXT.format(
        message=_docstring(message),
        id=_docstring(id_),
        revises=_docstring(", ".join(parents)),
        created=created.isoformat(" "),
        imports=imports,
        text=": str" if style.annotated else "",
        several=": Union[str, Sequence[str], None]" if style.annotated else "",
        none=" -> None" if style.annotated else "",
        given=style.given,
        quoted=quoted(id_),
        parents=scalar(parents),
        labels=several(labels) if labels else None,
        depends_on=scalar(depends_on),
    )
    try:
        made = text.encode()
    except UnicodeEncodeError:
        raise UsageError("an id or the message is no text that a file can hold") from None
    back = read(made, "new.py")
    asked = (id_, tuple(parents), tuple(labels), tuple(depends_on))
    if not isinstance(back, Revision) or (back.id, back.down, back.labels, back.depends_on) != asked:
        below = ", ".join(map(shown, parents)) or "nothing"
        raise UsageError(f"no file can hold a revision on {below} with this message")
    return made


def scalar(ids: Sequence[str], quote: str = '"') -> str:
    """Ids as alembic writes them: None, one text, or a tuple."""
    return several(ids, quote) if len(ids) > 1 else quoted(ids[0], quote) if ids else "None"


def several(ids: Sequence[str], quote: str = '"') -> str:
    """Ids as a tuple."""
    listed = ", ".join(quoted(one, quote) for one in ids)
    return f"({listed},)" if len(ids) == 1 else f"({listed})"


def quoted(text: str, quote: str = '"') -> str:
    """A text as a literal; with the given quotes, unless it holds what has to be escaped."""
    said = repr(text)
    return f"{quote}{text}{quote}" if said == f"'{text}'" and quote not in text else said


def _docstring(text: str) -> str:
    text = text.replace("\\", "\\\\")
    return text.replace('"', '\\"') if '"""' in text or text.endswith('"') else text


def file_name(database: Database, id_: str, message: str, created: datetime) -> str:
    """How alembic would call the file, relative to the version folder.

    Raises:
        UsageError: the template can't be filled in.
    """
    slug = "_".join(_WORD.findall(message)).lower()
    if len(slug) > database.truncate_slug_length:
        slug = slug[: database.truncate_slug_length].rsplit("_", 1)[0] + "_"
    values = {
        "rev": id_,
        "slug": slug,
        "epoch": int(created.timestamp()),
        **{name: getattr(created, name) for name in ("year", "month", "day", "hour", "minute", "second")},
    }
    try:
        name = f"{database.file_template % values}.py"
    except (KeyError, ValueError, TypeError) as error:
        raise UsageError(
            f"the file_template {shown(database.file_template)!r} can't be filled in: {error}",
            hint="correct file_template in alembic's configuration",
        ) from error
    if ".." in name.split("/") or name.startswith("/") or "\0" in name:
        raise UsageError(
            f"the file_template {shown(database.file_template)!r} leads out of the version folder",
            hint="correct file_template in alembic's configuration",
        )
    return name


def moment(now: float, timezone: str) -> datetime:
    """The time of the revision as alembic writes it: local and without a zone, unless one is configured.

    Args:
        now: seconds since the epoch.

    Raises:
        UsageError: there is no such zone.
    """
    if not timezone:
        return datetime.fromtimestamp(now, UTC).astimezone().replace(tzinfo=None)
    zone = _zone(timezone) or _zone(timezone.upper())
    if zone is None:
        raise UsageError(f"there is no time zone {shown(timezone)!r}", hint="correct timezone in alembic.ini")
    return datetime.fromtimestamp(now, UTC).astimezone(zone)


def _zone(name: str) -> tzinfo | None:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return UTC if name.lower() == "utc" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
