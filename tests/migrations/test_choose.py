"""The decision which content of a revision to take: each row of the table, and chains that go in circles."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raccord.errors import UsageError
from raccord.migrations import circles, walk
from raccord.migrations.choose import choose, code, difference, settle
from raccord.migrations.contents import Candidate, Origin
from raccord.migrations.evidence import Proof
from raccord.migrations.revision import Revision, read
from raccord.migrations.sightings import stands_on
from tests.migrations.places import digest, written


def candidate(data: bytes, kind: str = "worktree", when: float = 0.0) -> Candidate:
    header = read(data, "a.py")
    assert isinstance(header, Revision)
    origin = Origin(kind, "/w", "v/a.py", "", "", when, digest(data))  # type: ignore[arg-type]  # any kind
    return Candidate(header, "0" * 40, data, (origin,))


ONE, TWO, THREE = (candidate(written("aaaa", None, f"x = {number}"), when=number) for number in (1, 2, 3))
NOTED = candidate(ONE.source.replace(b"step", b"# other words\n# step").replace(b"x = 1", b"x  =  1  # why"))
PAST = candidate(written("aaaa", None, "x = 4"), "history", 99)


def test_the_only_content_is_taken():
    made = choose("aaaa", [ONE])
    assert (made.why, made.pick, made.hints) == ("only", ONE, ())


def test_what_a_person_chose_comes_first():
    made = choose("aaaa", [ONE, TWO], chosen=TWO.digest[:12], applied=ONE.digest)
    assert (made.why, made.pick) == ("chosen", TWO)
    assert choose("aaaa", [ONE, PAST], chosen=PAST.digest).pick == PAST


@pytest.mark.parametrize("chosen", ["nothing", ""])
def test_a_choice_that_fits_nothing_is_named(chosen):
    if chosen:
        with pytest.raises(UsageError, match="0 contents of aaaa begin with nothing"):
            choose("aaaa", [ONE, TWO], chosen=chosen)
    else:
        assert choose("aaaa", [ONE, TWO], chosen=chosen).why == "ambiguous"


def test_what_was_applied_is_taken_even_where_it_lies_only_in_the_past():
    made = choose("aaaa", [ONE, TWO, PAST], applied=PAST.digest)
    assert (made.why, made.pick) == ("applied", PAST)


def test_what_was_applied_and_is_gone_is_not_replaced():
    made = choose("aaaa", [ONE], applied="0" * 64)
    assert (made.why, made.pick, made.candidates) == ("lost", None, (ONE,))
    assert made.hints == (f"raccord migrations heal --choose aaaa={ONE.digest[:12]}",)


def test_contents_of_today_go_before_those_of_the_past_and_the_others_are_told():
    made = choose("aaaa", [ONE, PAST])
    assert (made.why, made.pick, made.passed_by) == ("only", ONE, (PAST,))
    assert choose("aaaa", [PAST]).pick == PAST


@pytest.mark.parametrize("order", list(itertools.permutations([ONE, NOTED])))
def test_the_same_code_is_the_first_in_the_order_of_the_sources(order):
    made = choose("aaaa", order)
    assert (made.why, made.pick) == ("same-code", order[0])


def test_the_schema_is_asked_last_and_about_what_differs():
    asked = []

    def tells(revision, pool, past):
        asked.append((revision, list(pool), list(past)))
        return Proof(pool[1], "a sign")

    made = choose("aaaa", [ONE, NOTED, TWO, PAST], schema=tells)
    assert (made.why, made.pick, made.said) == ("schema", TWO, "a sign")
    assert choose("aaaa", [ONE, TWO], schema=tells, chosen=ONE.digest).pick == ONE
    assert choose("aaaa", [ONE, TWO], schema=tells, applied=ONE.digest).pick == ONE
    choose("aaaa", [ONE, NOTED], schema=tells)
    assert asked == [("aaaa", [ONE, TWO], [PAST])]


def test_a_schema_that_does_not_tell_decides_nothing():
    made = choose("aaaa", [ONE, NOTED, TWO], schema=lambda *_: Proof(None, "why not"))
    assert (made.why, made.pick, made.said) == ("ambiguous", None, "why not")
    assert made.candidates == (ONE, NOTED, TWO)


@given(st.permutations([ONE, TWO, THREE, PAST]), st.integers(1, 4))
def test_the_newest_never_wins(order, number):
    made = choose("aaaa", order[:number])
    today = [one for one in order[:number] if one.current] or order[:number]
    assert made.pick == (today[0] if len(today) == 1 else None)


def test_what_is_the_same_code():
    plain = written("aaaa", None)
    assert code(plain) == code(plain.replace(b"\n", b"\r\n")) == code(b"# x\n" + plain)
    assert code(plain) != code(written("aaaa", "bbbb"))
    assert code(b'def f():\n    "doc"\n') == code(b"def f():\n    pass\n")
    assert code(b'"a"\nrun(__doc__)\n') != code(b'"b"\nrun(__doc__)\n')
    assert code(b"x = '\\d'\n") == code(b"x = '\\\\d'\n")
    for broken in (b"(", b"\0", b"(" * 5000, b"-" * 200_000 + b"1"):
        assert code(broken) == code(broken) != code(broken + b" ")


def test_a_difference_is_safe_to_show():
    hostile = candidate(written("aaaa", None, "x = '\x1b[2J'"))
    said = difference(ONE, hostile)
    assert "-    x = 1" in said and "\\x1b[2J" in said and "\x1b" not in said


# Chains


def contents(*sources: bytes) -> dict[str, list[Candidate]]:
    found: dict[str, list[Candidate]] = {}
    for source in sources:
        one = candidate(source)
        found.setdefault(one.revision.id, []).append(one)
    return found


def test_only_what_the_picked_contents_stand_on_is_decided():
    found = contents(written("cccc", "bbbb"), written("bbbb", "aaaa"), written("zzzz", None))
    made = settle(["cccc"], found, {"aaaa": ()})
    assert {one: each.why for one, each in made.items()} == {"cccc": "only", "bbbb": "only"}


def test_what_is_nowhere_is_told():
    made = settle(["bbbb", "gone"], contents(written("bbbb", "lost")), {})
    assert {one: each.why for one, each in made.items()} == {
        "bbbb": "only",
        "gone": "nowhere",
        "lost": "nowhere",
    }


def test_a_content_that_leads_back_to_itself_is_turned_away():
    good, bad = written("bbbb", "aaaa", "x = 1"), written("bbbb", "cccc", "x = 2")
    made = settle(["cccc"], contents(written("cccc", "bbbb"), good, bad), {"aaaa": ()})
    assert made["bbbb"].pick is not None and made["bbbb"].pick.source == good
    assert [one.source for one in made["bbbb"].circular] == [bad]


def test_a_circle_through_what_is_there_already():
    made = settle(["bbbb"], contents(written("bbbb", "cccc")), {"cccc": ("bbbb",)})
    assert made["bbbb"].why == "circular" and made["bbbb"].pick is None


def test_two_picks_that_are_well_alone_and_a_circle_together():
    found = contents(
        written("bbbb", "cccc", "x = 1"), written("bbbb", "aaaa", "x = 2"),
        written("cccc", "bbbb", "y = 1"), written("cccc", "aaaa", "y = 2"),
    )  # fmt: skip
    both = {one: each[0].digest for one, each in found.items()}
    made = settle(["bbbb", "cccc"], found, {"aaaa": ()}, applied=both)
    assert {each.why for each in made.values()} == {"circular"}
    other = both | {"bbbb": found["bbbb"][1].digest}
    made = settle(["bbbb", "cccc"], found, {"aaaa": ()}, applied=other)
    assert {each.why for each in made.values()} == {"applied"}


def test_a_dependency_by_label():
    base = written("aaaa", None).replace(b"branch_labels = None", b"branch_labels = ('auth',)")
    top = written("bbbb", None).replace(b"depends_on = None", b"depends_on = 'auth@head'")
    assert set(settle(["bbbb"], contents(base, top), {})) == {"aaaa", "bbbb"}


NAMES = st.sampled_from("abcde")
WAYS = st.dictionaries(
    NAMES, st.lists(st.lists(NAMES, max_size=2, unique=True).map(tuple), min_size=1, max_size=3), min_size=1
)


@given(WAYS)
def test_a_way_is_circular_where_no_pick_of_the_others_ends(ways):
    """Against trying every combination of picks."""
    for one, mine in ways.items():
        for way, said in zip(mine, circles.circular(one, ways), strict=True):
            others = {**ways, one: [way]}
            ends = any(
                not _turns(one, dict(zip(others, picks, strict=True)))
                for picks in itertools.product(*others.values())
            )
            assert said is not ends


def _turns(one, links):
    inside = {name: tuple(up for up in ups if up in links) for name, ups in links.items()}
    below = walk.reached([one], inside)
    return bool(walk.cycles({name: inside[name] for name in inside if name in below}))


def test_every_name_that_a_revision_stands_on():
    data = written("aaaa", ("b", "c")).replace(b"depends_on = None", b"depends_on = ('x@d', 'e@head', 'b')")
    assert stands_on(candidate(data).revision) == ("b", "c", "d", "e")
