"""A console with its real store behind the real application, asked in process; and agents that report whatever a test says."""

import asyncio
import hashlib
import html
import re
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import argon2
import httpx
import msgspec
import pytest

from console import tokens
from console.accounts import AccountPolicy, Accounts
from console.hub import Change, Hub, Topic
from console.store.records import Certificate, Role
from console.store.sql import open_sqlite
from console.web.app import make_web
from console.web.context import Console
from console.web.streams import Streams
from contracts.coverage import Blind, Coverage, Sight
from contracts.errors import Why
from contracts.event import GENESIS, Envelope, Event, Lane, Sealed, Severity, link
from contracts.host import Facts
from contracts.outcome import Cost, Failed, Ok, Run, Unavailable
from contracts.subjects import firewall, ports
from contracts.wire import Batch, Heartbeat, LanePart, LaneState, SubjectPart, WorkerState

T = TypeVar("T")
NOW_MS = 1_795_280_000_000
PASSWORD = "correct horse battery"
GRACE_S = 60.0


def facts(hostname: str = "web-1") -> Facts:
    return Facts(
        hostname=hostname,
        machine_id="a" * 32,
        boot_id="b" * 32,
        kernel="Linux 6.1.0-28-amd64",
        os_name="Debian GNU/Linux 12 (bookworm)",
        architecture="x86_64",
        cpus=4,
        memory_bytes=8 << 30,
    )


SEEN = (
    Sight(subject="firewall", state="seen", since_ms=NOW_MS - 60_000, last_ok_ms=NOW_MS - 5_000, rows=7),
    Sight(subject="ports", state="seen", since_ms=NOW_MS - 60_000, last_ok_ms=NOW_MS - 4_000, rows=3),
)
PARTLY = (
    SEEN[0],
    Sight(
        subject="ports",
        state="partial",
        since_ms=NOW_MS - 60_000,
        last_ok_ms=NOW_MS - 4_000,
        rows=3,
        blind=(
            Blind(
                what="the owners of other users' sockets",
                why=Why.PERMISSION,
                detail="CAP_SYS_PTRACE is missing",
                fix="run the agent as a service: sudo make install",
            ),
        ),
    ),
)


class Agent:
    """One simulated agent: keeps its chains, as a real one does."""

    def __init__(self, site: "Site", agent: str, hostname: str) -> None:
        self.site = site
        self.id = agent
        self.hostname = hostname
        self._heads: dict[Lane, tuple[int, bytes]] = {}
        self._revisions: dict[str, int] = {}

    def heartbeat(self, coverage: tuple[Sight, ...] = SEEN, **changes: Any) -> Any:
        beat = Heartbeat(
            sent_ms=self.site.now_ms,
            instance="i1",
            version="0.1.0",
            facts=facts(self.hostname),
            uptime_s=7300.0,
            every_s=30.0,
            coverage=Coverage(sights=coverage),
            workers=(
                WorkerState(name="netfilter", state="running", pid=812, uid=997),
                WorkerState(name="reader", state="running", pid=815, uid=996),
            ),
            lanes=(LaneState(lane=Lane.NORMAL, waiting=0, bytes=0, next_seq=9, lost=0),),
            runs=(
                Run(
                    name="ports",
                    started_ms=self.site.now_ms - 4000,
                    outcome=Ok(),
                    cost=Cost(wall_s=0.041, cpu_s=0.02),
                    rows=3,
                ),
                Run(
                    name="antivirus",
                    started_ms=self.site.now_ms - 9000,
                    outcome=Unavailable(
                        why=Why.TOOL_MISSING, detail="clamscan is not installed", fix="apt install clamav"
                    ),
                ),
                Run(name="broken", started_ms=self.site.now_ms - 9000, outcome=Failed(error="the row was too large")),
            ),
        )
        return self.report(heartbeat=msgspec.structs.replace(beat, **changes))

    def report(self, **parts: Any) -> Any:
        answer = self.site.run(self.site.store.append(self.id, Batch(agent=self.id, **parts), self.site.now_ms))
        self.site.publish(Change(topic=Topic.AGENT, agent=self.id, at_ms=self.site.now_ms))
        for subject in getattr(answer, "changed_subjects", ()):
            self.site.publish(Change(topic=Topic.SUBJECT, agent=self.id, subject=subject, at_ms=self.site.now_ms))
        if getattr(answer, "new_events", 0):
            self.site.publish(
                Change(topic=Topic.EVENTS, agent=self.id, count=answer.new_events, at_ms=self.site.now_ms)
            )
        return answer

    def rows(self, subject: str, rows: Mapping[str, Any], removed: tuple[str, ...] = ()) -> Any:
        base = self._revisions.get(subject, 0)
        self._revisions[subject] = base + 1
        encoded = {key: row if isinstance(row, bytes) else msgspec.json.encode(row) for key, row in rows.items()}
        part = SubjectPart(
            subject=subject, base=base, revision=base + 1, put=encoded, removed=removed, at_ms=self.site.now_ms - 2000
        )
        return self.report(subjects=(part,))

    def event(
        self, kind: str, key: str, severity: Severity = Severity.MEDIUM, lane: Lane = Lane.NORMAL, **more: Any
    ) -> Any:
        seq, chain = self._heads.get(lane, (0, GENESIS))
        event = Event(kind=kind, key=key, severity=severity, lane=lane, **{"observed_ms": self.site.now_ms, **more})
        unique = hashlib.sha256(f"{self.id}{lane}{seq}".encode()).hexdigest()
        uuid = f"{unique[:8]}-{unique[8:12]}-7{unique[13:16]}-8{unique[17:20]}-{unique[20:32]}"
        body = msgspec.msgpack.encode(Envelope(id=uuid, agent=self.id, lane=lane, seq=seq + 1, event=event))
        sealed = Sealed(seq=seq + 1, chain=link(chain, body), body=body)
        self._heads[lane] = (seq + 1, sealed.chain)
        return self.report(lanes=(LanePart(lane=lane, previous=chain, items=(sealed,)),))

    def usual_rows(self) -> None:
        self.rows(ports.SUBJECT, usual_ports())
        self.rows(firewall.SUBJECT, usual_firewall())


def usual_ports() -> dict[str, ports.Listener]:
    ssh = ports.Listener(
        protocol="tcp", family=4, address="0.0.0.0", port=22, scope="any", pids=(801,), process="sshd", expected=True,
        executable="/usr/sbin/sshd", user="root", unit="ssh.service", package="openssh-server",
    )  # fmt: skip
    nginx = ports.Listener(
        protocol="tcp", family=6, address="::", port=443, scope="any", v6only=False, pids=(902, 903), process="nginx",
        executable="/usr/sbin/nginx", user="www-data", unit="nginx.service", package="nginx", expected=True,
    )  # fmt: skip
    postgres = ports.Listener(
        protocol="tcp", family=4, address="127.0.0.1", port=5432, scope="loopback", owner_known=False, expected=False
    )
    return {"tcp 0.0.0.0:22": ssh, "tcp [::]:443": nginx, "tcp 127.0.0.1:5432": postgres}


def usual_firewall() -> dict[str, firewall.Row]:
    row = firewall.Row
    summary = firewall.Summary(
        backends=("nftables",), makers=("admin",), tables=1, chains=2, rules=4, rules4=4, rules6=3,
        policy4="drop", policy6="accept", filtering4="closed", filtering6="open",
    )  # fmt: skip
    texts = ("ct state established,related accept", 'iifname "lo" accept', "tcp dport { 22, 443 } accept")
    rules = {
        f"rule inet filter input d{number}": row(
            what="rule", family="inet", table="filter", name="input", text=text, rank=number
        )
        for number, text in enumerate(texts)
    }
    return {
        "summary": row(what="summary", summary=summary),
        "table inet filter": row(what="table", family="inet", name="filter"),
        "chain inet filter input": row(
            what="chain",
            family="inet",
            table="filter",
            name="input",
            hook="input",
            type="filter",
            priority=0,
            policy="drop",
        ),
        "chain inet filter banned": row(what="chain", family="inet", table="filter", name="banned"),
        "rule inet filter banned d9": row(
            what="rule", family="inet", table="filter", name="banned", text="ip saddr @bans drop"
        ),
        "set inet filter bans": row(
            what="set", family="inet", table="filter", name="bans", type="set", text="type ipv4_addr", elements=2
        ),
        **rules,
    }


class Site:
    """The console under test, on an event loop of its own thread."""

    def __init__(self, folder: Path, metrics_token: str = "") -> None:
        self.now_ms = NOW_MS
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.store = open_sqlite(folder / "console.db", GRACE_S)
        self.hub = self.run(_make(Hub))
        self.accounts = self.run(_make(lambda: Accounts(self.store, lambda: self.now_ms, AccountPolicy())))
        # What hashing costs is the subject of `test_accounts.py`; here it would be half of the run.
        self.accounts._hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        self.console = Console(
            store=self.store,
            hub=self.hub,
            accounts=self.accounts,
            now_ms=lambda: self.now_ms,
            agents_url="https://console.example:8444",
            make_token=self._make_token,
            version="0.1.0",
            streams=Streams(),
            metrics=_metrics,
            metrics_token=metrics_token,
        )
        self.app = make_web(self.console)
        self._number = 0
        self.run(self.accounts.add("ada", Role.ADMIN, PASSWORD, "cli:test"))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def publish(self, change: Change) -> None:
        self._loop.call_soon_threadsafe(self.hub.publish, change)

    def browser(self, address: str = "192.0.2.7") -> "Browser":
        return Browser(self, address)

    def someone(self, role: Role, name: str = "") -> "Browser":
        """A logged-in person of `role`."""
        name = name or f"{role.value}-{self._number}"
        self._number += 1
        if self.run(self.store.user(name)) is None:
            self.run(self.accounts.add(name, role, "", "cli:test"))
        browser = self.browser()
        secret = self.run(self.accounts.make_link(name, "cli:test"))
        browser.get(f"/login/link?token={secret}")
        answer = browser.post("/login/link", {"token": secret})
        assert answer.status_code == 303
        return browser

    def agent(self, hostname: str = "web-1") -> Agent:
        """A newly enrolled agent, silent so far."""
        self._number += 1
        agent = f"{self._number:032x}"
        made = self.run(self.console.make_token("test", "cli:test", 3600.0))
        certificate = Certificate(
            serial=f"{self._number:X}", agent=agent, key=agent.encode(), pem=b"", issued_ms=self.now_ms,
            ends_ms=self.now_ms + 90 * 86_400_000,
        )  # fmt: skip
        assert self.run(self.store.enrol(made.id, certificate, facts(hostname), "0.1.0", self.now_ms))
        return Agent(self, agent, hostname)

    def close(self) -> None:
        self.run(self.store.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    async def _make_token(self, note: str, who: str, valid_s: float, hostname: str = "") -> tokens.NewToken:
        return await tokens.create(
            self.store, bytes(32), lambda: self.now_ms, who=who, lifetime_s=valid_s, hostname=hostname, note=note
        )


class Browser:
    """Cookies and forms, as a browser has them."""

    def __init__(self, site: Site, address: str) -> None:
        self.site = site
        transport = httpx.ASGITransport(app=site.app, client=(address, 4711), raise_app_exceptions=False)  # type: ignore[arg-type]
        self.client = httpx.AsyncClient(transport=transport, base_url="https://console.test")
        self.last = ""

    def get(self, path: str, **more: Any) -> httpx.Response:
        answer = self.site.run(self.client.get(path, **more))
        if answer.headers.get("content-type", "").startswith("text/html"):
            self.last = answer.text
        return answer

    def post(self, path: str, fields: Mapping[str, str] | None = None, **more: Any) -> httpx.Response:
        """Send a form with the token of the page seen last, as a click on that page would."""
        data = {"csrf": self.csrf(), **(fields or {})}
        answer = self.site.run(self.client.post(path, data=data, **more))
        if answer.headers.get("content-type", "").startswith("text/html"):
            self.last = answer.text
        return answer

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.site.run(self.client.request(method, path, **more))

    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]*)"', self.last)
        return html.unescape(found[1]) if found else ""

    def text(self, path: str) -> str:
        """The page at `path` as a person reads it: no tags, single spaces."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return words(answer.text)


def words(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", page))).strip()


async def _make(maker: Callable[[], T]) -> T:
    return maker()


async def _metrics() -> tuple[bytes, str]:
    return b"holdfast_console_reports_total 1\n", "text/plain; version=0.0.4"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


@pytest.fixture
def admin(site: Site) -> Browser:
    return site.someone(Role.ADMIN, "ada")


@pytest.fixture
def viewer(site: Site) -> Browser:
    return site.someone(Role.VIEWER)


@pytest.fixture
def operator(site: Site) -> Browser:
    return site.someone(Role.OPERATOR)


@pytest.fixture
def full(site: Site) -> Agent:
    """An agent that has reported everything a healthy server reports."""
    agent = site.agent()
    agent.heartbeat()
    agent.usual_rows()
    agent.event(
        "ports.listener_opened", "tcp 0.0.0.0:8080", fields={"port": 8080, "process": "python3", "expected": False}
    )
    return agent


@pytest.fixture
def support_partly() -> tuple[Sight, ...]:
    return PARTLY


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Site]:
    """A site whose metrics need a bearer token."""
    made = Site(tmp_path, metrics_token="sesame-sesame")
    yield made
    made.close()
