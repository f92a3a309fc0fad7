"""One attempt of a hook, to a real server: what is heard, what is silent, and that it ends."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from raccord.hooks.call import Call
from raccord.hooks.sending import Sender, Silent, Unheard
from raccord.transport.local import Local
from tests.sitekit import CUT, DRIP, HANG, SHORT, Reply, web


class Far(Local):
    """This machine, reached through a socket as a host would be."""

    key = "far"


@pytest.fixture(params=[Local, Far])
def sender(request, tmp_path: Path):
    told: list[str] = []
    made = Sender(request.param(tmp_path), lambda: told.append("sent"), lambda: False)
    return made, told


def test_an_answer(sender) -> None:
    made, told = sender
    with web(Reply(201, "héllo")) as site:
        what = Call("h", url=f"{site.url}/a b/é?q=1&x=%20".replace(" ", "%20"), method="POST", body="wörld")
        answer = made.send(what, {"X-A": "ü".encode()})
        (got,) = site.got
    assert (answer.status, answer.text, told) == (201, "héllo", ["sent"])
    assert (got.method, got.path, got.body) == ("POST", "/a%20b/%C3%A9?q=1&x=%20", "wörld".encode())
    assert got.headers["Host"] == f"localhost:{site.port}"


def test_nobody_there(sender) -> None:
    made, told = sender
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    with pytest.raises(Unheard):
        made.send(Call("h", url=f"http://localhost:{port}/"), {})
    assert told == []


@pytest.mark.long_but(3)
@pytest.mark.parametrize("how", [HANG, DRIP, CUT, SHORT])
def test_no_answer_ends_in_time(sender, how: str) -> None:
    made, told = sender
    began = time.monotonic()
    with web(how) as site, pytest.raises(Silent):
        made.send(Call("h", url=f"{site.url}/", timeout=1), {})
    assert told == ["sent"] and time.monotonic() - began < 20


def test_a_huge_answer_is_read_in_part(sender) -> None:
    made, _ = sender
    with web(Reply(200, "x" * 3_000_000)) as site:
        assert len(made.send(Call("h", url=f"{site.url}/"), {}).text) == 1024 * 1024


def test_a_person_can_stop_it(tmp_path: Path) -> None:
    sender = Sender(Local(tmp_path), lambda: None, lambda: True)
    with web(HANG) as site, pytest.raises(KeyboardInterrupt):
        sender.send(Call("h", url=f"{site.url}/"), {})


def test_redirects_stay_with_their_server(sender) -> None:
    made, _ = sender
    with web() as other:
        there = Reply(302, "", (("Location", f"{other.url}/steal"),))
        here = Reply(301, "", (("Location", "/next"),))
        with web(here, Reply(200, "next")) as site:
            assert made.send(Call("h", url=f"{site.url}/"), {"Authorization": b"x"}).text == "next"
            assert [one.path for one in site.got] == ["/", "/next"]
        with web(there) as site:
            answer = made.send(Call("h", url=f"{site.url}/"), {"Authorization": b"x"})
            assert answer.status == 302 and "not followed" in answer.text
        with web(here) as site:
            assert made.send(Call("h", url=f"{site.url}/", method="POST"), {}).status == 301
            assert len(site.got) == 1
        with web(here) as site:
            assert "for ever" in made.send(Call("h", url=f"{site.url}/"), {}).text
        assert other.got == []


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """For localhost, with its key, which nobody vouches for."""
    made = tmp_path / "site.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    words += ["-keyout", str(made), "-out", str(tmp_path / "crt.pem")]
    try:
        subprocess.run(words, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl")
    made.write_text(made.read_text() + (tmp_path / "crt.pem").read_text())
    return made


def test_tls(sender, certificate: Path, monkeypatch) -> None:
    made, told = sender
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with web(tls=context) as site:
        what = Call("h", url=f"{site.url}/", timeout=10)
        # Nobody who can't be trusted hears of it.
        with pytest.raises(Unheard):
            made.send(what, {"Authorization": b"secret"})
        assert told == [] and site.got == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert made.send(what, {}).status == 200
        other = Call("h", url=f"{site.url.replace('localhost', '127.0.0.1')}/", timeout=10)
        with pytest.raises(Unheard):
            made.send(other, {})
    with web(HANG, tls=context) as site, pytest.raises(Silent, match="no answer after 1 s"):
        made.send(Call("h", url=f"{site.url}/", timeout=1), {})


def test_commands(sender) -> None:
    made, told = sender
    answer = made.send(Call("h", words=("cat",), body="a\nb"), {})
    assert (answer.status, answer.text) == (0, "a\nb")
    answer = made.send(Call("h", line="echo out; echo err >&2; exit 3"), {})
    assert answer.status == 3 and answer.text.startswith("err\n")
    told.clear()
    with pytest.raises(Silent, match="no end after 1 s"):
        made.send(Call("h", line="sleep 60", timeout=1), {})
    assert told == ["sent"]
    with pytest.raises(Unheard, match="no-such-program"):
        made.send(Call("h", words=("no-such-program",)), {})
