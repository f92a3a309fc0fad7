"""Hostile state of raccord's own: what lies in `.git/raccord` and under `refs/raccord` may be anything."""

from __future__ import annotations

import json
import os
import sqlite3

from raccord.kernel.store import Store
from tests.hostile.house import House, case

ESCAPE = "\x1b[31mred\x07"


def folder(house: House) -> None:
    (house.git / "raccord").mkdir()


@case("status", "sync", "snapshot", "log", every=6)
def a_database_that_is_a_folder(house: House) -> None:
    folder(house)
    (house.git / "raccord/state.db").mkdir()


@case("status", "sync", "snapshot", "log", every=6)
def a_database_that_is_garbage(house: House) -> None:
    folder(house)
    (house.git / "raccord/state.db").write_text(ESCAPE * 1000)


@case("status", "sync", "snapshot", "log", long=True)
def a_database_that_is_empty(house: House) -> None:
    folder(house)
    (house.git / "raccord/state.db").write_text("")


@case("status", "sync", "snapshot", "log", every=6)
def a_database_of_other_people(house: House) -> None:
    """A link to a database that raccord would else change."""
    folder(house)
    theirs = house.outside / "theirs.db"
    with sqlite3.connect(theirs) as db:
        db.execute("create table letters (text)")
    db.close()
    (house.git / "raccord/state.db").symlink_to(theirs)


@case("status", "sync", "snapshot", "log", every=6, long=True)
def a_database_of_another_program(house: House) -> None:
    folder(house)
    with sqlite3.connect(house.git / "raccord/state.db") as db:
        db.execute("create table runs (x)")
        db.execute("create trigger t after insert on runs begin delete from runs; end")
        db.execute("pragma user_version = 1")
    db.close()


@case("status", "sync", "snapshot", "log", sync=6, snapshot=6)
def a_database_of_the_future(house: House) -> None:
    folder(house)
    Store(house.git / "raccord/state.db").close()
    with sqlite3.connect(house.git / "raccord/state.db") as db:
        db.execute("pragma user_version = 999")
    db.close()


@case("status", "sync", "snapshot", "log", every=6)
def a_database_that_is_a_pipe(house: House) -> None:
    folder(house)
    os.mkfifo(house.git / "raccord/state.db")


@case("status", "sync", "snapshot", "log", every=6)
def a_folder_of_state_that_leads_out(house: House) -> None:
    (house.git / "raccord").symlink_to(house.outside)


@case("status", "sync", "snapshot", "log", every=6)
def refs_of_state_that_lead_out(house: House) -> None:
    (house.git / "refs/raccord").symlink_to(house.outside)


@case("status", "sync", "snapshot", every=6, long=True)
def logs_of_refs_of_state_that_lead_out(house: House) -> None:
    (house.git / "logs/refs/raccord").symlink_to(house.outside)


@case("status", "sync", "snapshot", "log", every=6)
def a_folder_of_state_that_is_a_file(house: House) -> None:
    (house.git / "raccord").write_text(ESCAPE)


@case("status", "sync", "snapshot", snapshot=5)
def runs_that_are_garbage(house: House) -> None:
    blob = house.repo.git("hash-object", "-w", "--stdin", input=ESCAPE)
    tree = house.repo.git("mktree", input=f"100644 blob {blob}\tplan.json\n100644 blob {blob}\trun.json\n")
    commit = house.repo.git("commit-tree", "-m", json.dumps({"run": ESCAPE}), tree)
    for name, oid in {
        "blob": blob,
        "tree": tree,
        "commit": commit,
        "-rf": commit,
        "20261121-112641-428bf0": blob,
    }.items():
        for kind in ("runs", "snapshots", "x"):
            house.repo.git("update-ref", f"refs/raccord/{kind}/{name}", oid)


@case("status", "sync", "snapshot", "log", every=6, says="so it isn't used")
def files_of_state_that_lead_out(house: House) -> None:
    folder(house)
    for name in ("logs", "notes", "alive", "leftover", "trash", "swap"):
        (house.git / "raccord" / name).symlink_to(house.outside)


@case("status", "sync", "snapshot", "log")
def notes_that_are_garbage(house: House) -> None:
    notes = house.git / "raccord/notes"
    notes.mkdir(parents=True)
    (notes / "x").write_text(ESCAPE)
    (notes / "-rf").write_bytes(b"\0\xff")
    (notes / "folder").mkdir()
    os.mkfifo(notes / "pipe")
