"""The book keeps what deeds stated, the newest of each, across restarts of the agent."""

import msgspec

from agent.antivirus_book import AntivirusBook
from contracts.event import Event, Severity
from contracts.subjects.antivirus import CURRENT, MISSED, PROVED, QUARANTINED, RESTORED, RUNS, SCANNED, UPDATED


class Store:
    def __init__(self):
        self.held, self.revision = {}, 0

    def rows(self, subject):
        assert subject == RUNS
        return dict(self.held)

    def apply(self, subject, changes, at_ms):
        self.held = {key: row for key, row in self.held.items() if key not in changes.removed} | changes.put
        self.revision += 1
        return self.revision


def event(kind, at_ms, **fields):
    return Event(kind=kind, key="x", severity=Severity.INFORMATIONAL, fields=fields, observed_ms=at_ms)


def test_what_deeds_state_is_kept_with_its_numbers():
    book = AntivirusBook(Store())
    assert book.take([event(SCANNED, 5, files=7, infected=1, unscanned=0, seconds=1.5, detail="all of it")], 9)
    assert book.take([event(UPDATED, 6, newest=27002, former_version=27001, detail="placed")], 9)
    assert book.take([event(CURRENT, 7, product="clamav", source="dns", newest=27003)], 9)
    rows = book.rows()
    assert rows["scan"].numbers == {"files": 7.0, "infected": 1.0, "unscanned": 0.0, "seconds": 1.5}
    assert (rows["update"].version, rows["update"].state) == (27002, "updated")
    assert rows["current/clamav/dns"].version == 27003


def test_what_was_moved_to_quarantine_or_back_is_kept_with_who_did_it():
    book = AntivirusBook(Store())
    assert book.take([event(QUARANTINED, 5, path="/srv/x", signature="Evil-1", who="ann", detail="; one more name")], 9)
    row = book.rows()["quarantine"]
    assert (row.state, row.detail) == ("moved there", "/srv/x (Evil-1) by ann; one more name")
    assert book.take([event(RESTORED, 6, path="/srv/x", signature="Evil-1", who="ann", detail="")], 9)
    assert book.rows()["quarantine"].state == "restored"


def test_what_is_older_changes_nothing_and_another_kind_is_no_row():
    book = AntivirusBook(Store())
    book.take([event(PROVED, 10, detected_ms=5.0)], 11)
    assert not book.take([event(MISSED, 9)], 12) and book.rows()["proof"].state == "proved"
    assert not book.take([event("antivirus.malware_found", 20)], 21)
    assert book.take([event(MISSED, 11)], 12) and book.rows()["proof"].state == "missed"


def test_how_long_a_proof_counts_comes_from_the_settings_and_survives_proofs():
    book = AntivirusBook(Store())
    assert book.declare(3600.0, 1) and book.rows()["proof"].state == "never"
    book.take([event(PROVED, 10, detected_ms=5.0)], 11)
    assert book.rows()["proof"].valid_s == 3600.0
    assert book.declare(0.0, 12) and book.rows()["proof"].valid_s == 0.0


def test_without_proofs_the_subject_is_there_and_empty():
    store = Store()
    assert not AntivirusBook(store).declare(0.0, 1) and store.revision == 1 and store.held == {}


def test_a_row_of_another_version_is_told_anew():
    store = Store()
    store.held = {"scan": msgspec.msgpack.encode({"new": 1})}
    book = AntivirusBook(store)
    assert book.rows() == {}
    book.take([event(SCANNED, 5, files=1)], 6)
    assert book.rows()["scan"].numbers == {"files": 1.0}
