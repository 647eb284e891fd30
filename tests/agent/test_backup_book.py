"""The book of backup jobs follows the configuration and the events of the runs."""

import msgspec

from agent.backup_book import BackupBook, after
from contracts.event import Event, Severity
from contracts.snapshot import EncodedChanges
from contracts.subjects.backup import SUBJECT, BackupDatabase, BackupJob, Covers, Dump

JOB = BackupJob(job="system", repository="/srv/b", at="02:15", late_s=10.0, stale_s=20.0)


class Store:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.revision = 0

    def rows(self, subject: str) -> dict[str, bytes]:
        assert subject == SUBJECT
        return dict(self.kept)

    def apply(self, subject: str, changes: EncodedChanges, at_ms: int) -> int:
        self.kept.update(changes.put)
        for key in changes.removed:
            del self.kept[key]
        self.revision += 1
        return self.revision

    def row(self) -> BackupJob:
        return msgspec.msgpack.decode(self.kept["system"], type=BackupJob)


def event(kind: str, at_ms: int, **fields: object) -> Event:
    return Event(
        kind=f"backup.{kind}",
        key="system",
        severity=Severity.LOW,
        fields={"job": "system", **fields},  # type: ignore[dict-item]
        observed_ms=at_ms,
    )


def test_a_job_is_known_from_when_it_was_configured_and_what_happened_to_it_stays() -> None:
    store = Store()
    book = BackupBook(store)
    assert book.declare([JOB], 1000)
    assert (store.row().since_ms, store.row().outcome) == (1000, "never")
    assert book.take([event("finished", 2000, snapshot="ab", files=3, bytes_total=30, seconds=1.6)], 2000)
    assert book.declare([msgspec.structs.replace(JOB, at="03:00")], 3000)
    row = store.row()
    assert (row.since_ms, row.at, row.snapshot, row.snapshot_ms, row.files) == (1000, "03:00", "ab", 2000, 3)
    assert not book.declare([msgspec.structs.replace(JOB, at="03:00")], 4000)
    assert book.declare([], 5000)
    assert store.kept == {}


def test_without_any_job_the_subject_is_there_and_empty() -> None:
    """So that who asks for the jobs hears that there are none, not that nobody knows of them."""
    store = Store()
    assert not BackupBook(store).declare([], 1000)
    assert (store.revision, store.kept) == (1, {})


def test_a_failed_run_leaves_the_last_snapshot_as_it_was() -> None:
    row = after(JOB, event("partial", 1000, snapshot="ab", unreadable=2))
    row = after(row, event("failed", 2000, detail="no space"))
    assert (row.outcome, row.detail, row.snapshot, row.snapshot_ms, row.unreadable) == (
        "failed",
        "no space",
        "ab",
        1000,
        2,
    )
    assert after(row, event("finished", 3000, snapshot="cd")).detail == ""


def test_what_is_older_than_what_is_known_changes_nothing_so_a_repeat_is_harmless() -> None:
    row = after(JOB, event("failed", 2000, detail="x"))
    assert after(row, event("finished", 1000, snapshot="old")) == row
    assert after(row, event("failed", 2000, detail="x")) == row


def test_proofs_and_checks_have_their_own_times() -> None:
    row = after(after(JOB, event("not_proved", 1000, detail="differs")), event("damaged", 1000, detail="pack"))
    assert (row.proof_detail, row.damage) == ("differs", "pack")
    row = after(after(row, event("proved", 2000)), event("checked", 2000))
    assert (row.proved_ms, row.proof_failed_ms, row.checked_ms, row.damaged_ms, row.ran_ms) == (2000, 0, 2000, 0, 0)
    assert after(row, event("not_proved", 1500)) == row
    assert after(row, event("damaged", 1500)) == row


def test_events_of_unknown_jobs_and_rows_of_another_version_are_passed_over() -> None:
    store = Store()
    book = BackupBook(store)
    assert not book.take([event("finished", 1000, snapshot="ab")], 1000)
    store.kept["system"] = b"\x81\xa1x\x01"
    assert book.declare([JOB], 2000)
    assert store.row().since_ms == 2000


def test_fields_of_a_wrong_type_do_not_spoil_the_row() -> None:
    row = after(JOB, event("finished", 1000, snapshot=3, files="many"))
    assert (row.snapshot, row.files, row.outcome) == ("", 0, "finished")


def test_a_restore_of_everything_is_remembered_with_its_time_and_why_it_was_put_off() -> None:
    row = after(JOB, event("full_proof_postponed", 1000, detail="no room"))
    assert (row.full_postponed, row.full_postponed_ms) == ("no room", 1000)
    row = after(row, event("full_proof_failed", 2000, detail="/a: damaged"))
    assert (row.full_failed_ms, row.full_detail, row.full_postponed) == (2000, "/a: damaged", "")
    row = after(row, event("fully_proved", 3000, seconds=12.5, bytes=99))
    assert (row.full_ms, row.full_seconds, row.full_bytes, row.full_failed_ms) == (3000, 12.5, 99, 0)
    assert after(row, event("full_proof_failed", 2500, detail="old")) == row


def test_the_recovery_key_is_spoken_of_until_it_is_proved() -> None:
    row = after(JOB, event("recovery_key_unproved", 1000, detail="there is none"))
    assert row.recovery_key == "there is none"
    assert after(row, event("recovery_key_proved", 2000)).recovery_key == ""


def test_a_suspicion_stands_until_it_is_acknowledged_and_told_again_it_does_not_come_back() -> None:
    suspected = event("anomaly_suspected", 1000, detail="12 files turned")
    row = after(JOB, suspected)
    assert (row.suspected_ms, row.suspicion) == (1000, "12 files turned")
    assert after(row, event("anomaly_suspected", 2000, detail="13 files turned")).suspected_ms == 1000
    assert after(row, event("anomaly_acknowledged", 500)) == row, "an older word says nothing of it"
    done = after(row, event("anomaly_acknowledged", 3000))
    assert (done.suspected_ms, done.suspicion) == (0, "")
    assert after(done, suspected) == done
    assert after(done, event("anomaly_suspected", 4000, detail="x")).suspected_ms == 4000


def test_a_database_that_fails_is_remembered_until_it_is_dumped_again() -> None:
    row = after(JOB, event("partial", 100, databases=["shop"]))
    row = after(row, event("database_failed", 101, database="mail", detail="refused"))
    assert row.databases == {"shop": BackupDatabase(ran_ms=100), "mail": BackupDatabase(ran_ms=101, failure="refused")}
    assert after(row, event("database_failed", 100, database="mail", detail="older")) == row
    again = after(row, event("partial", 200, databases=["mail"]))
    assert (again.databases["mail"].failure, again.databases["shop"].ran_ms) == ("", 100)
    failed = after(row, event("failed", 200, databases=["mail"], detail="no path"))
    assert (failed.databases["mail"], failed.outcome) == (BackupDatabase(ran_ms=200), "failed")
    whole = after(row, event("finished", 300, databases=["shop"]))
    assert whole.databases == {"shop": BackupDatabase(ran_ms=300)}, "a run that lacks nothing knows of no other"
    assert after(JOB, event("finished", 1, databases=["a", 3, None])).databases.keys() == {"a"}
    assert after(JOB, event("finished", 1, databases="a")).databases == {}


def test_a_database_that_does_not_restore_is_remembered_until_it_does() -> None:
    row = after(JOB, event("database_not_proved", 100, database="shop", detail="empty"))
    assert row.databases["shop"] == BackupDatabase(proof_ms=100, proof_failure="empty")
    assert after(row, event("database_proved", 99, database="shop")) == row
    row = after(row, event("finished", 150, databases=["shop"]))
    assert row.databases["shop"].proof_failure == "empty", "another dump is no proof"
    assert after(row, event("database_proved", 200, database="shop")).databases["shop"].proof_failure == ""


def test_a_database_that_is_configured_no_more_is_forgotten() -> None:
    store = Store()
    book = BackupBook(store)
    both = msgspec.structs.replace(
        JOB, covers=Covers(dumps=(Dump(product="redis", name="a"), Dump(product="redis", name="b")))
    )
    book.declare([both], 1000)
    told = [event("database_failed", 1001, database=name, detail="refused") for name in ("a", "b")]
    book.take(told, 1001)
    book.declare([msgspec.structs.replace(JOB, covers=Covers(dumps=both.covers.dumps[:1]))], 1002)
    assert store.row().databases.keys() == {"a"}


def test_a_copy_that_is_not_whole_stands_until_it_is_or_another_run_says_nothing_of_it() -> None:
    """The agent states the run first and the copies after it, in one go."""
    row = after(JOB, event("finished", 100, snapshot="ab"))
    row = after(
        after(row, event("replication_failed", 100, target="sftp://a//x", detail="no answer")), event("proved", 100)
    )
    row = after(row, event("replicated", 100, target="sftp://b//x"))
    assert row.copies == {"sftp://a//x": "no answer"}
    assert after(row, event("replicated", 99, target="sftp://a//x")).copies, "older than the run"
    assert after(row, event("failed", 200, detail="no room")).copies, "a run that failed made no copy"
    assert after(row, event("replicated", 200, target="sftp://a//x")).copies == {}
    assert after(row, event("finished", 200, snapshot="cd")).copies == {}


def test_what_else_is_not_as_it_should_be_stands_until_it_is() -> None:
    row = after(JOB, event("finished", 100, snapshot="ab"))
    for noted in (
        event("target_mutable", 100, target="sftp://a//x", detail="this host can delete copies on sftp://a//x"),
        event("target_untried", 100, target="sftp://b//x", detail="no answer"),
        event("retention_held", 100, detail="the newest snapshot is not proved"),
        event("upkeep_failed", 100, step="sheet", detail="no room"),
    ):
        row = after(row, noted)
    assert row.notes == {
        "sftp://a//x": "this host can delete copies on sftp://a//x",
        "sftp://b//x": "no answer",
        "retire": "nothing is removed: the newest snapshot is not proved",
        "sheet": "sheet could not be done: no room",
    }
    assert after(row, event("target_immutable", 99, target="sftp://a//x")).notes == row.notes, "older than the run"
    row = after(after(row, event("target_immutable", 150, target="sftp://a//x")), event("forgotten", 150))
    assert set(row.notes) == {"sftp://b//x", "sheet"}
    assert after(row, event("finished", 200, snapshot="cd")).notes == {}
