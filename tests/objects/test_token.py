"""The session token of a temporary key: sent with each request, signed, and said by nothing."""

from __future__ import annotations

import http.server
import threading

import pytest

from raccord.errors import CannotRun
from tests import s3kit
from tests.fileskit import Two

TOKEN = "cnry/session+token=="
EMPTY = b'<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'


@pytest.fixture
def asked():
    """A server of no objects, and the headers that it gets."""
    found: list[dict[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.append({name.lower(): value for name, value in self.headers.items()})
            expired = self.headers.get("x-amz-security-token") != TOKEN
            body = b"<Error><Code>ExpiredToken</Code></Error>" if expired else EMPTY
            self.send_response(400 if expired else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", found
        server.shutdown()


def two_with(tmp_path, endpoint: str) -> Two:
    two = Two(tmp_path)
    two.keys["prod"] = {"objects": "s3://bucket/at", "objects_endpoint": endpoint}
    two.keys["prod"]["objects_token"] = f"file:{tmp_path}/token"
    (tmp_path / "token").write_text(TOKEN + "\n")
    two.configure()
    return two


def test_it_is_sent_and_signed(tmp_path, asked):
    endpoint, found = asked
    two = two_with(tmp_path, endpoint)
    two.put("dev", {"a": b"a"})
    assert two.numbers() == (1, 0, 0, 0)
    assert {one["x-amz-security-token"] for one in found} == {TOKEN}
    assert all("x-amz-security-token" in one["authorization"] for one in found)
    assert all(s3kit.KEY_ID in one["authorization"] for one in found)
    kept = [one for one in (two.repo.path / ".git").rglob("*") if one.is_file()]
    assert not [one for one in kept if TOKEN.encode() in one.read_bytes()]


def test_one_that_ran_out(tmp_path, asked):
    two = two_with(tmp_path, asked[0])
    (tmp_path / "token").write_text("cnry-old\n")
    with pytest.raises(CannotRun, match="has run out") as caught:
        two.diff()
    assert "objects_token" in caught.value.hint and "cnry" not in repr(caught.value.__dict__)


def test_one_without_a_key(tmp_path, asked):
    two = two_with(tmp_path, asked[0])
    path = two.repo.path / "raccord.toml"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(one for one in lines if not one.startswith(("objects_key", "objects_key_id"))))
    with pytest.raises(CannotRun, match="no key that it would belong to"):
        two.diff()
