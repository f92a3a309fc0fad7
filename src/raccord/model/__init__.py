"""Dataclasses, protocols and pure functions that cross rooms. No I/O, no clock."""
