"""What the library's face lends of rows in files and of kept rows, as one object of its own."""

from __future__ import annotations

from raccord.model.options_data import DataExportOptions, DataImportOptions, DataRestoreOptions
from raccord.model.report import Answer
from raccord.model.report_data import DataBackups, DataExport
from raccord.verbs import data_export, data_import, data_restore
from raccord.verbs.report import answer
from raccord.verbs.room import Room


class ArchiveVerbs:
    """Rows in files: written, and brought into an environment; and rows that were kept, put back."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def export(self, options: DataExportOptions) -> DataExport:
        """Writes a data set into files; where `dry_run` is set, only what would be written."""
        return data_export.export(self._room, options)

    def bring(self, options: DataImportOptions) -> Answer:
        """Brings rows of files into an environment; the plan where `dry_run` is set."""
        return answer(*data_import.bring(self._room, options), dry_run=options.dry_run)

    def restore(self, options: DataRestoreOptions) -> Answer:
        """Puts rows back that a push kept, or those of an archive; the plan where `dry_run` is set."""
        return answer(*data_restore.restore(self._room, options), dry_run=options.dry_run)

    def backups(self) -> DataBackups:
        """Which rows are kept, and until when."""
        return data_restore.backups(self._room)
