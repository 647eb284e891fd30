"""The console's tables, for SQLite today and written so that PostgreSQL takes them as they are.

Times are Unix milliseconds by the console's clock unless the name says otherwise. Agents are numbered within the database, so that an event
costs eight bytes of reference and not thirty-two. What changes here changes in a migration, too; a test compares the two.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

from contracts.event import Lane

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

LANES: dict[Lane, int] = {Lane.CRITICAL: 0, Lane.NORMAL: 1, Lane.BULK: 2}
LANE_NAMES: dict[int, Lane] = {number: lane for lane, number in LANES.items()}

_Number = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only in a column whose type is exactly INTEGER."""


def _ms(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, default=0)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, default="")


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, default=0)


def _agent(primary_key: bool = False, index: bool = False) -> Column[int]:
    return Column(
        "agent", BigInteger, ForeignKey("agents.number"), nullable=False, primary_key=primary_key, index=index or None
    )


meta = Table("meta", metadata, Column("name", Text, primary_key=True), _count("number"))

agents = Table(
    "agents",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    _text("name"),
    _text("hostname"),
    _text("version"),
    _text("os_name"),
    _text("kernel"),
    Column("key", LargeBinary, nullable=False),
    _ms("enrolled_ms"),
    _ms("revoked_ms"),
    _ms("heartbeat_ms"),
    _ms("skew_ms"),
    _ms("duplicate_ms"),
    Column("every_s", Float, nullable=False, default=0.0),
    Column("uptime_s", Float, nullable=False, default=0.0),
    _count("seen"),
    _count("partial"),
    _count("unseen"),
    _count("unknown"),
    _count("blind"),
    _count("workers_down"),
    _count("lost"),
    Column("heartbeat", LargeBinary, nullable=True),
)

certificates = Table(
    "certificates",
    metadata,
    Column("serial", Text, primary_key=True),
    _agent(index=True),
    Column("key", LargeBinary, nullable=False),
    Column("pem", LargeBinary, nullable=False),
    _ms("issued_ms"),
    _ms("ends_ms"),
    _ms("revoked_ms"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    _text("note"),
    _ms("created_ms"),
    _text("created_by"),
    _ms("expires_ms"),
    _text("hostname"),
    _ms("revoked_ms"),
    _ms("used_ms"),
    _text("agent"),
    Column("key", LargeBinary, nullable=False, default=b""),
    _text("serial"),
)

lanes = Table(
    "lanes",
    metadata,
    _agent(primary_key=True),
    Column("lane", SmallInteger, primary_key=True),
    _count("seq"),
    Column("chain", LargeBinary, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _agent(),
    Column("lane", SmallInteger, nullable=False),
    _count("seq"),
    Column("chain", LargeBinary, nullable=False),
    _ms("observed_ms"),
    _ms("received_ms"),
    _text("kind"),
    Column("severity", SmallInteger, nullable=False),
    _text("text"),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("agent", "lane", "seq"),
    Index(None, "observed_ms", "number"),
    Index(None, "agent", "observed_ms", "number"),
    Index(None, "kind", "observed_ms", "number"),
)

event_counts = Table(
    "event_counts",
    metadata,
    _agent(primary_key=True),
    Column("hour_ms", BigInteger, primary_key=True),
    Column("severity", SmallInteger, primary_key=True),
    _count("count"),
)

losses = Table(
    "losses",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _agent(index=True),
    Column("lane", SmallInteger, nullable=False),
    _count("first"),
    _count("last"),
    _count("count"),
    Column("chain", LargeBinary, nullable=False),
    Column("explained", SmallInteger, nullable=False, default=0),
    _ms("received_ms"),
)

findings = Table(
    "findings",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _agent(index=True),
    _text("kind"),
    Column("lane", SmallInteger, nullable=True),
    _count("seq"),
    _text("detail"),
    _ms("first_ms"),
    _ms("last_ms"),
    _count("count"),
    _ms("acknowledged_ms"),
    _text("acknowledged_by"),
)

subjects = Table(
    "subjects",
    metadata,
    _agent(primary_key=True),
    Column("subject", Text, primary_key=True),
    _count("revision"),
    _count("coming_base"),
    _count("coming"),
    _ms("at_ms"),
)

subject_rows = Table(
    "subject_rows",
    metadata,
    _agent(primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("row", LargeBinary, nullable=False),
)

staged_rows = Table(
    "staged_rows",
    metadata,
    _agent(primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("row", LargeBinary, nullable=True),
)

presence = Table(
    "presence",
    metadata,
    _agent(primary_key=True),
    Column("hour_ms", BigInteger, primary_key=True),
    _count("minutes"),
)

users = Table(
    "users",
    metadata,
    Column("name", Text, primary_key=True),
    _text("role"),
    _text("password"),
    Column("disabled", SmallInteger, nullable=False, default=0),
    _ms("created_ms"),
    _ms("last_login_ms"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("user", Text, ForeignKey("users.name"), nullable=False, index=True),
    _text("csrf"),
    _ms("created_ms"),
    _ms("expires_ms"),
    _ms("seen_ms"),
    _text("address"),
    _text("browser"),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    _text("name"),
    _text("role"),
    _ms("created_ms"),
    _text("created_by"),
    _ms("expires_ms"),
    _ms("revoked_ms"),
    _ms("used_ms"),
)

links = Table(
    "links",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("user", Text, ForeignKey("users.name"), nullable=False),
    _ms("created_ms"),
    _ms("expires_ms"),
)

audit = Table(
    "audit",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _ms("at_ms"),
    _text("who"),
    _text("what"),
    _text("about"),
    _text("detail"),
    _text("address"),
)
