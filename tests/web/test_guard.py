"""Who is let in: every route, with everything that a page of somebody else's could try."""

from __future__ import annotations

import re
import time

import httpx
import pytest

from raccord.web import guard
from raccord.web.client import asked
from raccord.web.guard import OPEN, SCRAPED, Bucket, Doors, cookie
from tests import webkit

FOREIGN = "http://evil.example"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    # Hundreds of refusals are asked for here, at once; that they are slowed down is a test of its own.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guard, "REFUSED_BURST", 1e6)
        with webkit.site(tmp_path_factory.mktemp("site")) as made:
            yield made


def routes(site):
    """Every route of the description, and those that are not in it."""
    paths = site.client.get("/openapi.json").json()["paths"]
    found = [
        (method.upper(), re.sub(r"\{\w+\}", "1", path))
        for path, methods in paths.items()
        for method in methods
    ]
    assert {("GET", "/api/events"), ("PATCH", "/api/sync/config"), ("POST", "/api/runs/1/undo")} <= set(found)
    assert len(found) > 24
    others = ("/openapi.json", "/", "/sync-dashboard.html", "/assets/app.js", "/nothing")
    return [*found, *(("GET", path) for path in others), ("PUT", "/api/sync/status")]


# What a request may lack or forge, and what it is answered with.
def attacks(site):
    good = {"authorization": f"Bearer {site.token}"}
    return {
        "no token": ({}, {401}),
        "wrong token": ({"authorization": "Bearer " + "x" * 43}, {401}),
        "two tokens": ([("authorization", good["authorization"]), ("authorization", "Bearer y")], {401}),
        "wrong host": ({**good, "host": "evil.example"}, {421}),
        "rebound name": ({**good, "host": f"evil.example:{site.host.rpartition(':')[2]}"}, {421}),
        "host without port": ({**good, "host": "127.0.0.1"}, {421}),
        "wrong origin": ({**good, "origin": FOREIGN}, {403}),
        "no origin at all": ({**good, "origin": "null"}, {403}),
        "another port": ({**good, "origin": "http://127.0.0.1:1"}, {403}),
        "another site": ({**good, "sec-fetch-site": "cross-site"}, {403}),
        "another page of the site": ({**good, "sec-fetch-site": "same-site"}, {403}),
        "stale cookie": ({"cookie": "raccord=" + "x" * 43, "origin": f"http://{site.host}"}, {401}),
        "bypass": ({"x-dev-bypass": "1"}, {401}),
        "scrape token": ({"authorization": f"Bearer {site.scrape}"}, {401}),
    }


ATTACKS = (
    "no token", "wrong token", "two tokens", "wrong host", "rebound name", "host without port",
    "wrong origin", "no origin at all", "another port", "another site", "another page of the site",
    "stale cookie", "bypass", "scrape token",
)  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_route_refuses(site, attack):
    headers, expected = attacks(site)[attack]
    names_place = any(word in attack for word in ("host", "name", "origin", "port", "site"))
    for method, path in routes(site):
        if path in OPEN and not names_place:
            continue
        if attack == "scrape token" and path in SCRAPED:
            continue
        answer = site.stranger.request(method, path, headers=headers)
        assert answer.status_code in expected, (attack, method, path)
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    ("languages", "expected"),
    [
        ("fr-CA,fr;q=0.9,en;q=0.8", "Cette page a besoin"),
        ("de,en;q=0.5", "This page needs a link"),
        ("", "This"),
    ],
)
def test_a_person_is_told_how_to_come_in_and_a_program_is_not(site, languages, expected):
    person = {"accept": "text/html,*/*;q=0.8", "accept-language": languages}
    stale = person | {"cookie": "raccord=" + "x" * 43}
    asked_for = [("/", person), ("/sync-dashboard.html", stale), ("/login?link=used", person)]
    for path, headers in asked_for:
        answer = site.stranger.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
        assert expected in answer.text
        assert "raccord serve --link" in answer.text
    for path, headers in [
        ("/", {}),
        ("/api/sync/status", person),
        ("/api/events", person),
        ("/metrics", person),
    ]:
        answer = site.stranger.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["detail"]


def test_health_is_open_and_says_nothing_but_its_state(site):
    for path in OPEN:
        answer = site.stranger.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_scrape_token_reads_metrics_alone(site):
    headers = {"authorization": f"Bearer {site.scrape}"}
    assert site.stranger.get("/metrics", headers=headers).status_code == 200


def test_a_link_opens_one_session_once(site):
    said = asked(site.main / ".git" / "raccord", "POST", "/api/links")
    link = said["link"]
    with httpx.Client(base_url=site.server.url) as browser:
        first = browser.get(link)
        assert first.status_code == 303
        said = first.headers["set-cookie"].lower()
        assert "httponly" in said
        assert "samesite=strict" in said
        assert browser.get("/api/sync/status").status_code == 200
        assert browser.post("/api/sync/consolidate").status_code == 403
        own = {"origin": f"http://{site.host}"}
        assert browser.post("/api/sync/consolidate", headers=own).status_code == 200
    assert site.stranger.get(link).status_code == 401


def test_the_bypass_works_where_it_was_asked_for_alone(tmp_path):
    with webkit.site(tmp_path, dev=True) as open_site:
        bypass = {"x-dev-bypass": "1"}
        assert open_site.stranger.get("/api/sync/status", headers=bypass).status_code == 200
        assert open_site.stranger.get("/api/sync/status").status_code == 401
        for more in ({"host": "evil.example"}, {"origin": FOREIGN}, {"x-dev-bypass": "2"}):
            assert open_site.stranger.get("/api/sync/status", headers=bypass | more).status_code in (
                401,
                403,
                421,
            )


def test_who_is_refused_too_often_is_slowed_and_nobody_else(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "REFUSED_PER_SECOND", 0.0)  # whatever time the requests take
    monkeypatch.setattr(guard, "REFUSED_BURST", 5.0)
    with webkit.site(tmp_path) as busy:
        said = [busy.stranger.get("/api/sync/status").status_code for _ in range(10)]
        assert said == [401] * 5 + [429] * 5
        assert busy.stranger.get("/login?link=guess").status_code == 429
        assert busy.stranger.get("/health").status_code == 200
        assert busy.client.get("/api/sync/status").status_code == 200


def test_files_with_secrets_are_their_owners_alone(site):
    folder = site.main / ".git" / "raccord" / "serve"
    assert {oct(one.stat().st_mode & 0o777) for one in folder.iterdir()} == {"0o600"}


def test_links_end_and_sessions_are_not_guessed(monkeypatch):
    doors = Doors(frozenset(), "t" * 40, "s" * 40)
    link = doors.link()
    assert doors.redeem("other") is None
    now = time.monotonic()
    monkeypatch.setattr("time.monotonic", lambda: now + 601)
    assert doors.redeem(link) is None
    assert not doors.session("")


def test_a_bucket_runs_dry_and_fills_again(monkeypatch):
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    bucket = Bucket(2, 3)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    now = 101.0
    assert [bucket.take() for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(
    ("said", "expected"),
    [([], ""), (["a=b"], ""), (["a=b; raccord=x"], "x"), (["\x00"], ""), (["raccord"], "")],
)
def test_a_cookie_is_read_whatever_stands_beside_it(said, expected):
    assert cookie(said) == expected
