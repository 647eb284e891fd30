"""dnf's history: of dnf 4, of dnf 5, damaged, and none."""

import sqlite3
from pathlib import Path

from collectors.integrity.packages.dnf_history import DnfHistory
from host.linux import LinuxHost

FIVE = """
CREATE TABLE trans (id INTEGER PRIMARY KEY, dt_begin INTEGER NOT NULL, dt_end INTEGER, user_id INTEGER NOT NULL, description TEXT);
CREATE TABLE trans_item (id INTEGER PRIMARY KEY, trans_id INTEGER, item_id INTEGER);
CREATE TABLE pkg_name (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE rpm (item_id INTEGER, name_id INTEGER);
INSERT INTO trans VALUES (7, 100, 110, 0, 'dnf5 install a');
INSERT INTO trans_item VALUES (1, 7, 3);
INSERT INTO pkg_name VALUES (5, 'a');
INSERT INTO rpm VALUES (3, 5);
"""


def test_the_history_of_dnf_4_is_read_and_again_when_it_changes(rpms, tmp_path: Path) -> None:
    history = DnfHistory(LinuxHost(), tmp_path)
    assert history.runs(0) == [] and history.flaw == ""
    rpms.dnf(100, 110, "a", "b", user=1000)
    rpms.dnf(200, None, "c", user=0xFFFFFFFF)
    first, second = history.runs(0)
    assert (first.began_s, first.ended_s, first.who, first.names) == (100, 110, "1000", {"a", "b"})
    assert (second.ended_s, second.who, second.command) == (0, "", "dnf upgrade")
    assert history.runs(150) == [second] and list(tmp_path.glob("rpmdb-*")) == []


def test_the_history_of_dnf_5_is_read(rpms, tmp_path: Path) -> None:
    base = sqlite3.connect(rpms.history)
    base.executescript(FIVE)
    base.close()
    (run,) = DnfHistory(LinuxHost(), tmp_path).runs(0)
    assert (run.number, run.command, run.names) == (7, "dnf5 install a", {"a"})


def test_a_damaged_history_is_said(rpms, tmp_path: Path) -> None:
    rpms.history.write_bytes(b"nonsense" * 999)
    history = DnfHistory(LinuxHost(), tmp_path)
    assert history.runs(0) == [] and "not a database" in history.flaw


def test_runs_of_one_second_are_in_their_own_order(rpms, tmp_path: Path) -> None:
    rpms.dnf(100, 100, "a")
    rpms.dnf(100, 101, "a")
    assert [run.number for run in DnfHistory(LinuxHost(), tmp_path).runs(0)] == [1, 2]
