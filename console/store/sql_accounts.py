"""People, their logins and the audit log."""

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, insert, select, update

from console.store.database import MAX_NUMBER, Database, clean
from console.store.records import AuditEntry, LoginLink, Role, Session, User
from console.store.schema import audit, links, sessions, users
from console.store.writer import Group


class SqlAccounts(Database):
    """The part of the store that logins use."""

    async def add_user(self, user: User) -> bool:
        """Add a user."""

        def work(group: Group) -> bool:
            if group.connection.execute(select(users.c.name).where(users.c.name == user.name)).first():
                return False
            values = msgspec.structs.asdict(user) | {"role": user.role.value, "disabled": int(user.disabled)}
            group.connection.execute(insert(users).values(values))
            return True

        return await self.write(work)

    async def users(self) -> tuple[User, ...]:
        """Return all users by name."""
        query = select(users).order_by(users.c.name)
        return await self.read(lambda connection: tuple(_user(row) for row in connection.execute(query)))

    async def user(self, name: str) -> User | None:
        """Return one user."""

        def work(connection: Connection) -> User | None:
            row = connection.execute(select(users).where(users.c.name == name)).first()
            return _user(row) if row else None

        return await self.read(work)

    async def set_password(self, name: str, password: str) -> bool:
        """Set the password hash and end the user's sessions."""
        return await self.write(lambda group: _change_user(group, name, True, password=password))

    async def set_role(self, name: str, role: Role) -> bool:
        """Change what a user may do."""
        return await self.write(lambda group: _change_user(group, name, False, role=role.value))

    async def set_disabled(self, name: str, disabled: bool) -> bool:
        """Lock a user out, or in again."""
        return await self.write(lambda group: _change_user(group, name, disabled, disabled=int(disabled)))

    async def add_session(self, session: Session) -> None:
        """Store a login and note its time with the user."""
        values = msgspec.structs.asdict(session)
        del values["role"], values["program"]

        def work(group: Group) -> None:
            group.connection.execute(insert(sessions).values(values))
            mine = update(users).where(users.c.name == session.user)
            group.connection.execute(mine.values(last_login_ms=session.created_ms))

        await self.write(work)

    async def session(self, digest: bytes, now_ms: int) -> Session | None:
        """Return a session that has not expired and whose user is not disabled."""
        query = select(sessions, users.c.role).join(users, sessions.c.user == users.c.name)
        query = query.where((sessions.c.digest == digest) & (sessions.c.expires_ms > now_ms) & (users.c.disabled == 0))

        def work(connection: Connection) -> Session | None:
            row = connection.execute(query).first()
            if row is None:
                return None
            stored = {column.name: row._mapping[column.name] for column in sessions.c}
            return Session(**stored, role=Role(row.role))

        return await self.read(work)

    async def touch_session(self, digest: bytes, seen_ms: int, expires_ms: int) -> None:
        """Note that a session was used and until when it lives now."""
        touched = update(sessions).where(sessions.c.digest == digest).values(seen_ms=seen_ms, expires_ms=expires_ms)
        await self.write(lambda group: group.connection.execute(touched))

    async def end_session(self, digest: bytes) -> None:
        """Forget a session."""
        await self.write(lambda group: group.connection.execute(delete(sessions).where(sessions.c.digest == digest)))

    async def end_sessions(self, user: str) -> int:
        """Forget every session of a user and the links not used yet."""

        def work(group: Group) -> int:
            group.connection.execute(delete(links).where(links.c.user == user))
            return group.connection.execute(delete(sessions).where(sessions.c.user == user)).rowcount

        return await self.write(work)

    async def add_link(self, link: LoginLink) -> None:
        """Store a one-time login link."""
        values = msgspec.structs.asdict(link)
        await self.write(lambda group: group.connection.execute(insert(links).values(values)))

    async def take_link(self, digest: bytes, now_ms: int) -> LoginLink | None:
        """Return the link and forget it, in one step."""

        def work(group: Group) -> LoginLink | None:
            row = group.connection.execute(select(links).where(links.c.digest == digest)).first()
            group.connection.execute(delete(links).where(links.c.digest == digest))
            if row is None or row.expires_ms <= now_ms:
                return None
            return LoginLink(**dict(row._mapping))

        return await self.write(work)

    async def audit(
        self, at_ms: int, who: str, what: str, about: str = "", detail: str = "", address: str = ""
    ) -> None:
        """Append to the audit log."""
        words = {"who": who, "what": what, "about": about, "detail": detail, "address": address}
        values = {"at_ms": at_ms} | {name: clean(text) for name, text in words.items()}
        await self.write(lambda group: group.connection.execute(insert(audit).values(values)))

    async def audit_log(self, limit: int = 100, before: int = 0, what: str = "") -> tuple[AuditEntry, ...]:
        """Return entries, newest first."""
        query = select(audit).order_by(audit.c.number.desc()).limit(limit)
        query = query.where(audit.c.number < min(before, MAX_NUMBER)) if before else query
        query = query.where(audit.c.what.startswith(what, autoescape=True)) if what else query
        return await self.read(
            lambda connection: tuple(AuditEntry(**dict(row._mapping)) for row in connection.execute(query))
        )


def _change_user(group: Group, name: str, end_sessions: bool, **values: Any) -> bool:
    if not group.connection.execute(update(users).where(users.c.name == name).values(values)).rowcount:
        return False
    if end_sessions:
        group.connection.execute(delete(sessions).where(sessions.c.user == name))
        group.connection.execute(delete(links).where(links.c.user == name))
    return True


def _user(row: Row[Any]) -> User:
    return User(
        name=row.name,
        role=Role(row.role),
        password=row.password,
        disabled=bool(row.disabled),
        created_ms=row.created_ms,
        last_login_ms=row.last_login_ms,
    )
