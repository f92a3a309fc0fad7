"""Sentences for people in their language: English in the code, others in catalogues of gettext's format.

A `Message` is in no language until somebody shows it: it keeps its English text, which is its id, and the
values that it names. A `Sentence` is English text that knows its message. The catalogues (`languages/*.po`)
are read as they are: nothing has to be compiled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

from raccord.model.plan import Json
from raccord.model.po import Catalogue, parse

ENGLISH = "en"
# Which form goes with a number: 0 or 1. gettext's `Plural-Forms` of a catalogue says the same.
PLURALS: dict[str, Callable[[float], int]] = {
    "en": lambda count: int(count != 1),
    "fr": lambda count: int(count > 1),
}
LANGUAGES = tuple(PLURALS)

_PLACE = re.compile(r"\{(\w+)\}")
_CODE = re.compile(r"```.*?```|`[^`]*`|https?://\S+", re.DOTALL)
_LETTERS = re.compile(r"[^\W\d_]+")
# Words that every page of a language is full of, and that the other one does not have.
_COMMON = {
    "en": {
        "an", "and", "are", "as", "be", "by", "for", "from", "in", "is", "it", "not", "of", "or",
        "that", "the", "this", "to", "when", "with",
    },
    "fr": {
        "aux", "avec", "ce", "cette", "dans", "des", "du", "est", "et", "la", "le", "les", "par", "pas",
        "pour", "que", "qui", "sur", "un", "une",
    },
}  # fmt: skip
_ENOUGH = 12  # common words, before a text says what language it is in
_CLEARLY = 3  # times as many as of the other one


@dataclass(frozen=True, slots=True)
class Message:
    """A sentence that is in no language yet.

    Attributes:
        text: in English, with {places} for values: gettext's `msgid`.
        data: the values; numbers and text, sentences, and lists of them.
        many: in English where the {number} in `data` is any but one; "" where no number decides.
    """

    text: str
    data: Mapping[str, Json] = field(default_factory=dict, hash=False)
    many: str = ""

    def said(self, language: str) -> str:
        """The sentence in a language; in English where its catalogue lacks it.

        Args:
            language: one of `LANGUAGES`.

        Raises:
            KeyError: there is no such language, or a value for a place is missing.
        """
        plural = PLURALS[language]
        form = plural(self.data["number"]) if self.many else 0
        forms: tuple[str, ...] = (self.text, self.many)
        if language != ENGLISH:
            forms = catalogue(language).get((self.text, self.many), forms)
        return _PLACE.sub(lambda place: _value(self.data[place[1]], language), forms[form])


class Sentence(str):
    """English text that can be said in the other languages too.

    Whatever compares it, prints it or stores it finds the English text, and nothing else.

    Attributes:
        message: what it says.
    """

    __slots__ = ("message",)
    message: Message

    def __new__(cls, said: Message) -> Sentence:
        """Says a message in English."""
        made = super().__new__(cls, said.said(ENGLISH))
        made.message = said
        return made

    def __getnewargs__(self) -> tuple[Message]:  # type: ignore[override]  # a copy is made of its message
        """What a copy is made of."""
        return (self.message,)


def say(text: str, language: str) -> str:
    """Text in a language where it is a sentence, else as it is."""
    return text.message.said(language) if isinstance(text, Sentence) else str(text)


def _value(value: Json, language: str) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_value(one, language) for one in value)
    return say(value, language) if isinstance(value, str) else str(value)


def message(text: str, /, **data: Json) -> Message:
    """A sentence whose {places} are named in `data`."""
    return Message(text, data)


def sentence(text: str, /, **data: Json) -> Sentence:
    """The same, as English text: see `Sentence`."""
    return Sentence(Message(text, data))


def counted(one: str, many: str, /, *, number: float, **data: Json) -> Message:
    """A sentence that differs for one and for many; both name the {number}.

    Args:
        one: for one.
        many: for every other number.
    """
    return Message(one, {"number": number, **data}, many)


def places(text: str) -> frozenset[str]:
    """The names of the values that a text has places for."""
    return frozenset(_PLACE.findall(text))


@cache
def catalogue(language: str) -> Catalogue:
    """What a language calls each message."""
    from importlib import resources  # takes longer than most looks

    file = resources.files("raccord.model").joinpath("languages", f"{language}.po")
    return parse(file.read_text("utf-8"))


def guess(text: str) -> str:
    """The language that a document is written in; "" where it is too short, or mixed."""
    counts = dict.fromkeys(_COMMON, 0)
    for word in _LETTERS.findall(_CODE.sub(" ", text).lower()):
        for language, common in _COMMON.items():
            counts[language] += word in common
    first, second = sorted(counts, key=lambda language: -counts[language])[:2]
    if counts[first] < _ENOUGH or counts[first] < _CLEARLY * counts[second]:
        return ""
    return first
