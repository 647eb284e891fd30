"""Whatever a product takes to answer, no other look waits for it; and what is shown meanwhile says how old it is."""

import threading
import time

import pytest

from collectors.antivirus import asking, generic
from collectors.antivirus.asking import ANSWERED, Asking
from collectors.antivirus.collector import AntivirusCollector
from collectors.antivirus.options import Options, ProductOptions
from contracts.clamav_options import ClamavOptions
from contracts.errors import Unavailable
from contracts.snapshot import Snapshot, apply
from contracts.subjects.antivirus import Product
from host.linux import LinuxHost

SLOW = "for try in $(seq 1200); do [ -e {} ] && break; sleep 0.05; done; date -u +%Y-%m-%dT%H:%M:%S"
"""It answers once a file is there, or after a minute."""


@pytest.fixture(autouse=True)
def _nothing_pending():
    ANSWERED.clear()
    yield
    ANSWERED.clear()


class Looks:
    """Looks with a real slow command, and keeps the rows in between."""

    def __init__(self, command):
        wanted = ProductOptions(command=("/bin/sh", "-c", command), pattern=r"(\d{4}-\S+)")
        only = Options(clamav=ClamavOptions(enabled=False), defender=False, products={"slow": wanted})
        self.collector, self.rows, self.blind = AntivirusCollector(only), {}, ()

    def __call__(self):
        began = time.monotonic()
        try:
            report = self.collector.collect(LinuxHost(), Snapshot(subject="antivirus", rows=self.rows))
        finally:
            self.took = time.monotonic() - began
        self.rows, self.blind = apply(self.rows, report.changes), report.blind
        return self.rows["slow"]


def test_a_slow_product_is_awaited_no_longer_than_others_can_bear_and_its_answer_asks_for_another_look(tmp_path):
    look = Looks(SLOW.format(tmp_path / "answer"))
    with pytest.raises(Unavailable, match="slow has not answered yet"):
        look()
    assert look.took < 20, "of which all but 0.04 s are the machine's"
    assert not ANSWERED.is_set()
    (tmp_path / "answer").touch()
    assert ANSWERED.wait(60)
    assert look().built_ms > 0 and look.took < 20


def test_meanwhile_the_last_answer_stands_and_one_that_hangs_is_a_blind_spot_with_its_age(monkeypatch, tmp_path):
    look = Looks(SLOW.format(tmp_path / "answer"))
    (tmp_path / "answer").touch()
    look.collector.patience_s = 60.0
    first = look()
    (tmp_path / "answer").unlink()
    monkeypatch.setattr(asking, "HANGS_S", 600.0)
    look.collector.patience_s = 0.04
    assert look() == first and look.blind == (), "it may yet answer"
    monkeypatch.setattr(asking, "HANGS_S", 0.1)
    time.sleep(0.15)
    assert look() == first
    (spot,) = look.blind
    assert spot.why.value == "timeout" and "s old" in spot.detail and "slow" in spot.what
    (tmp_path / "answer").touch()
    assert ANSWERED.wait(60)
    look()
    assert look.blind == ()


def test_what_is_under_way_is_not_asked_a_second_time_and_a_defect_is_not_swallowed():
    begun, go_on = [], threading.Event()

    def look(blind):
        begun.append(blind)
        go_on.wait(60)
        raise ZeroDivisionError

    one = Asking("x", LinuxHost())
    one.begin(look)
    one.begin(look)
    assert one.take(0.01) is None
    go_on.set()
    assert ANSWERED.wait(60)
    one.begin(look)
    with pytest.raises(ZeroDivisionError):
        one.take(60)
    assert len(begun) == 1


def test_a_product_that_is_not_there_stays_away_while_it_is_asked_again(monkeypatch):
    look = Looks("true")
    monkeypatch.setattr(generic, "look", lambda *_: None)
    look.collector.patience_s = 60.0
    with pytest.raises(KeyError):
        look()
    go_on = threading.Event()
    monkeypatch.setattr(generic, "look", lambda *_: go_on.wait(60) and Product(name="slow", provider="configured"))
    look.collector.patience_s = 0.01
    with pytest.raises(KeyError):
        look()
    go_on.set()
    look.collector.patience_s = 60.0
    assert look().name == "slow"
