"""Pages of real differences: what they show of rows, and that secrets are not in them."""

from __future__ import annotations

import pytest

from raccord.cli.main import main
from tests import pgkit
from tests.datakit import two

CANARIES = ("canary-key-1", "canary-value-1", "canary-value-2", pgkit.PASSWORD)


def test_rows_as_a_page_without_what_is_secret(tmp_path, capsys):
    try:
        with two(tmp_path) as found:
            found.both(
                "create table sessions (token text primary key, api_key text, title text);"
                "create table pages (id int primary key, title text)"
            )
            found.run("dev", f"insert into sessions values ('{CANARIES[0]}', '{CANARIES[1]}', 'new')")
            found.run("prod", f"insert into sessions values ('{CANARIES[0]}', '{CANARIES[2]}', 'old')")
            found.run("dev", "insert into pages values (1, '<b>\u202e'), (2, 'b')")
            found.run("prod", "insert into pages values (1, 'plain'), (3, 'c')")
            place = tmp_path / "diff.html"
            words = ["-C", str(found.repo.path), "data", "diff", "all", "--to", "prod"]
            assert main([*words, "--html", str(place), "--language", "fr"]) == 0
            said = capsys.readouterr()
    except pgkit.NoServer as error:
        pytest.skip(f"no PostgreSQL server: {error}")
    page = place.read_text("utf-8")
    assert "4 lignes diffèrent." in page and "&lt;b&gt;\\u202e" in page and ">plain<" in page
    assert ">old<" in page and ">new<" in page and "***" in page
    for canary in CANARIES:
        assert canary not in page + said.out + said.err
