"""Opens the store of a place: the one table of kinds."""

from __future__ import annotations

from collections.abc import Callable

from raccord.objects.far import Far
from raccord.objects.local import Local
from raccord.objects.model import Store
from raccord.objects.place import Place
from raccord.objects.s3 import S3

KINDS: dict[str, Callable[[Place], Store]] = {
    "file": Local,
    "s3": S3,
    "sftp": Far,
}


def opened(place: Place) -> Store:
    """The store of a place; asks nothing of it yet.

    Raises:
        DriverMissing: a package isn't installed.
        TransportError: what lies between can't be reached.
    """
    return KINDS[place.kind](place)
