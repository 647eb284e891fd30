"""What holds without being configured: the rules that bring bans and blocklists back, and that the console is never blocked.

A ban must survive what another tool does to the firewall, and a restart of the agent, whether or not somebody wrote a rule for that.
"""

import ipaddress
import socket
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from agent.settings import AgentSettings, Rate, Rule, section

RESOLVE_S = 2.0
"""How long the console's name may take to resolve while the configuration is loaded."""

_OFTEN = Rate(times=1000, per=60.0)
_BACK = ("agent.started", "bans.table_lost")


def rules(settings: AgentSettings) -> tuple[Rule, ...]:
    """Return the configured rules and, behind them, those that always hold."""
    bans = [Rule(when=kind, do="reblock", dry_run=False, at_most=_OFTEN) for kind in _BACK]
    lists: list[Rule] = []
    if section(settings, "actions", "blocklist").lists:
        kinds = (*_BACK, "agent.config_loaded")
        lists = [Rule(when=kind, do="blocklist", dry_run=False, at_most=_OFTEN) for kind in kinds]
    return (*settings.rules, *bans, *lists)


def options(settings: AgentSettings, name: str, configured: Any) -> Any:
    """Return the options of the action `name` with what is never blocked filled in from the rest of the settings."""
    if name not in ("block", "blocklist"):
        return configured
    always = {**section(settings, "actions", "block").never, **console(settings.console.url)}
    return replace(configured, never={**configured.never, **always})


def console(url: str) -> Mapping[str, str]:
    """Return the addresses behind the console's URL, each with the reason; none when it is not configured or does not resolve in time."""
    host = urlsplit(url).hostname or ""
    try:
        return {str(ipaddress.ip_address(host)): "it is the console"} if host else {}
    except ValueError:
        return dict.fromkeys(_resolved(host), f"it is the console ({host})")


def _resolved(name: str) -> list[str]:
    """Return the addresses of `name`; the lookup itself cannot be bounded, so that it is left alone when it takes too long."""
    found: list[str] = []

    def look() -> None:
        try:
            answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except OSError:
            return  # not resolvable now: the interlocks also know whom the agent is connected with
        found.extend(dict.fromkeys(str(answer[4][0]) for answer in answers))

    thread = threading.Thread(target=look, name="resolve-console", daemon=True)
    thread.start()
    thread.join(RESOLVE_S)
    return list(found)
