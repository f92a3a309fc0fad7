"""The command that asks for a promotion again with everything that was said of it, as errors tell it.

Who types what an error tells must get what they asked for: without its mode it would be the set's own. Pure.
"""

from __future__ import annotations

import shlex

from raccord.model.options_data import (
    DataImportOptions,
    DataPullOptions,
    DataPushOptions,
    DataRestoreOptions,
    FilesPushOptions,
    KeyOptions,
    PromoteOptions,
)
from raccord.model.text import shown

Options = (
    DataImportOptions
    | DataPullOptions
    | DataPushOptions
    | DataRestoreOptions
    | FilesPushOptions
    | PromoteOptions
)
VALUES = (
    ("goal", "--to"),
    ("origin", "--from"),
    ("form", "--format"),
    ("set", "--set"),
    ("mode", "--mode"),
    ("secrets", "--secrets"),
)
SWITCHES = (("allow_empty", "--allow-empty"), ("delete", "--delete"))
ARCHIVE, PROMPT = "archive", "prompt"
PLACES = ("env:", "file:", "keyring:")


def again(verb: str, options: Options) -> str:
    """The command, but for `--yes-to`, `--dry-run` and `--yes`.

    Args:
        verb: as it is typed, such as "data push".
    """
    words = ["raccord", *verb.split(), *([options.name] if options.name else [])]
    first = "origin" if verb.endswith("pull") else "goal"
    for name, option in sorted(VALUES, key=lambda one: one[0] != first):
        value = getattr(options, name, "")
        if value and (name, value) != ("form", ARCHIVE):
            words += [option, value]
    words += [option for name, option in SWITCHES if getattr(options, name, False)]
    if getattr(options, "unmasked", False) and (reason := getattr(options, "reason", "").strip()):
        words += ["--unmasked", "--reason", reason]
    key = getattr(options, "key", None)
    return shown(shlex.join([*words, *(opening(key) if key else [])]))


def opening(key: KeyOptions) -> list[str]:
    """What opens an archive that was sealed with this, or was to be opened with it.

    The words of a command may be secrets, what says no place the passphrase itself: then it is asked for.
    """
    if key.passphrase:
        return ["--passphrase", key.passphrase if key.passphrase.startswith(PLACES) else PROMPT]
    file = key.key_file or ("FILE" if key.recipients else "")
    return ["--key-file", file] if file else []
