"""What holds without being configured: rules that bring bans and blocklists back; console and backup targets are never blocked.

A ban must survive what another tool does to the firewall, and a restart of the agent, whether or not somebody wrote a rule for that.
"""

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from agent.settings import AgentSettings, Rate, Rule, section
from contracts import file_change as change

RESOLVE_S = 2.0
"""How long names may take to resolve while the configuration is loaded."""
SSH_PORT = 22

ANTIVIRUS = frozenset({"update_signatures", "scan", "quarantine", "antivirus_prove"})

_OFTEN = Rate(times=1000, per=60.0)
_CONFIGURATION = ("/etc", "/var/spool/cron", "/root", "/home")
"""Where configuration lies of which none is watched as programs or as a web root."""
_VERSIONED = (
    change.CREATED,
    change.DELETED,
    change.MODIFIED,
    change.TYPE,
    change.MODE,
    change.OWNER,
    change.ATTRIBUTES,
    change.KNOWN,
)
_ALL_AGAIN = ("integrity.many_changed", "integrity.transaction", "integrity.transaction_unproved")
"""They name no single file, or not all of them."""
_BACK = ("agent.started", "bans.table_lost")


def rules(settings: AgentSettings) -> tuple[Rule, ...]:
    """Return the configured rules and, behind them, those that always hold."""
    bans = [Rule(when=kind, do="reblock", dry_run=False, at_most=_OFTEN) for kind in _BACK]
    # Without any list, too: what the last one of them left in the kernel has to go.
    often = _BACK if section(settings, "actions", "blocklist").lists else _BACK[:1]
    bans += _traffic(settings)
    kinds = (*often, "agent.config_loaded")
    lists = [Rule(when=kind, do="blocklist", dry_run=False, at_most=_OFTEN) for kind in kinds]
    return (*settings.rules, *bans, *lists, *_antivirus(settings), *_history(settings))


def _antivirus(settings: AgentSettings) -> Iterator[Rule]:
    """Signatures that are stale are updated, and what is found is moved away, as far as the settings allow either."""
    wanted: Any = getattr(settings, "antivirus", None)
    if wanted is None or not wanted.enabled:
        return
    if wanted.update.enabled:
        for kind in ("antivirus.signatures_stale", "antivirus.daemon_behind"):
            yield Rule(when=kind, do="update_signatures", dry_run=False, at_most=Rate(times=4, per=21600.0))
    if wanted.quarantine.enabled:
        yield Rule(when="antivirus.malware_found", do="quarantine", dry_run=False, at_most=Rate(times=100, per=3600.0))


def _history(settings: AgentSettings) -> Iterator[Rule]:
    """A version of a watched file is kept when it changed, and of all of them at the start: the first of each is what was there before."""
    wanted: Any = getattr(settings, "history", None)
    if wanted is None or not wanted.enabled:
        return
    for kind, why in (("agent.started", "the agent began"), ("agent.config_loaded", "settings were loaded")):
        yield Rule(when=kind, do="history_keep", arguments={"why": why}, dry_run=False, at_most=_OFTEN)
    watch = section(settings, "collectors", "integrity")
    if not watch.enabled:
        return
    elsewhere = [path for path in wanted.paths if not f"{path}/".startswith(tuple(f"{top}/" for top in _CONFIGURATION))]
    names = {*watch.profiles, *watch.watch} - (set() if elsewhere else {"binaries", "web"})
    often = Rate(times=600, per=3600.0)
    answers: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
        (_VERSIONED, {"path": "{path}"}),
        ((change.RENAMED,), {"paths": ("{path}", "{former}")}),
    )
    for words, arguments in answers:
        yield Rule(
            when="integrity.*",
            match={"profile": tuple(sorted(names)), "words": words},
            do="history_keep",
            arguments=arguments,
            dry_run=False,
            at_most=often,
        )
    for kind in _ALL_AGAIN:
        yield Rule(when=kind, do="history_keep", dry_run=False, at_most=Rate(times=20, per=3600.0))


def _traffic(settings: AgentSettings) -> list[Rule]:
    """Return the rule that bans whom the sensor or Suricata names for it, where the settings want that."""
    collectors = getattr(settings, "collectors", None)
    sections = [getattr(collectors, name, None) for name in ("traffic", "suricata_eve")]
    if not any(one.enabled and one.block for one in sections if one is not None):
        return []
    return [
        Rule(
            when="traffic.*",
            match={"blocking": True},
            do="block",
            arguments={"address": "{offender}", "reason": "{reason}", "handshake": "{proven}"},
            dry_run=False,
            at_most=_OFTEN,
        )
    ]


def options(settings: AgentSettings, name: str, configured: Any, enrolled: str = "") -> Any:
    """Return the options of the action `name` with what the rest of the settings says filled in: whom never to block, where ClamAV is.

    `enrolled` is the address of the console that this agent is enrolled at, which the settings need not name.
    """
    if name in ANTIVIRUS:
        known = section(settings, "collectors", "antivirus").clamav
        return replace(configured, clamav=known) if configured.clamav == type(known)() else configured
    if name not in ("block", "blocklist"):
        return configured
    reasons = {host: f"it is the backup target of {job}" for job, host, _ in backup_targets(settings)}
    for url in (settings.console.url, enrolled):
        if console := urlsplit(url).hostname:
            reasons[console] = "it is the console"
    always = {**section(settings, "actions", "block").never, **addresses(reasons)}
    return replace(configured, never={**configured.never, **always})


def looking(settings: AgentSettings, name: str, configured: Any) -> Any:
    """Return the options of the collector `name`: that of holdings looks for files by which backup jobs leave directories out."""
    backup = getattr(settings, "backup", None)
    if name != "holdings" or backup is None:
        return configured
    tags = (tag for job in backup.jobs.values() for tag in job.exclude_if_present)
    return replace(configured, tags=tuple(dict.fromkeys((*configured.tags, *tags))))


def backup_targets(settings: AgentSettings) -> Iterator[tuple[str, str, int]]:
    """Yield the job, the host and the port of every place elsewhere that backups go to."""
    backup = getattr(settings, "backup", None)
    for name, job in backup.jobs.items() if backup is not None else ():
        for place in (job.repository, *(replica.target for replica in job.replicas)):
            if place.startswith("sftp://"):
                parts = urlsplit(place)
                if parts.hostname:
                    yield name, parts.hostname, parts.port or SSH_PORT
            elif place.startswith("sftp:"):  # restic's other form, sftp:USER@HOST:PATH
                yield name, place.partition("@")[2].partition(":")[0], SSH_PORT


def addresses(reasons: Mapping[str, str]) -> dict[str, str]:
    """Return the addresses of hosts, each with the reason of its host; of those whose names do not resolve in time, none.

    The lookup itself cannot be bounded, so that one which takes too long is left alone.
    """
    found: dict[str, str] = {}
    lookups = [
        threading.Thread(target=_resolve, args=(host, reason, found), daemon=True) for host, reason in reasons.items()
    ]
    for each in lookups:
        each.start()
    end = time.monotonic() + RESOLVE_S
    for each in lookups:
        each.join(max(0.0, end - time.monotonic()))
    return dict(found)


def _resolve(host: str, reason: str, found: dict[str, str]) -> None:
    try:
        found[str(ipaddress.ip_address(host))] = reason
        return
    except ValueError:
        pass  # a name
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return  # not resolvable now: the interlocks also know whom the agent is connected with
    found.update(dict.fromkeys((str(answer[4][0]) for answer in answers), f"{reason} ({host})"))
