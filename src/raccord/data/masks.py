"""The SQL of the masks that have a name: PostgreSQL's own, computed by the source's server. Pure.

What stands in a value's place comes from HMAC-SHA256 (RFC 2104) over the value and a salt that the repository
keeps to itself: the same for equal values, and nobody finds a value by trying those that there might be. Null
stays null.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from raccord.database.tables import Column, identifier
from raccord.model import masks
from raccord.model.language import Sentence, sentence
from raccord.model.masks import FIXED, HASH, Mask


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split())


BLOCK = 64  # bytes of SHA-256
LEAST = 8  # hexadecimal digits without which a mask tells too little apart
# Those of an address and a number that nobody has: RFC 2606, and a country code that is none.
DOMAIN = "@example.org"
NOWHERE = "+999"
_GIVEN = _listed("""
Ada Alix Anouk Aya Basile Blanche Brune Camille Celeste Cleo Dana Edith Eloi Emile Eve Farah Gaston Hugo
Ines Iris Jonas Jules Karim Lea Leon Lila Louis Malo Nina Noe Sacha Zoe
""")
_FAMILY = _listed("""
Arnaud Aubert Barre Benoit Blanc Boyer Brun Carpentier Chevalier Colin Dupont Durand Faure Fournier
Gautier Girard Giraud Henry Lambert Legrand Lemaire Marchand Martin Mercier Meunier Moreau Noel Perrin
Renard Roche Roussel Vidal
""")
_TEXTS = frozenset({"text", "varchar", "bpchar", "citext", "name"})
_LENGTH = re.compile(r"character(?: varying)?\((\d+)\)")


@dataclass(frozen=True, slots=True)
class Salt:
    """What a repository masks with; it never shows itself."""

    inner: str = field(repr=False)
    outer: str = field(repr=False)

    @classmethod
    def of(cls, secret: bytes) -> Salt:
        """The two keys of HMAC, as SQL."""
        padded = secret.ljust(BLOCK, b"\0")
        one, two = (bytes(byte ^ pad for byte in padded).hex() for pad in (0x36, 0x5C))
        return cls(f"'\\x{one}'::bytea", f"'\\x{two}'::bytea")


class Unfit(Exception):
    """A column can't take a mask.

    Attributes:
        why: it can't.
    """

    def __init__(self, why: Sentence) -> None:
        super().__init__(why)
        self.why = why


def limit(column: Column) -> int:
    """How many characters a column takes; 0 for any number."""
    found = _LENGTH.match(column.type) or _LENGTH.match(column.detail)
    return int(found[1]) if found else 0


def sql(mask: Mask, column: Column, salt: Salt, *, exact: bool) -> str:
    """The SQL that is sent in a column's place.

    Args:
        exact: whether other values have to become others: the column is unique, or part of a key.

    Raises:
        Unfit: the column can't take this mask.
    """
    name = identifier(column.name)
    if mask.name == masks.NONE:
        return name
    if mask.name == masks.NULL:
        if not column.nullable:
            raise Unfit(sentence("it takes no null"))
        return "null"
    if mask.name == FIXED:
        return _fixed(mask, column, name)
    if mask.name == HASH and column.binary in _HASHES:
        return _HASHES[column.binary](_Value(column, salt))
    if mask.name in _OTHERS and column.binary in _OTHERS[mask.name]:
        return _OTHERS[mask.name][column.binary](_Value(column, salt))
    if column.binary in _TEXTS:
        return _text(mask, column, _Value(column, salt), exact)
    raise Unfit(sentence("{type} takes none", type=column.type or sentence("its type")))


def _fixed(mask: Mask, column: Column, name: str) -> str:
    most = limit(column)
    if most and column.binary in _TEXTS and len(mask.text) > most:
        raise Unfit(sentence("it takes {most} characters", most=most))
    text = mask.text.replace("'", "''")
    return (
        f"case when {name} is not null then '{text}' end"
        if "\\" not in text
        else (f"case when {name} is not null then E'" + text.replace("\\", "\\\\") + "' end")
    )


@dataclass(frozen=True, slots=True)
class _Value:
    """A column's value, and what can be made of it."""

    column: Column
    salt: Salt

    @property
    def text(self) -> str:
        name = identifier(self.column.name)
        if self.column.binary == "citext":
            return f"lower(({name})::text)"
        return (self.column.key or "({})::text").replace("{}", name)

    @property
    def bytes(self) -> str:
        """32 bytes of it."""
        said = f"convert_to({self.text}, 'UTF8')"
        return f"sha256({self.salt.outer} || sha256({self.salt.inner} || {said}))"

    @property
    def hex(self) -> str:
        """64 hexadecimal digits."""
        return f"encode({self.bytes}, 'hex')"

    def digits(self, count: int) -> str:
        """So many of them."""
        return f"substr({self.hex}, 1, {count})"

    def number(self, bits: int, start: int = 1) -> str:
        """A whole number of so many bits, a multiple of four."""
        return f"(('x' || substr({self.hex}, {start}, {bits // 4}))::bit({bits})::bigint)"


def _text(mask: Mask, column: Column, value: _Value, exact: bool) -> str:
    most = limit(column) or 10_000
    if mask.name == HASH:
        return value.digits(min(32, most))
    if mask.name == "email":
        room = most - len(DOMAIN)
        if room < LEAST:
            raise Unfit(sentence("an address needs more than its {most} characters", most=most))
        return f"{value.digits(min(20, room))} || '{DOMAIN}'"
    if mask.name == "keep-domain":
        domain = f"coalesce(substring({value.text} from '@.*$'), '')"
        return f"{value.digits(20)} || {domain}"
    if mask.name == "name":
        who = " || ' ' || ".join(
            f"(array[{', '.join(repr(one) for one in names)}])[1 + {value.number(28, start)} % {len(names)}]"
            for names, start in ((_GIVEN, 33), (_FAMILY, 41))
        )
        longest = max(map(len, _GIVEN)) + 1 + max(map(len, _FAMILY))
        if exact:
            # Equal values of two columns become equal ones, whatever else is said of either.
            return (
                value.digits(min(20, most)) if most < longest + 13 else f"{who} || ' ' || {value.digits(12)}"
            )
        return f"left({who}, {most})"
    if mask.name == "phone":
        room = min(most - len(NOWHERE), 11)
        if room < 6:
            raise Unfit(sentence("a telephone number needs more than its {most} characters", most=most))
        return f"'{NOWHERE}' || lpad(({value.number(56)} % {10**room})::text, {room}, '0')"
    if mask.name == "date":
        if most < 10:
            raise Unfit(sentence("a date needs more than its {most} characters", most=most))
        return f"to_char({_date(value)}, 'YYYY-MM-DD')"
    if most < 15:
        raise Unfit(sentence("an IP address needs more than its {most} characters", most=most))
    return f"host({_ip(value)})"


def _date(value: _Value) -> str:
    """A day between 1940 and 2004."""
    return f"(date '1940-01-01' + ({value.number(28)} % 23700)::int)"


def _ip(value: _Value) -> str:
    """An address of a private net."""
    return f"(inet '10.0.0.0' + {value.number(24)})"


_HASHES: Mapping[str, Callable[[_Value], str]] = {
    "bytea": lambda value: value.bytes,
    "int2": lambda value: f"({value.number(12)})",
    "int4": lambda value: f"({value.number(32)} & 2147483647)",
    "int8": lambda value: value.number(60),
    "numeric": lambda value: value.number(28),
    "uuid": lambda value: f"{value.digits(32)}::uuid",
}
_OTHERS: Mapping[str, Mapping[str, Callable[[_Value], str]]] = {
    "date": {
        "date": _date,
        "timestamp": lambda value: f"({_date(value)})::timestamp",
        "timestamptz": lambda value: f"({_date(value)})::timestamp at time zone 'UTC'",
    },
    "ip": {"inet": _ip, "cidr": lambda value: f"({_ip(value)})::cidr"},
    "phone": {"int8": lambda value: f"(999000000000 + {value.number(28)})"},
}


def fitting(wanted: Sequence[Mask], column: Column, salt: Salt, *, exact: bool) -> Mask | None:
    """The first of some masks that a column can take."""
    for mask in wanted:
        if exact and mask.name not in masks.JOINS:
            continue
        try:
            sql(mask, column, salt, exact=exact)
        except Unfit:
            continue
        return mask
    return None
