"""Comments that let a revision break a rule: `# raccord: ignore[rule] reason`. Pure.

A comment holds for the statement on its line, or for the next one where it has a line of its own; above
everything else in a file it holds for all of it.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

from raccord.migrations.lint.remarks import Remark
from raccord.model.language import Message, message

BAD = "bad-ignore"
FIX = message("write it so: # raccord: ignore[rule] and the reason behind it")

_HINT = re.compile(rb"raccord:\s*ignore")
_COMMENT = re.compile(r"#\s*raccord:\s*ignore\b\s*(?:\[(?P<rules>[^\]]*)\])?\s*(?P<reason>.*)")
_NO_CODE = frozenset({tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENCODING, tokenize.INDENT,
    tokenize.DEDENT})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ignore:
    """One comment.

    Attributes:
        line: where it stands, 1-based.
        target: the line of the code that it is about; 0 for the whole file.
        rules: their names.
        reason: why; one without a reason ignores nothing.
    """

    line: int
    target: int
    rules: tuple[str, ...]
    reason: str

    def covers(self, remark: Remark) -> bool:
        """Whether it is about what a rule found."""
        here = not self.target or remark.line <= self.target <= remark.end
        return bool(self.reason) and here and remark.rule in self.rules


def ignores(source: bytes) -> tuple[Ignore, ...]:
    """The comments of a file that can be parsed."""
    if not _HINT.search(source):
        return ()
    try:
        return tuple(_found(list(tokenize.tokenize(io.BytesIO(source).readline))))
    except (tokenize.TokenError, SyntaxError):
        return ()  # what `ast` takes and this does not has no comments to read


def _found(tokens: Sequence[tokenize.TokenInfo]) -> Iterator[Ignore]:
    code = sorted({one.start[0] for one in tokens if one.type not in _NO_CODE})
    for one in tokens:
        match = _COMMENT.match(one.string) if one.type == tokenize.COMMENT else None
        if match is None:
            continue
        line = one.start[0]
        alone = not one.line[: one.start[1]].strip()
        target = next((each for each in code if each > line), line) if alone else line
        named = tuple(rule.strip() for rule in (match["rules"] or "").split(",") if rule.strip())
        whole = alone and target == code[0]
        yield Ignore(line, 0 if whole else target, named, match["reason"].strip(" \t-:"))


def wrong(found: Sequence[Ignore], known: Container[str]) -> Iterator[Remark]:
    """What is wrong with the comments themselves.

    Args:
        known: the names of rules.
    """
    for one in found:
        if not one.rules:
            yield _remark(one, message("the comment names no rule to ignore"))
        for rule in one.rules:
            if rule not in known and ":" not in rule:
                yield _remark(one, message("no rule is called {rule}", rule=rule))
        if one.rules and not one.reason:
            named = ", ".join(one.rules)
            yield _remark(
                one, message("ignore[{rules}] gives no reason, and so ignores nothing", rules=named)
            )


def _remark(one: Ignore, said: Message) -> Remark:
    return Remark(BAD, one.line, one.line, said, FIX)
