"""What is found of a set is said in the page's language, and is English text to everything else."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from raccord.cli.main import main
from raccord.model.language import Sentence, say
from raccord.model.options_data import DataDiffOptions
from tests.litekit import lite

SOURCE = Path(__file__).resolve().parents[2] / "src" / "raccord"
# Where that is found which a page shows.
ROOMS = {
    "data": (
        "closure", "fit", "masking", "masks", "obstacles", "order", "pairs", "places", "seen", "sqlite_look",
    ),
    "files": ("manifest", "observe"),
}  # fmt: skip
SPEAKS = {"Finding", "Unfit", "drift", "refusal", "_refusal", "_finding", "Chosen", "ValueError"}
SAID = {"said", "hint", "why", "what"}
COMMANDS = ("raccord ", "ls -ld ", "alter table ", "alter role … reset")  # typed as they are


def texts(node: ast.AST):
    """The texts of an expression that are no sentences."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("sentence", "Sentence"):
        return
    if isinstance(node, ast.JoinedStr):
        yield "".join(str(one.value) if isinstance(one, ast.Constant) else "x" for one in node.values)
    elif isinstance(node, ast.Constant):
        yield str(node.value)
    else:
        for one in ast.iter_child_nodes(node):
            yield from texts(one)


@pytest.mark.parametrize("path", [f"{room}/{name}.py" for room, names in ROOMS.items() for name in names])
def test_what_a_page_shows_is_never_text_of_one_language(path):
    # That each sentence is translated is tested with all the others: see tests/model/test_language.py.
    nodes = [*ast.walk(ast.parse((SOURCE / path).read_text("utf-8")))]
    spoken = [one for one in nodes if isinstance(one, ast.Call) and getattr(one.func, "id", "") in SPEAKS]
    looked: list[ast.AST] = [arg for one in spoken for arg in (*one.args, *(k.value for k in one.keywords))]
    given = [one for one in nodes if isinstance(one, ast.Assign)]
    looked += [one.value for one in given if {getattr(each, "id", "") for each in one.targets} & SAID]
    found = [text for one in looked for text in texts(one)]
    prose = [one for one in found if re.search(r"\w \w|^[a-z]+ |: ", one) and not one.startswith(COMMANDS)]
    sql = [one for one in prose if one.startswith(("count(", ", count("))]  # what is asked of the server
    assert [one for one in prose if one not in sql] == []


def test_a_page_is_in_french_and_the_report_in_english(tmp_path, capsys):
    with lite(tmp_path) as pair:
        pair.both("create table shop (id integer primary key, n integer not null, kept text)")
        pair.both("create view seen as select * from shop; create table keyless (v, w text)")
        pair.run("prod", "alter table shop drop column kept; create table more (id integer primary key)")
        pair.configure(("shop", "seen", "gone", "keyless"), where={"nowhere": "true"})
        place = tmp_path / "diff.html"
        asked = ["-C", str(pair.repo.path), "data", "diff", "all", "--to", "prod", "--html", str(place)]
        main([*asked, "--language", "fr", "--json"])
        report = json.loads(capsys.readouterr().out)
        french = place.read_text("utf-8")
        main([*asked, "--language", "en"])
        english = place.read_text("utf-8")
        with pair.workspace as workspace:
            found = workspace.data_diff(DataDiffOptions("all", "prod", "", 0))
    refused = {one["message"] for one in report["refused"]}
    assert refused == {
        "shop.kept is missing in prod",
        "seen is a view, which takes no rows of its own",
        "dev has no table gone",
        "where names nowhere, which is no table of the set all",
    }
    assert all(one in english for one in refused) and not any(one in french for one in refused)
    for one in (
        "shop.kept manque dans prod",
        "seen est de type vue, et ne reçoit pas de lignes à elle",
        "dev n\u2019a pas de table gone",
        "where nomme nowhere, qui n\u2019est pas une table de l\u2019ensemble all",
        "corriger tables dans [data.all]",
        "le retirer de [data.all], ou corriger celui-ci",
        "keyless n\u2019a pas de clé\u00a0: ses lignes se distinguent par tout leur contenu",
    ):
        assert one in french, one
    assert 'lang="en"' not in french
    assert all(isinstance(one.message, Sentence) for one in (*found.refused, *found.notes))
    assert {say(one.message, "en") for one in found.refused} == refused
