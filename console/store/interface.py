"""The one interface to everything the console remembers; each implementation passes `tests/console/store/test_conformance.py`.

All methods are coroutines and safe to call from many tasks at once. What a write method has returned from is durable. Times are Unix
milliseconds and are passed in: a store has no clock. Errors: `contracts.errors.NewerData` and `HoldfastError` from opening; `KeyError` is
never raised for "not there", which is None, an empty tuple or False as typed.
"""

from typing import Protocol

from console.store.records import (
    Agent,
    AgentDetail,
    ApiToken,
    AuditEntry,
    Certificate,
    EventFilter,
    EventPage,
    EventRow,
    Finding,
    FindingKind,
    Identity,
    LoginLink,
    LossRow,
    Presence,
    Role,
    Session,
    SeverityCount,
    StoreHealth,
    Subject,
    Token,
    User,
)
from contracts.event import Lane
from contracts.host import Facts
from contracts.record import Record
from contracts.wire import Batch


class Stored(Record):
    """A report was stored: what is held now (the numbers of the `Ack`), and how many events were new."""

    lanes: dict[Lane, int]
    subjects: dict[str, int]
    new_events: int = 0
    changed_subjects: tuple[str, ...] = ()
    new_findings: tuple[FindingKind, ...] = ()


class RefusedReport(Record):
    """A report was not stored, wholly: why, whether trying again can help, and what is held."""

    status: int
    error: str
    advice: str
    permanent: bool
    lanes: dict[Lane, int]
    subjects: dict[str, int]
    finding: FindingKind | None = None


class ReportStore(Protocol):
    """What the receiver of reports needs."""

    async def append(self, agent: str, batch: Batch, received_ms: int) -> Stored | RefusedReport:
        """Store a report once: idempotent by (agent, lane, seq), chains verified, all of it or nothing.

        A refusal is remembered as a `Finding` where it tells of tampering. A revoked or unknown agent is refused with 403.
        """

    async def note(
        self, agent: str, kind: FindingKind, detail: str, at_ms: int, lane: Lane | None = None, seq: int = 0
    ) -> None:
        """Record a finding about an agent; an equal open one only grows its count."""

    async def mark_duplicate(self, agent: str, at_ms: int) -> None:
        """Remember that two running agents used this identity at `at_ms` (0 clears it)."""


class FleetStore(Protocol):
    """What pages show of agents. `state` is computed for `now_ms`."""

    async def agents(self, now_ms: int) -> tuple[Agent, ...]:
        """Return the fleet by host name."""

    async def agent(self, agent: str, now_ms: int) -> AgentDetail | None:
        """Return one agent."""

    async def subject(self, agent: str, subject: str) -> Subject | None:
        """Return the rows of one subject, or None when the agent has never sent it."""

    async def events(self, wanted: EventFilter, limit: int = 50, cursor: str = "") -> EventPage:
        """Return a page of events, newest observed first; raises `contracts.errors.UsageError` for a cursor that is not one."""

    async def event(self, number: int) -> EventRow | None:
        """Return the event that the console gave this number, or None when it is not kept (any more)."""

    async def losses(self, agent: str = "", limit: int = 100) -> tuple[LossRow, ...]:
        """Return what was lost, newest first."""

    async def findings(self, agent: str = "", open_only: bool = False, limit: int = 100) -> tuple[Finding, ...]:
        """Return what the console found, newest first."""

    async def acknowledge_finding(self, number: int, who: str, at_ms: int) -> bool:
        """Close a finding; False when there is no open one with that number."""

    async def presence(self, agent: str, since_ms: int) -> tuple[Presence, ...]:
        """Return in which minutes the agent was heard, oldest hour first; hours of silence are left out."""

    async def event_counts(self, since_ms: int, agent: str = "") -> tuple[SeverityCount, ...]:
        """Return events per hour and severity, oldest first."""

    async def rename_agent(self, agent: str, name: str) -> bool:
        """Give an agent another display name."""


class IdentityStore(Protocol):
    """Tokens, certificates and who may connect."""

    async def add_token(self, token: Token) -> None:
        """Store a new token."""

    async def tokens(self) -> tuple[Token, ...]:
        """Return all tokens, newest first."""

    async def token(self, digest: bytes) -> Token | None:
        """Return the token whose secret has this SHA-256."""

    async def revoke_token(self, token_id: str, at_ms: int) -> bool:
        """Make an unused token useless; False when there is none."""

    async def enrol(self, token_id: str, certificate: Certificate, facts: Facts, version: str, at_ms: int) -> bool:
        """Use up the token and admit the agent in one step.

        False, and nothing changed, when the token was used, revoked or has expired meanwhile, or the agent is known with another key or is
        revoked.
        """

    async def add_certificate(self, certificate: Certificate) -> bool:
        """Store a renewed certificate; False when the agent is unknown or revoked."""

    async def certificates(self, agent: str) -> tuple[Certificate, ...]:
        """Return the certificates issued to an agent, newest first."""

    async def identities(self) -> tuple[int, tuple[Identity, ...]]:
        """Return a version that grows with every change of them, and who may connect."""

    async def identities_version(self) -> int:
        """Return only the version."""

    async def revoke_agent(self, agent: str, at_ms: int) -> bool:
        """Let this agent in no more; False when it is unknown or revoked already."""


class AccountStore(Protocol):
    """People, their logins and the audit log."""

    async def add_user(self, user: User) -> bool:
        """Add a user; False when the name is taken."""

    async def users(self) -> tuple[User, ...]:
        """Return all users by name."""

    async def user(self, name: str) -> User | None:
        """Return one user."""

    async def set_password(self, name: str, password: str) -> bool:
        """Set the password hash and end the user's sessions; False when there is no such user."""

    async def set_role(self, name: str, role: Role) -> bool:
        """Change what a user may do."""

    async def set_disabled(self, name: str, disabled: bool) -> bool:
        """Lock a user out (ending the sessions) or let the user in again."""

    async def add_session(self, session: Session) -> None:
        """Store a login and note its time with the user."""

    async def session(self, digest: bytes, now_ms: int) -> Session | None:
        """Return a session that has not expired and whose user is not disabled."""

    async def touch_session(self, digest: bytes, seen_ms: int, expires_ms: int) -> None:
        """Note that a session was used and until when it lives now."""

    async def end_session(self, digest: bytes) -> None:
        """Forget a session."""

    async def end_sessions(self, user: str) -> int:
        """Forget every session of a user and the links not used yet; return how many sessions there were."""

    async def add_link(self, link: LoginLink) -> None:
        """Store a one-time login link."""

    async def take_link(self, digest: bytes, now_ms: int) -> LoginLink | None:
        """Return the link and forget it, in one step; None when unknown or expired."""

    async def add_api_token(self, token: ApiToken) -> None:
        """Store a new token of a program."""

    async def api_tokens(self) -> tuple[ApiToken, ...]:
        """Return all tokens of programs, newest first."""

    async def api_token(self, digest: bytes) -> ApiToken | None:
        """Return the token whose text has this SHA-256, whether it still holds or not."""

    async def touch_api_token(self, token_id: str, at_ms: int) -> None:
        """Note that a token was used."""

    async def revoke_api_token(self, token_id: str, at_ms: int) -> bool:
        """Make a token useless; False when there is none or it is so already."""

    async def audit(
        self, at_ms: int, who: str, what: str, about: str = "", detail: str = "", address: str = ""
    ) -> None:
        """Append to the audit log."""

    async def audit_log(self, limit: int = 100, before: int = 0, what: str = "") -> tuple[AuditEntry, ...]:
        """Return entries, newest first, with numbers under `before` (0: from the newest); `what` is a prefix."""


class Store(ReportStore, FleetStore, IdentityStore, AccountStore, Protocol):
    """Everything the console remembers."""

    async def health(self) -> StoreHealth:
        """Say how the store is; raises `HoldfastError` when it does not answer."""

    async def prune(self, events_before_ms: int, presence_before_ms: int, now_ms: int) -> int:
        """Forget what retention no longer keeps (events, presence, expired sessions and links); return how many events went."""

    async def close(self) -> None:
        """Finish the writes under way and close."""
