"""Users and grants of a MySQL server as a script; mariadb-dump writes its own (`--system=users`), mysqldump has no such option."""

from collections.abc import Callable, Sequence

import msgspec

USERS_QUERY = (
    "SELECT JSON_OBJECT('user', user, 'host', host) FROM mysql.user WHERE user NOT LIKE 'mysql.%' ORDER BY user, host"
)
END = "-- Dump completed"


class User(msgspec.Struct, frozen=True):
    """An account: its name and where it may come from."""

    user: str
    host: str

    @property
    def account(self) -> str:
        """As SQL writes it."""
        return "@".join("'" + part.replace("\\", "\\\\").replace("'", "''") + "'" for part in (self.user, self.host))


def users_script(users: Sequence[User], ask: Callable[[str], str]) -> bytes:
    """The statements that make the users again; `ask` answers a query with one statement a line."""
    made, granted = [], []
    for one in users:
        created = ask(f"SHOW CREATE USER {one.account}").strip()
        made.append(created.replace("CREATE USER ", "CREATE USER IF NOT EXISTS ", 1) + ";")
        granted += [line + ";" for line in ask(f"SHOW GRANTS FOR {one.account}").splitlines() if line.strip()]
    return "\n".join(["-- Users and grants", *made, *granted, END, ""]).encode()
