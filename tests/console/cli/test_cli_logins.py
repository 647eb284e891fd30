"""The first admin and login links."""

import asyncio
from typing import Any

from console.cli.logins import ADMIN, ensure_admin, link_url
from console.parts import now_ms, open_parts
from console.store.records import Role, User


def test_an_admin_is_made_only_where_there_is_nobody(console_settings: Any) -> None:
    async def run() -> tuple[User, ...]:
        parts = open_parts(console_settings)
        await ensure_admin(parts)
        await ensure_admin(parts)
        found = await parts.store.users()
        await parts.store.close()
        return found

    (admin,) = asyncio.run(run())
    assert (admin.name, admin.role, admin.password) == (ADMIN, Role.ADMIN, "")
    assert admin.created_ms <= now_ms()


def test_a_link_leads_to_the_page_that_redeems_it() -> None:
    assert link_url("https://x:1", "s") == "https://x:1/login/link?token=s"
