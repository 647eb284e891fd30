"""Tokens of programs that use the JSON API."""

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, insert, select, update

from console.store.database import Database, clean
from console.store.records import ApiToken, Role
from console.store.schema import api_tokens


class SqlApiTokens(Database):
    """The part of the store that lets programs in."""

    async def add_api_token(self, token: ApiToken) -> None:
        """Store a new token."""
        values = msgspec.structs.asdict(token) | {"role": token.role.value, "name": clean(token.name)}
        await self.write(lambda group: group.connection.execute(insert(api_tokens).values(values)))

    async def api_tokens(self) -> tuple[ApiToken, ...]:
        """Return all tokens, newest first."""
        query = select(api_tokens).order_by(api_tokens.c.created_ms.desc(), api_tokens.c.id)
        return await self.read(lambda connection: tuple(_token(row) for row in connection.execute(query)))

    async def api_token(self, digest: bytes) -> ApiToken | None:
        """Return the token whose text has this SHA-256."""

        def work(connection: Connection) -> ApiToken | None:
            row = connection.execute(select(api_tokens).where(api_tokens.c.digest == digest)).first()
            return _token(row) if row else None

        return await self.read(work)

    async def touch_api_token(self, token_id: str, at_ms: int) -> None:
        """Note that a token was used."""
        used = update(api_tokens).where(api_tokens.c.id == token_id).values(used_ms=at_ms)
        await self.write(lambda group: group.connection.execute(used))

    async def revoke_api_token(self, token_id: str, at_ms: int) -> bool:
        """Make a token useless."""
        active = (api_tokens.c.id == token_id) & (api_tokens.c.revoked_ms == 0)
        revoked = update(api_tokens).where(active).values(revoked_ms=at_ms)
        return await self.write(lambda group: group.connection.execute(revoked).rowcount > 0)


def _token(row: Row[Any]) -> ApiToken:
    values = {name: row._mapping[name] for name in ApiToken.__struct_fields__}
    return ApiToken(**(values | {"role": Role(row.role)}))
