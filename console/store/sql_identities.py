"""Tokens, certificates and who may connect."""

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, insert, select, update

from console.store.database import Database, clean, identities_changed, identities_version, number_of
from console.store.records import Certificate, Identity, Token
from console.store.schema import agents, certificates, tokens
from console.store.writer import Group
from contracts.host import Facts


class SqlIdentities(Database):
    """The part of the store that enrolment and the agents' listener use."""

    async def add_token(self, token: Token) -> None:
        """Store a new token."""
        values = msgspec.structs.asdict(token)
        await self.write(lambda group: group.connection.execute(insert(tokens).values(values)))

    async def tokens(self) -> tuple[Token, ...]:
        """Return all tokens, newest first."""
        query = select(tokens).order_by(tokens.c.created_ms.desc(), tokens.c.id)
        return await self.read(lambda connection: tuple(_token(row) for row in connection.execute(query)))

    async def token(self, digest: bytes) -> Token | None:
        """Return the token whose secret has this SHA-256."""

        def work(connection: Connection) -> Token | None:
            row = connection.execute(select(tokens).where(tokens.c.digest == digest)).first()
            return _token(row) if row else None

        return await self.read(work)

    async def revoke_token(self, token_id: str, at_ms: int) -> bool:
        """Make an unused token useless."""
        unused = (tokens.c.id == token_id) & (tokens.c.used_ms == 0) & (tokens.c.revoked_ms == 0)
        revoked = update(tokens).where(unused).values(revoked_ms=at_ms)
        return await self.write(lambda group: group.connection.execute(revoked).rowcount > 0)

    async def enrol(self, token_id: str, certificate: Certificate, facts: Facts, version: str, at_ms: int) -> bool:
        """Use up the token and admit the agent in one step."""
        return await self.write(lambda group: _enrol(group.connection, token_id, certificate, facts, version, at_ms))

    async def add_certificate(self, certificate: Certificate) -> bool:
        """Store a renewed certificate."""

        def work(group: Group) -> bool:
            active = (agents.c.id == certificate.agent) & (agents.c.revoked_ms == 0)
            number = group.connection.execute(select(agents.c.number).where(active)).scalar()
            if number is None:
                return False
            _add_certificate(group.connection, number, certificate)
            return True

        return await self.write(work)

    async def certificates(self, agent: str) -> tuple[Certificate, ...]:
        """Return the certificates issued to an agent, newest first."""
        query = select(certificates).join(agents, certificates.c.agent == agents.c.number)
        query = query.where(agents.c.id == agent).order_by(certificates.c.issued_ms.desc(), certificates.c.serial)
        return await self.read(
            lambda connection: tuple(
                Certificate(
                    serial=row.serial,
                    agent=agent,
                    key=row._mapping["key"],
                    pem=row.pem,
                    issued_ms=row.issued_ms,
                    ends_ms=row.ends_ms,
                    revoked_ms=row.revoked_ms,
                )
                for row in connection.execute(query)
            )
        )

    async def identities(self) -> tuple[int, tuple[Identity, ...]]:
        """Return a version and who may connect."""

        def work(connection: Connection) -> tuple[int, tuple[Identity, ...]]:
            version = identities_version(connection)
            serials: dict[int, set[str]] = {}
            valid = select(certificates.c.agent, certificates.c.serial).where(certificates.c.revoked_ms == 0)
            for row in connection.execute(valid):
                serials.setdefault(row.agent, set()).add(row.serial)
            known = connection.execute(select(agents.c.number, agents.c.id, agents.c.revoked_ms))
            return version, tuple(
                Identity(agent=row.id, serials=frozenset(serials.get(row.number, ())), revoked=bool(row.revoked_ms))
                for row in known
            )

        return await self.read(work)

    async def identities_version(self) -> int:
        """Return only the version."""
        return await self.read(identities_version)

    async def revoke_agent(self, agent: str, at_ms: int) -> bool:
        """Let this agent in no more."""

        def work(group: Group) -> bool:
            active = (agents.c.id == agent) & (agents.c.revoked_ms == 0)
            if not group.connection.execute(update(agents).where(active).values(revoked_ms=at_ms)).rowcount:
                return False
            mine = (certificates.c.agent == number_of(group.connection, agent)) & (certificates.c.revoked_ms == 0)
            group.connection.execute(update(certificates).where(mine).values(revoked_ms=at_ms))
            identities_changed(group.connection)
            return True

        return await self.write(work)


def _enrol(
    connection: Connection, token_id: str, certificate: Certificate, facts: Facts, version: str, at_ms: int
) -> bool:
    usable = (tokens.c.id == token_id) & (tokens.c.used_ms == 0) & (tokens.c.revoked_ms == 0)
    usable &= tokens.c.expires_ms > at_ms
    if connection.execute(select(tokens.c.id).where(usable)).first() is None:
        return False
    known = connection.execute(select(agents).where(agents.c.id == certificate.agent)).first()
    if known is not None and (known.revoked_ms or known._mapping["key"] != certificate.key):
        return False
    used = {"used_ms": at_ms, "agent": certificate.agent, "key": certificate.key, "serial": certificate.serial}
    connection.execute(update(tokens).where(tokens.c.id == token_id).values(used))
    number = known.number if known is not None else _admit(connection, certificate, facts, version, at_ms)
    _add_certificate(connection, number, certificate)
    return True


def _admit(connection: Connection, certificate: Certificate, facts: Facts, version: str, at_ms: int) -> int:
    values = {
        "id": certificate.agent,
        "hostname": clean(facts.hostname),
        "version": clean(version),
        "os_name": clean(facts.os_name),
        "kernel": clean(facts.kernel),
        "key": certificate.key,
        "enrolled_ms": at_ms,
    }
    return int(connection.execute(insert(agents).values(values).returning(agents.c.number)).scalar_one())


def _add_certificate(connection: Connection, number: int, certificate: Certificate) -> None:
    values = msgspec.structs.asdict(certificate) | {"agent": number}
    connection.execute(insert(certificates).values(values))
    if certificate.key:
        connection.execute(update(agents).where(agents.c.number == number).values(key=certificate.key))
    identities_changed(connection)


def _token(row: Row[Any]) -> Token:
    return Token(**{name: row._mapping[name] for name in Token.__struct_fields__})
