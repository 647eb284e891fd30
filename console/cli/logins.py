"""The first admin, and links that let someone in: what `serve` and `user` share."""

from console.parts import Parts
from console.store.records import Role

ADMIN = "admin"


async def ensure_admin(parts: Parts) -> None:
    """Make the first user, an admin without a password whom only login links let in, when there is no user."""
    if not await parts.store.users():
        await parts.accounts.add(ADMIN, Role.ADMIN, "", "console")


def link_url(people_url: str, secret: str) -> str:
    """Return the address that redeems a login link."""
    return f"{people_url}/login/link?token={secret}"
