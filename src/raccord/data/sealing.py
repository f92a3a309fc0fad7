"""Seals what is written into an archive, and opens it again: by age, to recipients or to a passphrase.

Every part is an age file of its own, whose chunks are authenticated with their order and their end, and which
streams: memory stays flat. age's passphrases are slow by purpose, so a passphrase opens one key, made for the
archive, that all parts are sealed to. No key and no passphrase is ever in a message.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from raccord.errors import CannotRun
from raccord.kernel.extras import install
from raccord.model.plan import Json

CLEAR, PASSPHRASE, RECIPIENTS = "none", "passphrase", "age"
LONGEST_KEY = 8192  # characters of a sealed key
KEY_FILE = "--key-file FILE"
FAILED = "it can't be opened: the passphrase is another, or it is damaged"


class Sink(Protocol):
    """What bytes are written to."""

    def write(self, data: bytes, /) -> object:
        """Takes bytes."""


class Damaged(CannotRun):
    """An archive is not as it was written, or none at all."""


class Locked(Damaged):
    """It is not opened by what was given."""


def age() -> Any:
    """The module pyrage.

    Raises:
        CannotRun: it is not installed.
    """
    try:
        import pyrage  # type: ignore[import-untyped]
    except ImportError:
        raise CannotRun("sealed archives need the package pyrage", hint=install("archives")) from None
    return pyrage


@dataclass(frozen=True, slots=True)
class Seal:
    """How an archive is sealed while it is written.

    Attributes:
        cipher: CLEAR, PASSPHRASE or RECIPIENTS.
        key: the archive's own key, sealed by the passphrase; "" where there is none.
    """

    cipher: str = CLEAR
    key: str = ""
    _recipients: tuple[Any, ...] = field(default=(), repr=False)
    _own: tuple[Any, ...] = field(default=(), repr=False)

    @property
    def opens(self) -> list[Any] | None:
        """What opens it again, see `Opener.identities`; None where only others have that."""
        return None if self.cipher == RECIPIENTS else list(self._own)

    def seal(self, blocks: Iterator[bytes], sink: Sink) -> None:
        """Writes all blocks to a sink, sealed."""
        if self.cipher == CLEAR:
            for block in blocks:
                sink.write(block)
            return
        module, reader = age(), _Drawn(blocks)
        try:
            module.encrypt_io(reader, _Flushed(sink), list(self._recipients))
        except (module.EncryptError, OSError):
            if reader.error is not None:
                raise reader.error from None
            raise


def to_recipients(names: Iterable[str]) -> Seal:
    """Seals to age's public keys.

    Raises:
        CannotRun: one is none.
    """
    module = age()
    found = []
    for name in names:
        try:
            found.append(module.x25519.Recipient.from_str(name.strip()))
        except module.RecipientError:
            secret = name.strip().upper().startswith("AGE-SECRET-KEY")
            said = "what is given is a secret key" if secret else f"{name!r} is no public key of age"
            raise CannotRun(f"{said}; one begins with age1", hint="age-keygen -y KEYFILE prints it") from None
    return Seal(RECIPIENTS, _recipients=tuple(found))


def by_passphrase(passphrase: str) -> Seal:
    """Seals to a passphrase, with a key that is made for one archive."""
    module = age()
    made = module.x25519.Identity.generate()
    sealed = module.passphrase.encrypt(str(made).encode(), passphrase)
    return Seal(PASSPHRASE, base64.b64encode(sealed).decode(), (made.to_public(),), (made,))


@dataclass(slots=True)
class Opener:
    """What may open an archive. It remembers what a passphrase opened, since that takes its time.

    Attributes:
        passphrase: gives it, where one is needed; None where there is none.
        keys: age's secret keys, as its key files have them; "" for none.
        again: the command, to be typed with what opens an archive behind it.
    """

    passphrase: Callable[[], str] | None = field(default=None, repr=False)
    keys: str = field(default="", repr=False)
    again: str = ""
    _opened: dict[str, Any] = field(default_factory=dict, repr=False)

    def reopen(self, key: str) -> Seal:
        """The seal of an archive that was begun.

        Raises:
            Damaged: the passphrase is another.
        """
        own = self._own(key)
        return Seal(PASSPHRASE, key, (own.to_public(),), (own,))

    def identities(self, cipher: str, key: str) -> list[Any]:
        """What opens an archive; nothing for one in clear.

        Raises:
            CannotRun: it takes what was not given.
            Damaged: what was given doesn't open it.
        """
        if cipher == CLEAR:
            return []
        if cipher == PASSPHRASE:
            return [self._own(key)]
        module = age()
        lines = [line.strip() for line in self.keys.splitlines()]
        try:
            found = [
                module.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")
            ]
        except module.IdentityError:
            raise CannotRun(
                "the key file has a line that is no secret key of age", hint=self.hint(KEY_FILE)
            ) from None
        if not found:
            raise CannotRun(
                "the archive is sealed to age keys, and takes the secret one of them",
                hint=self.hint(KEY_FILE),
            )
        return found

    def hint(self, words: str) -> str:
        """What to type so that it opens."""
        return f"{self.again} {words}".lstrip()

    def _own(self, key: str) -> Any:
        if self.passphrase is None:
            raise CannotRun("the archive is sealed to a passphrase", hint=self.hint("--passphrase prompt"))
        if key not in self._opened:
            module = age()
            try:
                sealed = base64.b64decode(key, validate=True)
                plain = module.passphrase.decrypt(sealed, self.passphrase())
                self._opened[key] = module.x25519.Identity.from_str(plain.decode())
            except (module.DecryptError, module.IdentityError, ValueError):
                raise Locked(FAILED, hint=self.hint("--passphrase prompt")) from None
        return self._opened[key]


def unseal(identities: list[Any], blocks: Iterator[bytes], sink: Sink) -> None:
    """Opens what was sealed.

    Raises:
        Damaged: it is not what was sealed, or to another key.
    """
    if not identities:
        for block in blocks:
            sink.write(block)
        return
    module, reader = age(), _Drawn(blocks)
    guarded = _Flushed(sink)
    try:
        module.decrypt_io(reader, guarded, identities)
    except (module.DecryptError, OSError):
        if (error := reader.error or guarded.error) is not None:
            raise error from None
        raise Locked("it can't be opened: it is sealed to another key, or damaged") from None


def sealed_key(said: Json) -> str:
    """The sealed key that an archive names.

    Raises:
        ValueError: it can't be one.
    """
    if not isinstance(said, str) or len(said) > LONGEST_KEY:
        raise ValueError("key")
    return said


class _Drawn:
    """Blocks as a file to read from. What goes wrong in them is kept: pyrage tells no more of it."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self._rest = blocks, memoryview(b"")
        self.error: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            while not self._rest:
                block = next(self._blocks, None)
                if block is None:
                    return b""
                self._rest = memoryview(block)
        except Exception as error:
            self.error = error
            raise
        end = len(self._rest) if size < 0 else size
        found, self._rest = bytes(self._rest[:end]), self._rest[end:]
        return found


class _Flushed:
    """A sink as a file to write to."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.error: Exception | None = None

    def write(self, data: bytes) -> int:
        try:
            self._sink.write(data)
        except Exception as error:
            self.error = error
            raise
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""
