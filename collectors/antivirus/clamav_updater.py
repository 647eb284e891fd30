"""freshclam: whether it runs or is scheduled, what it complained of last, and until when the servers asked it to wait."""

from analysis.antivirus import clamav_conf, freshclam
from contracts.errors import Malformed, Unavailable, Why
from contracts.host import ReadOnlyHost
from contracts.subjects.antivirus import Updater

_TIMER = "clamav-freshclam-once.timer"
_CRONS = ("/etc/cron.d/clamav-freshclam", "/etc/cron.hourly/freshclam", "/etc/cron.d/clamav-update")
_LOG_BYTES = 64 << 10


def updater(host: ReadOnlyHost, conf: clamav_conf.Conf | None, folder: str) -> Updater:
    """Return how freshclam does. What could not be looked at is in `detail`, and the state then `unknown` rather than `stopped`."""
    if not host.commands.present("freshclam"):
        return Updater(state="missing")
    state, details = _state(host), []
    if state == "unknown":
        details.append("processes cannot be seen")
    trouble, waked_ms = "", 0
    log = (conf or clamav_conf.parse("")).text("UpdateLogFile")
    if log:
        try:
            waked_ms = host.files.stat(log).mtime_ns // 1_000_000
            trouble = freshclam.trouble(host.files.end(log, _LOG_BYTES)[1].decode("utf-8", "replace"))
        except Unavailable as error:
            if error.why is not Why.NOT_PRESENT:
                details.append(error.message)
    retry_ms = 0
    try:
        retry_ms = freshclam.retry_after_ms(host.files.head(f"{folder}/freshclam.dat", 4096))
    except Unavailable as error:
        if error.why is not Why.NOT_PRESENT:
            details.append(error.message)
    except Malformed as error:
        details.append(error.message)
    return Updater(state=state, detail="; ".join(details), trouble=trouble, retry_after_ms=retry_ms, waked_ms=waked_ms)


def _state(host: ReadOnlyHost) -> str:
    try:
        running = any(_is_freshclam(host, pid) for pid in host.files.names("/proc") if pid.isdigit())
    except Unavailable:
        return "unknown"
    if running:
        return "running"
    try:
        if host.commands.ask("systemctl", "is-active", _TIMER, timeout_s=5.0).stdout.strip() == b"active":
            return "scheduled"
    except Unavailable:
        pass  # no systemd: cron may do it
    for path in _CRONS:
        try:
            host.files.stat(path)
        except Unavailable:
            continue
        return "scheduled"
    return "stopped"


def _is_freshclam(host: ReadOnlyHost, pid: bytes) -> bool:
    try:
        return host.files.head(f"/proc/{pid.decode()}/comm", 64).strip() == b"freshclam"
    except Unavailable:
        return False  # it has ended meanwhile
