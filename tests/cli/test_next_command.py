"""The next command of an error is one that can be typed where the error was met."""

from __future__ import annotations

import pytest

from raccord.cli import exits
from raccord.config import absent
from raccord.errors import RaccordError

NAMES = {"data": ["knowledge"], "files": ["pdf"], "profiles": ["full"]}


def following(error: RaccordError, *words: str) -> str:
    return exits.problem(error, words).hint


@pytest.mark.parametrize(
    ("words", "then"),
    [
        ("promote ful --to prod --from dev", "raccord promote full --to prod --from dev"),
        ("-C there promote ful --to=prod", "raccord -C there promote full --to=prod"),
        ("promote --profile=ful", "raccord promote --profile=full"),
        ("promote useful", "add [profiles.ful] to raccord.toml"),
    ],
)
def test_a_misspelled_name_is_said_right(words, then):
    assert following(absent("profile", "ful", NAMES["profiles"], "profiles", NAMES), *words.split()) == then


@pytest.mark.parametrize(
    ("name", "table", "said", "then"),
    [
        ("full", "data", "no data set full, which is a profile", "raccord promote full --to ENV --diff"),
        ("pdf", "data", "no data set pdf, which is a file set", "raccord files diff pdf --to ENV"),
        ("knowledge", "files", "knowledge, which is a data set", "raccord data diff knowledge --to ENV"),
        ("nothing", "data", "no data set nothing; known: knowledge", "add [data.nothing] to raccord.toml"),
    ],
)
def test_a_name_of_something_else(name, table, said, then):
    what = {"data": "data set", "files": "file set"}[table]
    error = absent(what, name, NAMES[table], table, NAMES)
    assert said in error.message and following(error, "data", "diff", name) == then


@pytest.mark.parametrize(
    ("hint", "words", "then"),
    [
        ("raccord undo 7 --yes-to prod", "-C there undo", "raccord -C there undo 7 --yes-to prod"),
        ("raccord undo 7", "--json -C there undo", "raccord -C there undo 7"),
        ("raccord -C /a sync", "-C there sync", "raccord -C /a sync"),
        ("git add .", "-C there sync", "git add ."),
        ("raccord status", "env exec dev -- git -C there log", "raccord status"),
    ],
)
def test_it_is_for_the_same_directory(hint, words, then):
    assert following(RaccordError("no", hint=hint), *words.split()) == then
