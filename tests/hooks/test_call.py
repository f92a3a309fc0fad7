"""What an answer says, and whether a hook is sent again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from raccord.config import Hook, parse
from raccord.errors import ConfigError, UsageError
from raccord.hooks.call import Answer, Call, again, call, pauses, wrong

GET = Call("h", url="http://localhost:3000/api?key=s3cret")


@pytest.mark.parametrize(
    ("more", "answer", "said"),
    [
        ({}, Answer(200, ""), ""),
        ({}, Answer(204, ""), ""),
        ({}, Answer(302, "it sends on"), "answered 302: it sends on"),
        ({}, Answer(500, "\n boom \nmore"), "answered 500: boom"),
        ({"status": (202,)}, Answer(200, ""), "answered 200"),
        ({"status": (503,)}, Answer(503, ""), ""),
        ({"answer": "queued"}, Answer(200, "was queued"), ""),
        ({"answer": "queued"}, Answer(200, "no"), "the answer has no queued: no"),
        ({"json": {"a.b.1": "x"}}, Answer(200, '{"a": {"b": [0, "x"]}}'), ""),
        ({"json": {"ok": "true", "n": "1.5", "z": "null"}}, Answer(200, '{"ok":true,"n":1.5,"z":null}'), ""),
        ({"json": {"ok": "true"}}, Answer(200, '{"ok": "false"}'), "another ok than true: false"),
        ({"json": {"a.9": "1"}}, Answer(200, '{"a": [1]}'), "nothing at a.9"),
        ({"json": {"ok": "true"}}, Answer(200, "<html>"), "no JSON: <html>"),
        ({"json": {"ok": "true"}}, Answer(200, "[" * 100_000), "no JSON"),
        ({}, Answer(500, "bad token s3cr€t-canary!"), "bad token ***!"),
        ({}, Answer(500, "\x1b[2Jred"), "red"),
        ({}, Answer(500, 'no token w0rd-canary, \\u20ac "s3cr\\u20act-canary" s3cr%E2%82%ACt-canary'), "***"),
        ({}, Answer(3, "can't reach postgresql://app:p4ss-canary@db/app"), "app:***@db"),
        ({"url": "", "words": ("x",)}, Answer(0, "anything"), ""),
        ({"url": "", "words": ("x",)}, Answer(3, "why"), "failed (3): why"),
        ({"url": "", "line": "x", "answer": "done"}, Answer(0, "did"), "has no done"),
    ],
)
def test_what_is_wrong(more, answer, said) -> None:
    found = wrong(
        Call(**{"name": "h", "url": "http://h/"} | more), answer, ("s3cr€t-canary", "Bearer w0rd-canary")
    )
    assert (said in found) if said else found == "", found
    assert "canary" not in found and "\x1b" not in found


@pytest.mark.parametrize(
    ("repeatable", "heard", "status", "more"),
    [
        (True, False, None, True),
        (False, False, None, True),
        (True, True, None, True),
        (False, True, None, False),
        (True, True, 500, True),
        (True, True, 200, True),
        (False, True, 500, False),
        (True, True, 404, False),
        (True, True, 302, False),
        (True, True, 429, True),
        (False, True, 429, False),
    ],
)
def test_whether_it_is_sent_again(repeatable, heard, status, more) -> None:
    assert again(Call("h", url="http://h/", repeatable=repeatable), heard=heard, status=status) is more


def test_a_command_that_failed_is_run_again_where_it_may_be() -> None:
    assert again(Call("h", words=("x",), repeatable=True), heard=True, status=1)
    assert not again(Call("h", words=("x",), repeatable=False), heard=True, status=1)


def test_pauses_double_and_end() -> None:
    assert pauses(Call("h", retries=4, pause=2)) == [2, 4, 8, 16]
    assert pauses(Call("h", retries=100, pause=30))[-1] == 60
    assert pauses(Call("h", retries=0)) == []


def test_what_a_hook_becomes() -> None:
    hook = parse(
        "[hooks.h]\nurl = 'http://h/'\nheaders = { Authorization = 'env:A', 'X-B' = 'b' }\nstatus = [202]\n"
        "json = { 'a.b' = '1' }\nmethod = 'POST'",
        "f",
    ).hooks["h"]
    made = call("h", hook)
    assert not made.repeatable and [one.kind for one in made.headers.values()] == ["env", "text"]
    assert made.fingerprint == call("h", hook).fingerprint
    others = [
        replace(hook, body="x"),
        replace(hook, headers={}),
        replace(hook, json={"a.b": "2"}),
        replace(hook, retries=1),
    ]
    assert made.fingerprint not in {call("h", one).fingerprint for one in others}
    assert GET.said == "GET http://localhost:3000/api?…"


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        (Hook(), "none of url"),
        (Hook(url="http://h/", shell="x"), "url and shell"),
        (Hook(command=("x",), status=(200,)), "has status, and no url"),
        (Hook(shell="  "), "empty shell line"),
    ],
)
def test_hooks_that_say_nothing_sensible(hook: Hook, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        call("h", hook)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("url = 'ftp://h/'", "is no URL"),
        ("url = 'http://user:p4ss@h/'", "is no URL"),
        ("url = 'http://h/a b'", "is no URL"),
        ("headers = { Authorization = 'Bearer p4ss' }", "would stand here"),
        ("headers = { 'X-Api-Key' = 'p4ss' }", "would stand here"),
        ("headers = { Host = 'x' }", "raccord sets itself"),
        ("headers = { 'A B' = 'x' }", "no name of a header"),
        ('headers = { A = "a\\nb" }', "control character"),
        ("headers = 'A: b'", "is a string"),
        ("status = [99]", "is 99"),
        ("status = 200", "is a number"),
        ("method = 'TRACE'", "is 'TRACE'"),
        ("timeout_seconds = 0", "is 0"),
        ("shell = 1", "is a number"),
        ("repeatable = 'yes'", "is a string"),
    ],
)
def test_keys_that_are_refused(line: str, said: str) -> None:
    with pytest.raises(ConfigError) as found:
        parse(f"[hooks.h]\n{line}\n", "f")
    assert said in str(found.value) and "p4ss" not in str(found.value)
