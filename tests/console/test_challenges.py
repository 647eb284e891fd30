"""The console asks at random for proofs it was given before: what nobody told of, what is late and what is missing is never fine."""

import asyncio
import random
from types import SimpleNamespace

import msgspec
import pytest

from console.challenge_book import ChallengeBook, Reference, Standing
from console.challenges import POOL, Challenges
from console.settings import ChallengeSettings
from console.store.records import FindingKind
from contracts.coverage import Coverage, Sight
from contracts.event import Envelope, Event, Lane, Severity
from contracts.host import Facts
from contracts.wire import NO_PROOF, Answered, Batch, Heartbeat

AGENT = "a" * 32
FACTS = Facts(hostname="a", machine_id="", boot_id="", kernel="", os_name="", architecture="", cpus=1, memory_bytes=1)
WATCHES = Coverage(sights=(Sight(subject="integrity", state="seen"),))
OLD = Reference(nonce="ab" * 32, learnt_ms=5_000, proofs={"/etc/x": "1" * 64, "/etc/dir/y": "2" * 64})
HOUR = 3_600_000


class Home:
    """A console's challenges with a host at hand; `told` are the events it stored, with when they came."""

    def __init__(self, folder, references=(), **settings):
        self.told, self.found, self.now = [], [], 10_000
        self.settings = ChallengeSettings(**settings)
        self.book = ChallengeBook(folder)
        self.book.write(AGENT, Standing(references=references))
        self.challenges = Challenges(self, self.book, self.settings, self._find, random.Random(7))

    async def events(self, wanted, limit):
        def fits(event):
            text = " ".join([event.key, *map(str, event.fields.values())])
            kind = event.kind.startswith(wanted.kind) if wanted.kind.endswith(".") else event.kind == wanted.kind
            return kind and wanted.text in text

        return SimpleNamespace(events=[row for row in self.told if fits(row.envelope.event)][:limit])

    async def _find(self, agent, kind, detail, now):
        self.found.append((kind, detail))

    def tell(self, kind, key, came_ms=9_000, **fields):
        event = Event(kind=f"integrity.{kind}", key=key, severity=Severity.LOW, fields=fields)
        envelope = Envelope(id="0" * 32, agent=AGENT, lane=Lane.NORMAL, seq=1, event=event)
        self.told.append(SimpleNamespace(received_ms=came_ms, envelope=envelope))

    def report(self, *answered, coverage=WATCHES, understands=True, beat=True):
        heartbeat = Heartbeat(
            sent_ms=1, instance="i", version="1", facts=FACTS, uptime_s=1, every_s=30, coverage=coverage
        )  # fmt: skip
        batch = Batch(agent=AGENT, heartbeat=heartbeat if beat else None, answered=answered)
        return asyncio.run(self.challenges.report(AGENT, batch, understands, self.now))

    @property
    def standing(self):
        return asyncio.run(self.challenges.standing(AGENT))

    def check(self):
        """Return the challenge that asks for what is known."""
        (asked,) = [each for each in self.report() if each.paths]
        return asked

    def answer(self, **changes):
        asked = self.check()
        self.now += 1_000
        learning = [Answered(id=each.id, proofs={"/etc/q": "4" * 64}) for each in self.report() if not each.paths]
        self.report(Answered(id=asked.id, proofs={**OLD.proofs, **changes.pop("proofs", {})}, **changes), *learning)
        return asked


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "c", (OLD,))


def test_what_is_learnt_under_a_secret_nonce_is_asked_for_again_with_it_and_holds(tmp_path):
    home = Home(tmp_path / "c")
    learning = home.report()
    assert [(each.paths, each.count) for each in learning] == [((), 8), ((), 8)]
    assert home.report() == learning, "an acknowledgement may be lost: it is asked until it is answered"
    home.report(*(Answered(id=each.id, proofs={"/etc/x": "3" * 64, "/gone": NO_PROOF}) for each in learning))
    assert [each.proofs for each in home.standing.references] == [{"/etc/x": "3" * 64}] * 2
    assert home.standing.outcome == ""
    home.now += 2 * HOUR
    asked = home.check()
    assert asked.nonce in {each.nonce for each in learning} and asked.paths == ("/etc/x",)
    home.report(Answered(id=asked.id, proofs={"/etc/x": "3" * 64}))
    assert (home.standing.outcome, home.standing.held_ms, home.found) == ("held", home.now, [])
    assert asked.nonce not in {each.nonce for each in home.standing.references}, "a nonce that was shown twice is spent"


def test_the_moment_of_the_next_round_and_what_it_asks_for_are_not_foreseen(tmp_path):
    pool = tuple(msgspec.structs.replace(OLD, nonce=f"{n:064x}") for n in range(POOL))
    moments, nonces = set(), set()
    for seed in range(12):
        home = Home(tmp_path / str(seed), pool)
        home.challenges._chance = random.Random(seed)
        nonces.add(home.check().nonce)
        wait = home.standing.next_ms - home.now
        assert HOUR / 2 <= wait <= HOUR * 3 / 2
        moments.add(wait)
    assert len(moments) == 12 and len(nonces) > 4
    assert len(home.report()) == 2, "a full pool is not filled further"


def test_a_change_nobody_told_of_is_a_finding_when_there_was_time_to_tell(home):
    home.tell("permissions_changed", "/etc/x", path="/etc/x", words=["mode"])
    home.tell("modified", "/etc/x", came_ms=4_999, path="/etc/x", words=["modified"])
    home.tell("modified", "/etc/x.d", path="/etc/x.d", words=["modified"])
    home.tell("many_changed", "/etc", changes=["modified /etc/x.bak", "mode /etc/x (mode 0600)"])
    home.answer(proofs={"/etc/x": "9" * 64})
    assert (home.standing.outcome, home.found) == ("differs", [])
    home.now += 1_201_000
    home.report()
    ((kind, detail),) = home.found
    assert kind == FindingKind.CHALLENGE_FAILED and "/etc/x" in detail and "/etc/dir/y" not in detail
    assert home.standing.outcome == "failed"
    home.report()
    assert len(home.found) == 1 and home.standing.outcome == "failed"


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("modified", {"path": "/etc/x", "words": ["modified"]}),
        ("setuid_changed", {"path": "/etc/x", "words": ["setuid", "modified"]}),
        ("renamed", {"path": "/etc/z", "former": "/etc/x", "words": ["renamed"]}),
        ("renamed", {"path": "/old", "former": "/etc", "words": ["renamed"]}),
        ("many_changed", {"changes": ["created /etc/w", "modified mode /etc/x (mode 0600)"]}),
        ("many_changed", {"changes": ["renamed /etc/x -> /etc/z"]}),
    ],
    ids=str,
)
def test_a_change_that_the_host_told_of_since_is_as_told(tmp_path, kind, fields):
    home = Home(tmp_path / "c", (msgspec.structs.replace(OLD, proofs={"/etc/x": "1" * 64}),))
    home.answer(proofs={"/etc/x": "9" * 64, "/etc/dir/y": NO_PROOF})
    assert home.standing.outcome == "differs"
    home.tell(kind, "key", **fields)
    home.report()
    assert (home.standing.outcome, home.found, home.standing.differing) == ("told", [], ())


def test_what_a_run_of_packages_may_have_changed_is_neither_held_nor_failed(home):
    home.tell("transaction", "run", files=31)
    home.answer(proofs={"/etc/x": "9" * 64})
    home.now += 1_201_000
    home.report()
    assert (home.standing.outcome, home.found) == ("unproved", [])


def test_a_file_without_proof_differs(home):
    home.answer(proofs={"/etc/x": NO_PROOF})
    assert [each.path for each in home.standing.differing] == ["/etc/x"]


def test_an_answer_that_leaves_a_file_out_differs(home):
    asked = home.check()
    home.report(Answered(id=asked.id, proofs={"/etc/x": "1" * 64}))
    assert [each.path for each in home.standing.differing] == ["/etc/dir/y"]


def test_no_answer_and_a_late_one_are_findings_and_the_late_one_proves_nothing(home):
    asked = home.check()
    home.now += 1_201_000
    home.report(Answered(id="unknown", proofs=OLD.proofs))
    assert [kind for kind, _ in home.found] == [FindingKind.UNANSWERED]
    home.report(Answered(id=asked.id, proofs=OLD.proofs))
    assert home.standing.outcome == "unanswered" and home.standing.held_ms == 0


def test_a_host_that_cannot_prove_any_more_is_a_finding_and_one_that_never_could_is_not(tmp_path, home):
    asked = home.check()
    home.report(Answered(id=asked.id, problem="this host does not watch files"))
    assert home.standing.outcome == "unanswered" and "does not watch" in home.found[0][1]
    fresh = Home(tmp_path / "d")
    first, _ = fresh.report()
    fresh.report(Answered(id=first.id, problem="there is no baseline yet"))
    assert (fresh.standing.outcome, fresh.standing.detail, fresh.found) == ("", "there is no baseline yet", [])


def test_hosts_that_watch_nothing_and_agents_that_do_not_understand_are_not_asked(tmp_path):
    home = Home(tmp_path / "c")
    assert home.report(coverage=Coverage()) == () and home.report(understands=False) == ()
    assert home.report(beat=False) == () and home.found == []
    assert Home(tmp_path / "d", (OLD,), every=0).report() == ()


def test_an_agent_that_understands_no_more_is_a_finding(home):
    assert home.report(understands=False) == ()
    assert home.found == [(FindingKind.UNANSWERED, "its agent does not understand challenges any more")]


def test_what_is_asked_survives_the_console_and_a_lost_book_is_a_finding(home, tmp_path):
    asked = home.check()
    home.challenges = Challenges(home, ChallengeBook(tmp_path / "c"), home.settings, home._find)
    home.report(Answered(id=asked.id, proofs=OLD.proofs))
    assert home.standing.outcome == "held"
    (tmp_path / "c" / AGENT).write_bytes(b"nothing")
    home.challenges = Challenges(home, ChallengeBook(tmp_path / "c"), home.settings, home._find)
    home.report()
    assert [kind for kind, _ in home.found] == [FindingKind.UNANSWERED]
