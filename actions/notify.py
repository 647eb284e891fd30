"""Tells people: sends one message to a channel of the configuration, or to all, and proves that the channel took it.

The channels are Apprise URLs (https://appriseit.com/services/), which hold passwords; so the configuration only names where each is kept.
Nothing that comes back from a channel is repeated word for word, because it may quote the URL.
"""

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from contracts.action import Command, Progress, Result
from contracts.errors import Unavailable, UsageError, Why
from contracts.event import Event, Kind, Severity
from contracts.host import Host
from contracts.options import ActionOptions, Duration, Secret
from contracts.outcome import Failed, Ok
from contracts.proof import Proof, Verb
from contracts.record import Record

UNDELIVERED = Kind(
    name="notify.undelivered",
    meaning="A message to people did not reach one of its channels.",
    title="Channel {channel} did not take the message: {detail}",
    severity=Severity.HIGH,
    fields={"channel": "str", "detail": "str"},
    advice="Check the channel's URL and that its service can be reached from this server.",
    ocsf_class=6008,
)

PROOF_VALID_S = 7 * 86400
MAX_TITLE, MAX_TEXT = 250, 8 << 10
_CODE = re.compile(r"(?:error=|status(?: code)?[ =:]+|\()(\d{3})\b")


class Channel(Record):
    """Where a message goes."""

    url: Annotated[
        Secret,
        Meta(
            description="Where the channel's Apprise URL is kept.",
            examples=["file:/etc/holdfast/admins.url", "credential:admins"],
        ),
    ]
    timeout: Annotated[
        Duration, Meta(description="How long the service may take to accept a message.", ge=1.0, le=120.0)
    ] = 15.0


class Options(ActionOptions):
    """Settings of the notify action."""

    channels: Annotated[
        dict[str, Channel],
        Meta(description="Channels by name.", examples=[{"admins": {"url": "file:/etc/holdfast/admins.url"}}]),
    ] = {}


class Notify:
    """Sends a message."""

    name: ClassVar[str] = "notify"
    kinds: ClassVar[tuple[Kind, ...]] = (UNDELIVERED,)
    options: ClassVar[type[Options]] = Options
    arguments: ClassVar[Mapping[str, str]] = {"channel": "str", "title": "str", "text": "str"}
    """`channel` is a name, or "" for all. The core fills `title` with the event's own line where a rule gives none."""

    def __init__(self, options: Options) -> None:
        self._channels = options.channels

    def do(self, host: Host, command: Command, progress: Progress) -> Result:
        """Send; ok only when every channel took it."""
        names = self._chosen(str(command.arguments.get("channel", "")))
        title, text = _words(command)
        if command.dry_run:
            for name in names:
                _url(host, name, self._channels[name].url)  # a dry run finds a channel that could not be used
            return Result(summary=f'would tell {", ".join(names)}: "{title}"')
        troubles: dict[str, str] = {}
        for number, name in enumerate(names):
            progress(number, len(names), "channels", name)
            detail = self._tell(host, name, title, text, command)
            if detail:
                troubles[name] = detail
        return _result(host, names, troubles)

    def _chosen(self, name: str) -> list[str]:
        if not self._channels:
            raise UsageError("no channel is configured", advice="add one under actions.notify.channels")
        if name and name not in self._channels:
            known = ", ".join(sorted(self._channels))
            raise UsageError(f'there is no channel "{name}"', advice=f"name one of {known}, or none for all")
        return [name] if name else sorted(self._channels)

    def _tell(self, host: Host, name: str, title: str, text: str, command: Command) -> str:
        """Send to one channel and return what went wrong, or nothing."""
        channel = self._channels[name]
        try:
            url = _url(host, name, channel.url)
        except Unavailable as error:
            return error.message
        return _send(url, title, text, channel.timeout, _urgency(command.event))


def prepare() -> None:
    """Import all that sending takes, while this program's files can still be read."""
    from apprise import manager_plugins

    services: Any = manager_plugins
    services.NotificationManager().load_modules()


def _words(command: Command) -> tuple[str, str]:
    """Return the title and the text of the message."""
    event, arguments = command.event, command.arguments
    title = str(arguments.get("title") or (f"{event.kind}: {event.key}" if event else "Message from Holdfast"))
    text = str(arguments.get("text") or "")
    if not text and event is not None:
        lines = [f"{name}: {value}" for name, value in {"kind": event.kind, **event.fields}.items()]
        text = "\n".join([f"severity: {event.severity.name.lower()}", *lines])
    # One line, so that a hostile name cannot begin a second header or message.
    return " ".join(title.split())[:MAX_TITLE], (text or title)[:MAX_TEXT]


def _url(host: Host, name: str, reference: str) -> str:
    scheme, _, rest = reference.partition(":")
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    if scheme == "credential" and not folder:
        advice = f"Add LoadCredential={rest}:/path to holdfast-messenger.service, or write file:/path."
        raise Unavailable(Why.NOT_PRESENT, f"channel {name}: systemd passed no credential {rest}", advice=advice)
    path = rest if scheme == "file" else f"{folder}/{rest}"
    url = host.files.read(path, 64 << 10).decode("utf-8", "replace").strip()
    if "://" not in url or "\n" in url:
        raise Unavailable(Why.MALFORMED, f"channel {name}: {reference} does not hold one Apprise URL")
    return url


def _send(url: str, title: str, text: str, timeout_s: float, urgency: str) -> str:
    """Send by Apprise and return what went wrong, or nothing."""
    import apprise

    asset = apprise.AppriseAsset(app_id="Holdfast", app_desc="Holdfast", app_url="", secure_logging=True)
    service: Any = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    scheme = url.partition("://")[0]
    if service is None:
        return f"{scheme}:// is not a service that Apprise knows, or the URL is not whole"
    service.socket_connect_timeout = service.socket_read_timeout = timeout_s
    with _overheard() as said:
        taken = service.notify(body=text, title=title, notify_type=urgency)
    if taken:
        return ""
    codes = [match[1] for line in said for match in [_CODE.search(line)] if match]
    return f"the {scheme} service did not take it" + (f" (answer {codes[-1]})" if codes else " or cannot be reached")


@contextmanager
def _overheard() -> Iterator[list[str]]:
    """Collect what Apprise logs meanwhile, so that it goes nowhere else."""
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    logger, ear = logging.getLogger("apprise"), Ear(logging.WARNING)
    logger.addHandler(ear)
    former, logger.propagate = logger.propagate, False
    try:
        yield said
    finally:
        logger.propagate = former
        logger.removeHandler(ear)


def _urgency(event: Event | None) -> str:
    if event is None or event.severity <= Severity.LOW:
        return "info"
    return "failure" if event.severity >= Severity.HIGH else "warning"


def _result(host: Host, names: list[str], troubles: dict[str, str]) -> Result:
    taken = [name for name in names if name not in troubles]
    events = tuple(UNDELIVERED.event(name, channel=name, detail=detail) for name, detail in troubles.items())
    proof = None
    if taken:
        proof = Proof(
            subject=f"notify/{taken[0]}" if len(names) == 1 else "notify",
            verb=Verb.REACHED,
            at_ms=round(host.now().timestamp() * 1000),
            valid_s=PROOF_VALID_S,
            numbers={"channels": float(len(taken)), "of": float(len(names))},
            detail=", ".join(taken),
        )
    if troubles:
        detail = "; ".join(f"{name}: {trouble}" for name, trouble in troubles.items())
        return Result(outcome=Failed(error=detail), summary=detail, events=events, proof=proof)
    return Result(outcome=Ok(), summary=f"told {', '.join(taken)}", proof=proof)
