"""What speaks against a push into a table, and what a person should know of it: triggers, rights. Pure."""

from __future__ import annotations

import functools

from raccord.data.pairs import Pair, hinted, refusal, words
from raccord.data.spec import CHANGES, INSERT, REMOVES, Spec
from raccord.database.tables import Table, label
from raccord.model.language import sentence
from raccord.model.plan import Finding


def obstacles(spec: Spec, pair: Pair) -> tuple[list[Finding], list[Finding]]:
    """What speaks against a push into a table, and what a person should know of it."""
    table, name = pair.target, pair.shown
    refused, notes = [], []
    events = {"insert"} | ({"update"} if spec.mode in CHANGES else set())
    events |= {"delete"} if spec.mode in REMOVES else set()
    firing = [one.name for one in table.triggers if events & {*one.events}]
    if firing and spec.triggers == "refuse":
        said = sentence(
            "{table} has triggers that would fire in {place}: {names}",
            table=name,
            place=spec.goal,
            names=words(firing),
        )
        hint = sentence('triggers = "fire" or "skip" in [data.{set}]', set=spec.name)
        refused.append(refusal("triggers", said, hint))
    elif firing:
        said = (
            sentence("{table}: triggers fire: {names}", table=name, names=words(firing))
            if spec.triggers == "fire"
            else sentence(
                "{table}: triggers are switched off meanwhile: {names}", table=name, names=words(firing)
            )
        )
        notes.append(Finding("data.triggers", "note", said))
    if table.triggers and spec.triggers == "skip" and not table.owned:
        said = sentence(
            "only the owner of {table} may switch its triggers off in {place}", table=name, place=spec.goal
        )
        refused.append(refusal("rights", said, sentence("connect as the owner of {table}", table=name)))
    wrong, told = _sequences(pair)
    refused += wrong
    notes += told
    if spec.mode == INSERT and table.others and table.deferred:
        said = sentence(
            "mode insert can't leave out what {others} of {table} refuses: {deferred} waits for the commit",
            others=words(table.others),
            table=name,
            deferred=words(table.deferred),
        )
        refused.append(refusal("unique", said))
    if table.rules:
        said = sentence(
            "{table} has rules that change what is written: {names}", table=name, names=words(table.rules)
        )
        refused.append(refusal("rules", said))
    if table.foreign:
        said = sentence(
            "{table} has partitions on another server, which no transaction here can answer for: {names}",
            table=name,
            names=words(table.foreign),
        )
        refused.append(refusal("foreign", said))
    if table.policies:
        refused.append(guarded(table, spec.goal))
    elif pair.source.policies:
        refused.append(guarded(pair.source, spec.origin))
    lacks = [one for one in table.lacks if one in events | {"select"}]
    if not lacks and {"update", "delete"} <= {*table.lacks}:
        lacks = ["update"]  # or nobody else could be kept from writing meanwhile
    if lacks:
        said = sentence(
            "the role may not {rights} in {table} of {place}",
            rights=functools.reduce(lambda one, two: sentence("{one} or {two}", one=one, two=two), lacks),
            table=name,
            place=spec.goal,
        )
        hint = sentence("grant {rights} on {table} to it", rights=lacks, table=name)
        refused.append(refusal("rights", said, hint))
    refused += unread(spec, pair)
    if table.unidentified and events - {"insert"}:
        said = sentence(
            "{table} is published by {names} and has no replica identity",
            table=name,
            names=words(table.published),
        )
        refused.append(refusal("published", said, f"alter table {name} replica identity full"))
    elif table.published:
        said = sentence("{table} is published: {names} sends it on", table=name, names=words(table.published))
        notes.append(Finding("data.published", "note", said))
    if table.views:
        said = sentence(
            "materialized views of {table} stay as they are: {names}", table=name, names=words(table.views)
        )
        notes.append(Finding("data.views", "note", said))
    if table.unlogged:
        said = sentence("{table} is unlogged: a crash of {place} empties it", table=name, place=spec.goal)
        notes.append(Finding("data.unlogged", "note", said))
    return hinted(spec, refused), notes


def guarded(table: Table, place: str) -> Finding:
    """Says that row security hides rows of a table: what is seen of it is not what is there."""
    name = table.shown
    said = sentence(
        "row security hides rows of {table} from the role that {place}'s URL names", table=name, place=place
    )
    hint = sentence("alter role … bypassrls, or connect as the owner of {table}", table=name)
    if table.owned:
        hint = sentence("alter role … bypassrls: its owner is not exempt from row security that is forced")
    return refusal("policies", said, hint)


def unread(spec: Spec, pair: Pair) -> list[Finding]:
    """What the role may not read of a table where its rows come from; rights on columns are enough, but for
    masks, of which nobody knows what they read."""
    if "select" not in pair.source.lacks:
        return []
    closed = [name for name in pair.columns if pair.masks or not _readable(pair, name)]
    if not closed:
        return []
    name = pair.shown
    said = sentence("the role may not select from {table} of {place}", table=name, place=spec.origin)
    hint = sentence("grant select on {table} to it", table=name)
    if len(closed) < len(pair.columns):
        said = sentence(
            "the role may not select {columns} of {table} in {place}",
            columns=words(closed),
            table=name,
            place=spec.origin,
        )
        hint = sentence("grant select on {table} to it, or exclude what it may not read", table=name)
    return [refusal("rights", said, hint)]


def _readable(pair: Pair, name: str) -> bool:
    column = pair.source.column(name)
    return column is not None and column.readable


def _sequences(pair: Pair) -> tuple[list[Finding], list[Finding]]:
    """What speaks against moving a table's sequences on, and which stay where they are."""
    refused, notes = [], []
    for column in map(pair.column, pair.columns):
        if column.sequence is None:
            continue
        name, of = label(column.sequence), f"{pair.shown}.{column.name}"
        if not column.counted:
            said = sentence(
                "the sequence {name} of {column} stays: its numbers are only a part of it",
                name=name,
                column=of,
            )
            notes.append(Finding("data.sequence", "note", said))
        elif not column.settable:
            said = sentence("the role may not set the sequence {name} of {column}", name=name, column=of)
            hint = sentence("grant select, update on sequence {name} to it", name=name)
            refused.append(refusal("rights", said, hint))
    return refused, notes
