"""The spellings of the PowerShell script that `raccord sync` replaces, turned into raccord's own. Pure.

`-BaseBranch`, `-SkipTests`, `-NoPush`, `-AllowDirty`, `-Reason` and `-TestCommands @(@("pytest","tests"))`
in any case. A command that a person can't mean (an empty list, a variable) is refused, never guessed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from raccord.errors import UsageError

SWITCHES = {"skiptests": "--skip-tests", "nopush": "--no-push", "allowdirty": "--allow-dirty"}
VALUES = {"basebranch": "--base", "reason": "--reason"}
COMMANDS = "testcommands"
# raccord's own options that take the next word, whatever it looks like.
TAKE_A_VALUE = frozenset({"--base", "--jobs", "--reason", "--test-command"})
HINT = "raccord sync --test-command 'pytest tests'"
VARIABLE = "holds a variable, and raccord evaluates none: write its value, or `$ for a $"
ESCAPES = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
    "e": "\x1b",
}


def normalised(argv: Sequence[str], verb_at: int) -> list[str]:
    """Returns the command line with the script's spellings replaced; others stay as they are.

    Args:
        argv: the words after the program's name.
        verb_at: where the verb stands; what comes before it is left alone.

    Raises:
        UsageError: a list of commands can't be read, or is empty.
    """
    words = list(argv[verb_at + 1 :])
    out = list(argv[: verb_at + 1])
    while words:
        word = words.pop(0)
        name, colon, attached = _split(word)
        if name == COMMANDS:
            given = [attached] if colon else []
            for command in _commands(given, words):
                out += ["--test-command", json.dumps(command)]
        elif name in VALUES:
            out.append(VALUES[name])
            out += [attached] if colon else words[:1]
            del words[: 0 if colon else 1]
        elif name in SWITCHES:
            if not colon or _truth(word, attached):
                out.append(SWITCHES[name])
        elif word == "--":
            return [*out, word, *words]
        else:
            out.append(word)
            if word in TAKE_A_VALUE:
                out += words[:1]
                del words[:1]
    return out


def _split(word: str) -> tuple[str, str, str]:
    """The parameter's name in lower case, or "" where the word is none; and what a colon attaches."""
    if not word.startswith("-") or word.startswith("--"):
        return "", "", ""
    name, colon, attached = word[1:].partition(":")
    return name.lower(), colon, attached


def _truth(word: str, value: str) -> bool:
    if value.lower() not in ("$true", "$false"):
        raise UsageError(f"{word}: a switch takes $true or $false", hint="raccord sync --help")
    return value.lower() == "$true"


def _commands(given: list[str], words: list[str]) -> list[list[str]]:
    """Takes the value of `-TestCommands` off `words`: a literal, or one command line a word."""
    first = (given or words or [""])[0]
    if not first.lstrip().startswith(("@", "[")):
        # PowerShell itself evaluates an unquoted list, and hands over one word for each command.
        while words and not words[0].startswith("-"):
            given.append(words.pop(0))
        if not given or not all(line.strip() for line in given):
            raise _refused("names no command")
        return [_words(line) for line in given]
    if not given:
        given.append(words.pop(0))
    while True:
        text = " ".join(given)
        try:
            value = json.loads(text) if text.lstrip().startswith("[") else _Literal(text).read()
        except (_Unfinished, json.JSONDecodeError) as error:
            # A shell may have cut the literal at its blanks.
            if not words:
                raise _refused(f"can't be read: {text}") from error
            given.append(words.pop(0))
        except RecursionError as error:
            raise _refused("is nested too deeply") from error
        else:
            return _listed(value)


def _listed(value: object) -> list[list[str]]:
    """Checks that a value is a list of commands; PowerShell unrolls a list of one, so a flat one is that."""
    flat = isinstance(value, list) and value and all(isinstance(item, str) for item in value)
    commands = [value] if flat else value
    if not isinstance(commands, list) or not commands:
        raise _refused("names no command")
    for command in commands:
        if not isinstance(command, list) or not command or not all(isinstance(part, str) for part in command):
            raise _refused(f"holds what is no list of words: {command}")
        if not command[0]:
            raise _refused("names no program")
    return commands


def _words(line: str) -> list[str]:
    import shlex

    try:
        return shlex.split(line)
    except ValueError as error:
        raise _refused(f"can't be split: {line}") from error


def _refused(problem: str) -> UsageError:
    return UsageError(f"-TestCommands {problem}", hint=HINT)


class _Unfinished(Exception):
    """The literal goes on in the next word."""


class _Literal:
    """A PowerShell array of strings and arrays: `@(@("pwsh", "-File", 'x.ps1'), @("pytest"))`."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def read(self) -> object:
        """The whole text as one value."""
        value = self.value()
        self.blanks()
        if self.at < len(self.text):
            raise _refused(f"goes on behind its end: {self.text[self.at :]}")
        return value

    def value(self) -> object:
        self.blanks()
        char = self.peek()
        if char == "@":
            self.at += 1
            if self.peek() != "(":
                raise _refused(f"is no @(…): {self.text}")
            return self.array()
        if char in "\"'":
            return self.quoted(char)
        return self.bare()

    def array(self) -> list[object]:
        self.at += 1
        found: list[object] = []
        while True:
            self.blanks()
            if self.peek() == ")":
                self.at += 1
                return found
            if found:
                if self.peek() != ",":
                    raise _refused(f"lacks a comma before: {self.text[self.at :]}")
                self.at += 1
            found.append(self.value())

    def quoted(self, quote: str) -> str:
        out: list[str] = []
        self.at += 1
        while True:
            char = self.take()
            if char == quote:
                if self.text[self.at : self.at + 1] != quote:
                    return "".join(out)
                self.at += 1
            elif quote == '"' and char == "`":
                escaped = self.take()
                char = ESCAPES.get(escaped, escaped)
            elif quote == '"' and char == "$":
                raise _refused(VARIABLE)
            out.append(char)

    def bare(self) -> str:
        """A word whose quotes a shell took away."""
        start = self.at
        while self.peek() not in ",()@\"' \t\r\n":
            self.at += 1
        if self.at == start:
            raise _refused(f"can't be read at: {self.text[start:]}")
        word = self.text[start : self.at]
        if "$" in word:
            raise _refused(VARIABLE)
        return word

    def blanks(self) -> None:
        while self.text[self.at : self.at + 1] in (" ", "\t", "\r", "\n"):
            self.at += 1

    def peek(self) -> str:
        if self.at >= len(self.text):
            raise _Unfinished
        return self.text[self.at]

    def take(self) -> str:
        char = self.peek()
        self.at += 1
        return char
