"""What seals archives and opens them, read from where a person says. Never in a message."""

from __future__ import annotations

from raccord.config import Secret, variable
from raccord.config.kinds import HIDDEN, Invalid
from raccord.data import sealing
from raccord.data.sealing import CLEAR, KEY_FILE, PASSPHRASE, RECIPIENTS, Opener, Seal
from raccord.errors import CannotRun, UsageError
from raccord.kernel import fs, secret
from raccord.model.options_data import KeyOptions
from raccord.model.text import shown
from raccord.verbs.data_sets import environments
from raccord.verbs.room import Room

PROMPT = "prompt"
WHAT = "the passphrase of the archive"


def sealed_to(key: KeyOptions) -> tuple[str, ...]:
    """To whom an archive is sealed, in words; () for one in clear.

    Raises:
        UsageError: to two kinds at once.
    """
    if key.passphrase and key.recipients:
        raise UsageError(
            "an archive is sealed to a passphrase or to keys, not to both",
            hint="leave --passphrase or --to-key out",
        )
    return (PASSPHRASE,) if key.passphrase else tuple(sorted(key.recipients))


def cipher(key: KeyOptions) -> str:
    """The name of how it is sealed."""
    return PASSPHRASE if key.passphrase else RECIPIENTS if key.recipients else CLEAR


def seal(room: Room, key: KeyOptions) -> Seal:
    """Makes a new seal.

    Raises:
        UsageError, CannotRun: what seals it can't be had.
    """
    if key.passphrase:
        return sealing.by_passphrase(passphrase(room, key))
    return sealing.to_recipients(key.recipients) if key.recipients else Seal()


def opener(room: Room, key: KeyOptions, again: str = "") -> Opener:
    """What opens an archive, read once it is needed.

    Args:
        again: the command, to be typed with what opens it behind it.

    Raises:
        UsageError: what is given says nowhere to read from.
        CannotRun: the key file can't be read.
    """
    keys = ""
    if key.key_file:
        place = room.path / key.key_file
        try:
            keys = fs.read(place).decode()
        except OSError as error:
            said = f"{shown(str(place))}, which has the secret key, can't be read: {error.strerror}"
            raise CannotRun(said, hint=f"{again} {KEY_FILE}".lstrip()) from None
        except UnicodeDecodeError:
            raise CannotRun(f"{shown(str(place))} is no text", hint=f"{again} {KEY_FILE}".lstrip()) from None
    if key.passphrase and key.passphrase != PROMPT:
        source(key.passphrase)
    return Opener((lambda: passphrase(room, key)) if key.passphrase else None, keys, again)


def passphrase(room: Room, key: KeyOptions) -> str:
    """The passphrase itself.

    Raises:
        UsageError, CannotRun: it can't be had.
    """
    if key.passphrase == PROMPT:
        if not key.typed:
            raise UsageError(
                "there is no terminal to ask for the passphrase", hint="--passphrase env:VARIABLE"
            )
        return key.typed
    found = secret.read(source(key.passphrase), WHAT, environments(room).top, variable)
    if not found:
        raise CannotRun(f"{WHAT} is empty", hint="--passphrase prompt")
    return found


def source(said: str) -> Secret:
    """Where a passphrase comes from.

    Raises:
        UsageError: it says none; the message doesn't repeat it, since it may be the passphrase.
    """
    found = _source(said)
    if found is None:
        raise UsageError(
            "--passphrase says where it comes from, as every user of the machine reads arguments",
            hint="--passphrase env:VARIABLE, file:PATH, command:WORDS or prompt",
        )
    return found


def _source(said: str) -> Secret | None:
    try:
        found = HIDDEN.read(said)
    except Invalid:
        return None
    return found if isinstance(found, Secret) else None
