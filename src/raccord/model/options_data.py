"""What the verbs that promote rows and objects may be asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DataDiffOptions:
    """How a set is compared.

    Attributes:
        name: of the set.
        goal: the environment that it would be pushed to.
        origin: the one that the rows come from; "" for the set's own.
        rows: of how many changed rows of each table the values are shown.
    """

    name: str
    goal: str
    origin: str = ""
    rows: int = 3


@dataclass(frozen=True, slots=True)
class DataPushOptions:
    """How a set is pushed.

    Attributes:
        name: of the set.
        goal: the environment that gets it.
        origin: the one that the rows come from; "" for the set's own.
        mode: "replace", "insert", "upsert" or "mirror"; "" for the set's own.
        allow_empty: whether an empty table of the source may empty the target's.
        yes_to: the name of the protected environment that may be changed.
        dry_run: only plan.
        by: who asked.
        pulls: whether it goes back to where the set comes from.
        unmasked: why a pull masks nothing; "" where it does.
    """

    name: str
    goal: str
    origin: str = ""
    mode: str = ""
    allow_empty: bool = False
    yes_to: str = ""
    dry_run: bool = False
    by: str = ""
    pulls: bool = False
    unmasked: str = ""


@dataclass(frozen=True, slots=True)
class DataPullOptions:
    """How a set is pulled: from another environment to the one that it comes from.

    Attributes:
        name: of the set.
        origin: the environment that the rows come from.
        goal: the one that gets them; "" for the set's own.
        mode: "replace", "insert", "upsert" or "mirror"; "" for the set's own.
        unmasked: whether nothing is masked but what the set itself masks.
        reason: why; the journal keeps it.
        allow_empty: whether an empty table of the source may empty the target's.
        yes_to: the names of the protected environments that this needs, with commas between them.
        dry_run: only plan.
        by: who asked.
    """

    name: str
    origin: str
    goal: str = ""
    mode: str = ""
    unmasked: bool = False
    reason: str = ""
    allow_empty: bool = False
    yes_to: str = ""
    dry_run: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """What seals an archive, or opens it.

    Attributes:
        passphrase: where it comes from: "env:VARIABLE", "file:PATH", "command:WORDS", "prompt"; "" for none.
        typed: what a person typed, where it is "prompt".
        recipients: public keys of age to seal to.
        key_file: the file with secret keys of age; "" for none.
    """

    passphrase: str = ""
    typed: str = field(default="", repr=False)
    recipients: tuple[str, ...] = ()
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class DataExportOptions:
    """How a set is written into files.

    Attributes:
        name: of the set.
        origin: the environment that the rows come from; "" for the set's own.
        out: the archive, or the folder of CSV files; "" for `exports/` at the top of the worktree.
        form: "archive" or "csv".
        secrets: "include" or "exclude"; "" for the set's own.
        in_clear: whether secrets may stand in CSV files.
        key: what seals it.
        dry_run: only look.
        by: who asked.
        masked: whether what may hold secrets or personal data is masked, as a pull does.
        unmasked: whether nothing is masked but what the set itself masks, though a pull would.
        reason: why; what is written keeps it.
        yes_to: names the environment that the rows come from, where it is protected and nothing is masked.
    """

    name: str
    origin: str = ""
    out: str = ""
    form: str = "archive"
    secrets: str = ""
    in_clear: bool = False
    key: KeyOptions = field(default_factory=KeyOptions)
    dry_run: bool = False
    by: str = ""
    masked: bool = False
    unmasked: bool = False
    reason: str = ""
    yes_to: str = ""


@dataclass(frozen=True, slots=True)
class DataImportOptions:
    """How rows of files are brought into an environment.

    Attributes:
        name: the archive, or the folder of CSV files.
        goal: the environment that gets them.
        set: the set that they are of; "" for the archive's own, or the only one.
        form: "archive" or "csv".
        mode, allow_empty, yes_to, dry_run, by: see `DataPushOptions`.
        secrets: "include" or "exclude"; "" for the set's own.
        key: what opens it.
        unmasked: whether rows may come that a pull would have masked.
        reason: why; the journal keeps it.
    """

    name: str
    goal: str
    set: str = ""
    form: str = "archive"
    mode: str = ""
    secrets: str = ""
    key: KeyOptions = field(default_factory=KeyOptions)
    allow_empty: bool = False
    yes_to: str = ""
    dry_run: bool = False
    by: str = ""
    unmasked: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DataRestoreOptions:
    """Which rows are put back.

    Attributes:
        name: a run that kept them, or an archive; "" for the newest push into the environment that stands.
        goal: the environment that gets them.
        set: of several sets only this one; "" for all.
        key: what opens the archive.
        yes_to, dry_run, by: see `DataPushOptions`.
    """

    name: str
    goal: str
    set: str = ""
    key: KeyOptions = field(default_factory=KeyOptions)
    yes_to: str = ""
    dry_run: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True)
class FilesDiffOptions:
    """How a set of objects is compared.

    Attributes:
        name: of the set.
        goal: the environment that it would be pushed to.
        origin: the one that the objects come from; "" for the set's own.
        objects: how many objects of each kind are named.
    """

    name: str
    goal: str
    origin: str = ""
    objects: int = 5


@dataclass(frozen=True, slots=True)
class FilesPushOptions:
    """How a set of objects is pushed.

    Attributes:
        name: of the set.
        goal: the environment that gets it; "" for the set's own, where it is pulled.
        origin: the one that the objects come from; "" for the set's own.
        mode: "insert", "upsert" or "mirror"; "" for the set's own.
        delete: whether a mirror removes what the source has not.
        yes_to: the name of the protected environment that may be changed.
        dry_run: only plan.
        by: who asked.
        pulls: whether it goes back to where the set comes from.
    """

    name: str
    goal: str
    origin: str = ""
    mode: str = ""
    delete: bool = False
    yes_to: str = ""
    dry_run: bool = False
    by: str = ""
    pulls: bool = False


@dataclass(frozen=True, slots=True)
class PromoteOptions:
    """How a profile is taken to an environment.

    Attributes:
        name: of the profile.
        goal: the environment that gets its sets.
        origin: the one that they come from; "" for each set's own.
        allow_empty: whether an empty table of the source may empty the target's.
        delete: whether the mirrors among its file sets remove what the source has not.
        yes_to: the name of the protected environment that may be changed.
        dry_run: only plan.
        by: who asked.
    """

    name: str
    goal: str
    origin: str = ""
    allow_empty: bool = False
    delete: bool = False
    yes_to: str = ""
    dry_run: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True)
class ProfileDiffOptions:
    """How a profile is compared.

    Attributes:
        name: of the profile.
        goal: the environment that it would be taken to.
        origin: the one that its sets come from; "" for each set's own.
        rows: of how many changed rows of each table the values are shown.
        objects: how many objects of each kind are named.
    """

    name: str
    goal: str
    origin: str = ""
    rows: int = 3
    objects: int = 5
