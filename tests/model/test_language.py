"""Sentences in English and French: each is translated, with the same places, and spaced as French is."""

from __future__ import annotations

import ast
import copy
import gettext
import json
import pickle
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from raccord.config import language, parse
from raccord.model import po
from raccord.model.language import (
    LANGUAGES,
    PLURALS,
    Sentence,
    catalogue,
    counted,
    guess,
    message,
    places,
    say,
    sentence,
)
from raccord.model.text import shown

SOURCE = Path(__file__).resolve().parents[2] / "src" / "raccord"
CATALOGUES = SOURCE / "model" / "languages"
TRANSLATED = [one for one in LANGUAGES if one != "en"]
MAKERS = {"message": 1, "sentence": 1, "counted": 2}
# What stays as it is in every language.
VERBATIM = re.compile(r"# raccord: ignore\[|\{\w+\}|\w+\(\)|\w+=\w+")


def spoken() -> dict[tuple[str, str], str]:
    """Every message in the code, with the place where it is."""
    found: dict[tuple[str, str], str] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        source = path.read_text("utf-8")
        if "raccord.model.language" not in source:
            continue
        nodes = list(ast.walk(ast.parse(source)))
        imports = [one for one in nodes if isinstance(one, ast.ImportFrom)]
        ours = [name for one in imports if one.module == "raccord.model.language" for name in one.names]
        makers = {one.asname or one.name: MAKERS[one.name] for one in ours if one.name in MAKERS}
        for node in nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in makers:
                where = f"{path.relative_to(SOURCE)}:{node.lineno}"
                texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
                assert len(texts) == len(node.args) == makers[node.func.id], f"{where}: text that is computed"
                given = {one.arg for one in node.keywords}
                for text in texts:
                    assert places(str(text)) <= given, f"{where}: a place without a value"
                found[str(texts[0]), "".join(map(str, texts[1:]))] = where
    return found


@pytest.mark.parametrize("code", TRANSLATED)
def test_every_message_is_translated_and_nothing_else(code):
    known = set(catalogue(code)) - {po.HEADER}
    in_code = spoken()
    assert {where: text for text, where in in_code.items() if text not in known} == {}
    assert known - set(in_code) == set()


@pytest.mark.parametrize("code", TRANSLATED)
def test_translations_have_the_same_places(code):
    for (one, many), forms in catalogue(code).items():
        if (one, many) == po.HEADER:
            continue
        assert len(forms) == (2 if many else 1)
        assert {places(form) for form in forms} == {places(one)}, one
        assert not many or places(many) == places(one)


def test_french_is_spaced_as_french_is():
    for (one, _), forms in catalogue("fr").items():
        for form in forms if one else ():
            text = VERBATIM.sub("x", form)
            assert not re.search(r"(?<!\u00a0):(?!\S)|(?<!\u202f)[;!?](?!\S)|'", text), form
            assert form[:1].isupper() == one[:1].isupper() or one[:1] in "{#"


@pytest.mark.parametrize("code", LANGUAGES)
def test_forms_go_with_numbers_as_gettext_says(code):
    rule = "n != 1"
    if code != "en":
        header = catalogue(code)[po.HEADER][0]
        match = re.search(r"nplurals=2; plural=\((.*)\);", header)
        assert match
        rule = match[1]
        assert f"Language: {code}\n" in header
    for number in range(12):
        assert PLURALS[code](number) == int(eval(rule, {"n": number}))


@pytest.fixture
def few(monkeypatch):
    """A catalogue of two messages."""
    text = 'msgid "{a} is gone: {b}"\nmsgstr "{a} a disparu : {b}"\nmsgid "{number} row"\n'
    text += 'msgid_plural "{number} rows"\nmsgstr[0] "{number} ligne"\nmsgstr[1] "{number} lignes"\n'
    monkeypatch.setattr("raccord.model.language.catalogue", lambda code: po.parse(text))


def test_a_number_chooses_the_form(few):
    rows = [counted("{number} row", "{number} rows", number=number) for number in (0, 1, 2)]
    assert [one.said("en") for one in rows] == ["0 rows", "1 row", "2 rows"]
    assert [one.said("fr") for one in rows] == ["0 ligne", "1 ligne", "2 lignes"]


def test_a_message_is_in_no_language_until_it_is_said(few):
    one = message("{a} is gone: {b}", a="{b} {x}", b=2)
    assert (one.said("en"), one.said("fr")) == ("{b} {x} is gone: 2", "{b} {x} a disparu : 2")
    assert hash(one) == hash(message(one.text, a="other")) and one != message(one.text, a="other")
    # What has no translation is said in English rather than not at all.
    assert message("said nowhere").said("fr") == "said nowhere"
    with pytest.raises(KeyError):
        one.said("de")


def test_a_terminal_gets_french_spaces_as_they_are():
    assert shown("attention\u00a0: non\u202f!\u200b") == "attention\u00a0: non\u202f!\\u200b"


def test_a_catalogue_is_read_as_gettext_reads_it():
    text = '# said\n\n#, python-format\nmsgid ""\nmsgstr "a\\n"\n"b"\n#: x.py:1\nmsgid "one \\"{a}\\"\\\\"\n'
    text += 'msgid_plural "many"\nmsgstr[0] "un"\nmsgstr[1] "des\\t"\n#, fuzzy\nmsgid "f"\nmsgstr "g"\n'
    text += '#~ msgid "gone"\n#~ msgstr "x"\nmsgid "untranslated"\nmsgstr ""\n'
    assert po.parse(text) == {("", ""): ("a\nb",), ('one "{a}"\\', "many"): ("un", "des\t")}


@pytest.mark.parametrize(
    "text",
    ['"x"', 'msgid "a', "hello", 'msgid "\\q"\nmsgstr "x"', 'msgid "a"\nmsgstr "b"\nmsgid "a"\nmsgstr "c"'],
)
def test_what_is_no_catalogue_is_refused(text):
    with pytest.raises(ValueError, match=r"line 1|escape|twice"):
        po.parse(text)


@pytest.mark.skipif(not shutil.which("msgfmt"), reason="gettext is not installed")
@pytest.mark.parametrize("code", TRANSLATED)
def test_gettext_reads_the_same_translations(code, tmp_path):
    made = tmp_path / "out.mo"
    argv = ["msgfmt", "--check", "--output-file", str(made), str(CATALOGUES / f"{code}.po")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with made.open("rb") as file:
        theirs = gettext.GNUTranslations(file)
    for (one, many), forms in catalogue(code).items():
        if not one:
            continue
        if many:
            said = [theirs.ngettext(one, many, number) for number in range(4)]
            assert said == [forms[PLURALS[code](number)] for number in range(4)]
        else:
            assert theirs.gettext(one) == forms[0]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "Le serveur est dans le dossier, et la base de données n'est pas sur le réseau. Pour la lancer : "
            * 2,
            "fr",
        ),
        (
            "The server is in the folder, and the database is not on the network. To start it, run this. "
            * 2,
            "en",
        ),
        ("The server is in the folder. Le serveur est dans le dossier et la base aussi. " * 9, ""),
        ("Le serveur.", ""),
        ("```\nthe of and is to in for with that this are be not it from by\n```\n", ""),
        ("", ""),
    ],
)
def test_a_document_tells_its_language(text, found):
    assert guess(text) == found


def test_the_configured_language_is_spoken_else_the_systems(monkeypatch):
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    unset, french = parse("", "f"), parse('language = "fr"', "f")
    assert (language(unset), language(french)) == ("en", "fr")
    monkeypatch.setenv("LANG", "fr_CA.UTF-8")
    assert (language(unset), language(parse('language = "en"', "f"))) == ("fr", "en")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert language(unset) == "en"
    monkeypatch.setenv("LC_ALL", "")
    assert language(unset) == "fr"


def test_a_sentence_is_its_english_text_to_everything_else():
    rows = Sentence(counted("{number} row of {table}", "{number} rows of {table}", number=1, table="t"))
    one = sentence("{a} or {names}", a=rows, names=["x", sentence("as it is")])
    assert one == "1 row of t or x, as it is" and hash(one) == hash(str(one))
    assert json.dumps([one]) == '["1 row of t or x, as it is"]' and type(str(one)) is str
    for same in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert same == one and say(same, "fr") == "1 row of t or x, telle quelle"
    assert say(sentence("{one} or {two}", one=1, two=2), "fr") == "1 ou 2"
    assert say("1 or 2", "fr") == "1 or 2"
