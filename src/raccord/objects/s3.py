"""Buckets of S3 and its kin, through obstore. Nothing of the environment says where, or as whom, is asked."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raccord.errors import DriverMissing, ObjectsError, WorldMoved
from raccord.kernel.extras import install
from raccord.model.language import sentence
from raccord.model.text import shown
from raccord.objects.feeding import AHEAD, fed
from raccord.objects.model import CHUNK, Entry, Listing, Reading, Unreadable, Written
from raccord.objects.place import Place

if TYPE_CHECKING:
    from obstore.store import S3Store

SINGLE = 16 << 20  # bytes that go up in one request; more go in parts
PART = 8 << 20
PARTS = 9_000  # S3 takes 10,000
AT_ONCE = 4  # parts of one object
# Bytes of an object that are in memory: parts on their way, one that fills, and chunks that wait for it.
IN_PARTS = (AT_ONCE + 1) * PART + (AHEAD + 1) * CHUNK
KEY = 1_024  # bytes
DELETES = 1_000  # of one request
COPIED = 5_000_000_000  # bytes that a server copies in one request
RETRIES = 4
METADATA = "its metadata are no text"
UNREACHED = "it can't be reached"
ASK_THE_WAY = "raccord env check"  # tells which part of a way to a server is broken
# What servers say, and what it means for a person.
SAYS = (
    (
        r"ExpiredToken|TokenRefreshRequired|InvalidToken|RequestExpired",
        "its temporary key has run out, or the session token is not that of the key",
        "get a new key, for objects_key_id, objects_key and objects_token of the environment",
    ),
    (
        r"RequestTimeTooSkewed",
        "the clock here is not that of the server",
        "set the clock, for example: sudo timedatectl set-ntp true",
    ),
    (r"NoSuchBucket", "there is no such bucket", "make the bucket, or edit objects in raccord.toml"),
    (
        r"InvalidAccessKeyId|SignatureDoesNotMatch|403 Forbidden|401 Unauthorized|AccessDenied",
        "it refuses the key, or the key has no right to do this",
        "look at objects_key_id and objects_key of the environment",
    ),
    (
        r"error sending request|dns error|tcp connect|HTTP error",
        UNREACHED,
        "look at objects_endpoint of the environment",
    ),
    (
        r"parsing Path|path segment",
        "a name has an empty, . or .. part, or a control character",
        "rename that object, or choose another prefix",
    ),
    (r"507 |InsufficientStorage|QuotaExceeded", "it has no room left", "make room there"),
)


class S3:
    """A bucket, or part of one."""

    def __init__(self, place: Place) -> None:
        """Opens it; asks nothing of the server.

        Raises:
            DriverMissing: obstore isn't installed.
            TransportError: what lies between can't be reached.
        """
        try:
            from obstore.store import S3Store
        except ImportError:
            raise DriverMissing(f"{place.shown} needs the package obstore", hint=install("files")) from None
        self.place = place
        self._conditions = True
        given: dict[str, Any] = {"skip_signature": True}
        if place.key_id:
            # A provider, so that no session token of the environment goes along.
            given = {"skip_signature": False, "credential_provider": lambda: _credentials(place)}
        self._store: S3Store = S3Store(
            place.bucket,
            prefix=place.prefix or None,
            endpoint=place.url,
            aws_endpoint_url_s3=place.url,
            region=place.region or "us-east-1",
            virtual_hosted_style_request=False,
            conditional_put="etag",
            # Every byte is checked twice as it is; signed, too, where somebody on the way could change it.
            unsigned_payload=place.sheltered,
            client_options={
                "allow_http": place.url.startswith("http://"),
                "connect_timeout": "10s",
                "read_timeout": "60s",
                "timeout": "6h",
                **({"proxy_url": place.proxy} if place.route else {}),
            },
            retry_config={"max_retries": RETRIES, "retry_timeout": datetime.timedelta(seconds=60)},
            **given,
        )

    @property
    def shown(self) -> str:
        """Its URL."""
        return self.place.shown

    @property
    def keeps_attributes(self) -> bool:
        """Yes."""
        return True

    @property
    def longest(self) -> int:
        """What S3 takes, less where the place begins."""
        return KEY - len(f"{self.place.prefix}/".lstrip("/").encode())

    def listing(self, below: str = "") -> Listing:
        """A listing, a thousand at a time; no object is asked for by itself."""
        import obstore

        entries: dict[str, Entry] = {}
        left: dict[str, str] = {}
        with self._foreseen("list"):
            for many in obstore.list(self._store, prefix=below.strip("/") or None, chunk_size=1000):
                for one in many:
                    if one["path"] in entries:
                        left[one["path"]] = sentence("there twice, with a slash at one end and without")
                    entries[one["path"]] = Entry(one["path"], one["size"], _etag(one["e_tag"]))
        return Listing({key: one for key, one in entries.items() if key not in left}, left)

    def find(self, key: str) -> Entry | None:
        """Asks for one object."""
        import obstore

        try:
            with self._foreseen("look at", key):
                found = obstore.head(self._store, key)
        except WorldMoved:
            return None
        return Entry(key, found["size"], _etag(found["e_tag"]), _version(found["version"]))

    @contextlib.contextmanager
    def read(self, key: str, etag: str, version: str = "") -> Iterator[Reading]:
        """One request, for that version alone."""
        import obstore

        options: Any = {"version": version} if version else {"if_match": f'"{etag}"'}
        with self._foreseen("read", key):
            got = obstore.get(self._store, key, options=options)
            entry = Entry(key, got.meta["size"], _etag(got.meta["e_tag"]))
            attributes = {str(name): str(value) for name, value in got.attributes.items()}
        if entry.etag != etag:
            raise WorldMoved(f"{shown(key)} is not as it was", path=key)
        yield Reading(entry, self._chunks(key, got, entry.size), attributes)

    def _chunks(self, key: str, got: Any, size: int) -> Iterator[bytes]:
        with self._foreseen("read", key):
            if size <= SINGLE:
                yield bytes(got.bytes())
                return
            for chunk in got.stream(min_chunk_size=CHUNK):
                yield bytes(chunk)

    def write(
        self, key: str, data: Iterable[bytes], size: int, attributes: Mapping[str, str], expected: str
    ) -> Written:
        """One conditional request; for a large object parts, after a look at what is there."""
        import obstore

        if size > SINGLE:
            return self._parts(key, data, size, attributes, expected)
        body = b"".join(data)
        digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
        mode: Any = {"e_tag": f'"{expected}"'} if expected else "create"
        if not self._conditions:
            mode = "overwrite"
        try:
            with self._foreseen("write", key):
                made = obstore.put(
                    self._store, key, body, attributes=dict(attributes), mode=mode, use_multipart=False
                )
        except WorldMoved:
            # The first answer may have been lost, and the second try met what the first had written.
            found = self.find(key)
            if found is None or found.etag != digest or found.etag == expected:
                raise
            return Written(digest, True, found.version)
        etag = _etag(made["e_tag"])
        return Written(etag, etag == digest, _version(made["version"]))

    def _parts(
        self, key: str, data: Iterable[bytes], size: int, attributes: Mapping[str, str], expected: str
    ) -> Written:
        import obstore

        now = self.find(key)
        if (now.etag if now else "") != expected:
            raise WorldMoved(f"{shown(key)} is not as it was", path=key)
        part = max(PART, -(-size // PARTS // CHUNK) * CHUNK)
        digests = _Digests(part)
        with self._foreseen("write", key), fed(digests.through(data)) as chunks:
            made = obstore.put(
                self._store, key, chunks, attributes=dict(attributes), use_multipart=True,
                chunk_size=part, max_concurrency=AT_ONCE,
            )  # fmt: skip
        etag = _etag(made["e_tag"])
        return Written(etag, etag == digests.etag(), _version(made["version"]))

    def copy(self, entry: Entry, to: str) -> None:
        """The server copies it; what is too large for that goes through here."""
        import obstore

        if entry.size > COPIED:
            there = self.find(to)
            with self.read(entry.key, entry.etag) as reading:
                before = there.etag if there else ""
                self._parts(to, reading.chunks, entry.size, reading.attributes, before)
            return
        with self._foreseen("copy", entry.key):
            obstore.copy(self._store, entry.key, to)

    def remove(self, entries: Sequence[tuple[str, str]]) -> list[str]:
        """Many at once. S3 removes without a condition: whoever calls has looked just before."""
        import obstore

        keys = [key for key, _ in entries]
        with self._foreseen("remove from"):
            for at in range(0, len(keys), DELETES):
                obstore.delete(self._store, keys[at : at + DELETES])
        return []

    def conditional(self, key: str) -> bool:
        """Writes an object twice: the second time it may not be there, then it must be another."""
        import obstore

        wrong: Any = {"e_tag": '"00000000000000000000000000000000"'}
        with self._foreseen("write", key):
            obstore.put(self._store, key, b"", use_multipart=False)
        self._conditions = self._refuses(key, "create") and self._refuses(key, wrong)
        self.remove([(key, "")])
        return self._conditions

    def _refuses(self, key: str, mode: Any) -> bool:
        import obstore

        try:
            with self._foreseen("write", key):
                obstore.put(self._store, key, b"", mode=mode, use_multipart=False)
        except WorldMoved:
            return True
        except ObjectsError:  # it does not know the header, and says so
            return False
        return False

    @contextlib.contextmanager
    def _foreseen(self, doing: str, key: str = "") -> Iterator[None]:
        from obstore import exceptions

        try:
            yield
        except (FileNotFoundError, exceptions.AlreadyExistsError, exceptions.PreconditionError) as error:
            if isinstance(error, FileNotFoundError) and "NoSuchBucket" in str(error):
                raise self._refused(doing, key, error) from None
            raise WorldMoved(f"{shown(key)} is not as it was", path=key) from None
        except (exceptions.BaseError, ValueError, TimeoutError) as error:
            raise self._refused(doing, key, error) from None

    def _refused(self, doing: str, key: str, error: Exception) -> ObjectsError:
        text = str(error)  # has URLs, and what the server sent: none of it is repeated
        what = f"can't {doing} {shown(key) + ' in ' if key else ''}{self.shown}"
        if key and "InvalidMetadata" in text:
            return Unreadable(f"{what}: {METADATA}", hint="give that object other metadata")
        for pattern, why, hint in SAYS:
            if re.search(pattern, text):
                if why == UNREACHED and self.place.route:
                    said, hint = self.place.route.said(), ASK_THE_WAY
                    why = f"{why} ({said})" if said else why
                return ObjectsError(f"{what}: {why}", hint=hint)
        status = re.search(r"status code: (\d{3} [A-Za-z ]+)", text)
        code = re.search(r"<Code>(\w{1,60})</Code>", text)
        said = " ".join(one.group(1).strip() for one in (status, code) if one) or type(error).__name__
        return ObjectsError(f"{what}: {said}", hint="try again")


class _Digests:
    """The etag that S3 gives to an upload in parts: the MD5 of the MD5s of its parts, and how many."""

    def __init__(self, part: int) -> None:
        self._part, self._room = part, part
        self._now = hashlib.md5(usedforsecurity=False)
        self._done: list[bytes] = []

    def through(self, data: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in data:
            view = memoryview(chunk)
            while view:
                self._now.update(view[: self._room])
                taken = min(self._room, len(view))
                self._room, view = self._room - taken, view[taken:]
                if not self._room:
                    self._end()
            yield chunk

    def _end(self) -> None:
        self._done.append(self._now.digest())
        self._now, self._room = hashlib.md5(usedforsecurity=False), self._part

    def etag(self) -> str:
        if self._room < self._part:
            self._end()
        return f"{hashlib.md5(b''.join(self._done), usedforsecurity=False).hexdigest()}-{len(self._done)}"


def _credentials(place: Place) -> Any:
    return {
        "access_key_id": place.key_id,
        "secret_access_key": place.secret,
        "token": place.token or None,
        "expires_at": None,
    }


def _version(raw: str | None) -> str:
    """A version that stays when another is written: what was written without versioning is called "null"."""
    return raw if raw and raw != "null" else ""


def _etag(raw: str | None) -> str:
    return (raw or "").removeprefix("W/").strip('"')
