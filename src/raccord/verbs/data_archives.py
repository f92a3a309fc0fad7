"""What the library's face lends of rows in files, as one object of its own."""

from __future__ import annotations

from raccord.model.options_data import DataExportOptions, DataImportOptions
from raccord.model.report import Answer
from raccord.model.report_data import DataExport
from raccord.verbs import data_export, data_import
from raccord.verbs.report import answer
from raccord.verbs.room import Room


class ArchiveVerbs:
    """Rows in files: written, and brought into an environment."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def export(self, options: DataExportOptions) -> DataExport:
        """Writes a data set into files; where `dry_run` is set, only what would be written."""
        return data_export.export(self._room, options)

    def bring(self, options: DataImportOptions) -> Answer:
        """Brings rows of files into an environment; the plan where `dry_run` is set."""
        return answer(*data_import.bring(self._room, options), dry_run=options.dry_run)
