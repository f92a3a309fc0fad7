"""Claims on paths: the same for a clone alone and for the machines of a hub."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raccord.coordination.leases import LocalLeases
from raccord.database import hub
from raccord.database.url import parse
from raccord.errors import Leased, LeaseLost
from raccord.kernel.store import Store
from raccord.model.globs import named
from raccord.model.leases import Claim, overlapping, spelled
from tests import pgkit
from tests.webkit import until

ADA = Claim("src/api", "ada", "m1", "/srv/ada")
BOB = Claim("src/**", "bob", "m2", "/srv/bob")


@pytest.fixture(params=["local", "hub"])
def kept(request, tmp_path):
    """Opens one place that keeps leases as often as it is asked to."""
    server = pgkit.server()
    with server.lent() as name, contextlib.ExitStack() as stack:

        def local():
            return LocalLeases(stack.enter_context(contextlib.closing(Store(tmp_path / "state.db"))))

        def far():
            return stack.enter_context(hub.opened(parse(server.url(name), "/"), "shop")).leases

        yield {"local": local, "hub": far}[request.param]


def test_a_lease_keeps_others_out_until_it_is_released(kept):
    one, two = kept(), kept()
    lease = one.claim(ADA, 60)
    with pytest.raises(Leased, match="src/api by ada"):
        two.claim(BOB, 60)
    assert [(got.claim, got.token) for got in two.leases()] == [(ADA, lease.token)]
    assert 50 < two.leases()[0].left <= 60
    assert not two.release(BOB)
    assert two.release(ADA)
    assert not one.release(ADA)
    assert two.claim(BOB, 60).token > lease.token


def test_whoever_asks_again_goes_on_with_his_token_and_may_hold_more(kept):
    one = kept()
    first = one.claim(ADA, 60)
    again = one.claim(ADA, 600)
    assert again.token == first.token
    assert one.leases()[0].left > 500
    more = one.claim(replace(ADA, pattern="src"), 60)
    assert more.token > first.token
    with pytest.raises(Leased):  # the same person in another worktree is somebody else
        one.claim(replace(ADA, place="/srv/other"), 60)


def test_a_lease_ends_by_itself_and_its_token_is_worth_nothing_then(kept):
    one, two = kept(), kept()
    lease = one.claim(ADA, 0.2)
    assert one.renew(ADA, lease.token, 0.3).token == lease.token
    until(lambda: not one.leases())
    with pytest.raises(LeaseLost):
        one.renew(ADA, lease.token, 60)
    other = two.claim(BOB, 60)
    assert other.token > lease.token
    with pytest.raises(LeaseLost):
        one.renew(ADA, other.token, 60)
    with pytest.raises(Leased):
        one.claim(ADA, 60)


def test_of_many_who_ask_at_once_one_gets_it(kept):
    places = [kept() for _ in range(6)]
    got, refused = [], []

    def ask(number, place):
        try:
            got.append(place.claim(replace(ADA, machine=f"m{number}"), 60))
        except Leased as error:
            refused.append(error)

    threads = [threading.Thread(target=ask, args=pair) for pair in enumerate(places)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 5)


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ("src", "src/api/x.py", True),
        ("src/api", "src/web", False),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/a.md", False),
        ("src/*.py", "src/a*", True),
        ("**/x.py", "src/api", True),
        ("docs/**/x.md", "docs/a/b", True),
        ("docs/**/x.md", "src/**", False),
        ("a/**/b/c", "a/b/d", True),
        ("a", "b", False),
        ("[ab]", "a", True),
        ("[ab]", "c", False),
    ],
)
def test_what_is_in_the_way_of_what(one, two, expected):
    assert overlapping(one, two) is overlapping(two, one) is expected


names = st.sampled_from(["a", "b", "ab", "c"])
parts = st.sampled_from(["a", "b", "ab", "*", "a*", "?", "[ab]", "**"])


@given(
    st.lists(parts, min_size=1, max_size=4),
    st.lists(parts, min_size=1, max_size=4),
    st.lists(names, min_size=1),
)
def test_two_patterns_that_name_one_path_are_in_each_others_way(one, two, path):
    first, second = "/".join(one), "/".join(two)
    if all(named([f"/{pattern}"], "/".join(path)) for pattern in (first, second)):
        assert overlapping(first, second)


@pytest.mark.parametrize("pattern", ["", "/", "..", "a/../b", "!a", "a\nb", "/".join("a" * 200), "x" * 2000])
def test_what_names_nothing_is_refused(pattern):
    assert spelled(pattern) == ""


def test_spellings_of_one_pattern_are_one():
    assert spelled("/src//./api/") == spelled("src/api") == "src/api"
