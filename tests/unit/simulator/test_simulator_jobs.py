"""The cloud's jobs: which are kept."""

from __future__ import annotations

from datetime import UTC, datetime

from watcher.simulator.jobs import JobBook

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_old_jobs_that_have_ended_are_forgotten_and_no_id_comes_twice() -> None:
    book = JobBook(keep=3)
    running = book.start("CREATE_SERVER", [("1", "office")], at=NOW)
    ids = {running.id}
    for number in range(10):
        job = book.start("DELETE_SERVER", [(str(number), "office"), ("x", "other")], at=NOW)
        ids.add(job.id)
        for sub in job.subs:
            book.finish(sub, at=NOW)
    assert len(ids) == 11
    assert book.get(running.id) is running
    assert [job.id for job in book.jobs("DELETE_SERVER")] == sorted(ids, reverse=True)[:3]
    assert len(book.sub_jobs("DELETE_SERVER")) == 6
    book.finish(running.subs[0], at=NOW)
    assert running.status == "SUCCESS"
