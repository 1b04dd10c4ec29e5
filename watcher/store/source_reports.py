"""What the holders of sources tell the other replicas of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from watcher.core.reports import SourceReport, report_from_json, report_to_json
from watcher.store.database import Database
from watcher.store.rows import to_ms
from watcher.store.tables import source_reports

_NEW = insert(source_reports)
_UPSERT = _NEW.on_conflict_do_update(
    index_elements=["source"],
    set_={name: _NEW.excluded[name] for name in ("token", "body", "written_at_ms")},
    where=source_reports.c.token <= _NEW.excluded.token,
)


class SourceReports(Database):
    """One report a source: the last of whoever held it last."""

    async def write_source_reports(self, told: Iterable[tuple[str, int, SourceReport]], *, now: datetime) -> None:
        """Source, token of the lease, and report. What was held by a token before the present one is not taken."""
        rows = [
            {"source": source, "token": token, "body": json.dumps(report_to_json(report)), "written_at_ms": to_ms(now)}
            for source, token, report in sorted(told, key=lambda each: each[0])
        ]
        if rows:
            async with self.write() as connection:
                await connection.execute(_UPSERT, rows)

    async def source_reports(self) -> dict[str, SourceReport]:
        """The last report of every source."""
        async with self.read() as connection:
            rows = await connection.execute(select(source_reports.c.source, source_reports.c.body))
            return {source: report_from_json(json.loads(body)) for source, body in rows}
