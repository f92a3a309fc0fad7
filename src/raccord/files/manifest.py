"""raccord's own checksums, kept in the target: which versions of an object had which SHA-256.

It only ever spares reading: an object whose etag it does not know is looked at, whatever else it says.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from raccord.errors import WorldMoved
from raccord.files.compare import Known
from raccord.files.spec import manifest_key
from raccord.model.language import Sentence, sentence
from raccord.objects.model import Store

VERSION = 1
LARGEST = 1 << 30  # bytes; more is not ours


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is known.

    Attributes:
        source: the place that objects came from.
        known: by key.
        etag: its own version; "" where there is none.
        unreadable: why it was not read, or "".
    """

    source: str = ""
    known: Mapping[str, Known] = field(default_factory=dict)
    etag: str = ""
    unreadable: str = ""


def load(store: Store, name: str) -> Manifest:
    """Reads the manifest of a set; one that makes no sense counts as none, and says so.

    Raises:
        ObjectsError: the store can't be read.
    """
    key = manifest_key(name)
    found = store.find(key)
    if found is None:
        return Manifest()
    try:
        if found.size > LARGEST:
            raise ValueError(sentence("it is too large"))
        with store.read(key, found.etag) as reading:
            document = json.loads(b"".join(reading.chunks))
        if document["version"] != VERSION:
            raise ValueError(sentence("another release of raccord wrote it"))
        known = {
            str(one): Known(int(size), str(sha), str(source), str(target))
            for one, (size, sha, source, target) in document["objects"].items()
        }
        return Manifest(str(document["source"]), known, found.etag)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, WorldMoved) as error:
        said = error.args[0] if isinstance(error, ValueError) and error.args else ""
        if not isinstance(said, Sentence):
            said = str(error) if isinstance(error, ValueError) and not isinstance(error, UnicodeError) else ""
            said = said.partition(":")[0] or sentence("it makes no sense")
        return Manifest(etag=found.etag, unreadable=said)


def save(store: Store, name: str, source: str, known: Mapping[str, Known]) -> None:
    """Writes it over the one that is there.

    Raises:
        ObjectsError: the store can't be written.
        WorldMoved: another push wrote it meanwhile, several times over.
    """
    objects = {key: [one.size, one.sha256, one.source, one.target] for key, one in sorted(known.items())}
    document = {"version": VERSION, "set": name, "source": source, "objects": objects}
    body = json.dumps(document, separators=(",", ":")).encode()
    key = manifest_key(name)
    for last in (False, False, True):
        found = store.find(key)
        with contextlib.nullcontext() if last else contextlib.suppress(WorldMoved):
            store.write(
                key, [body], len(body), {"Content-Type": "application/json"}, found.etag if found else ""
            )
            return
