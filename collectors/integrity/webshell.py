"""Watches web roots for web shells: each new or changed file is weighed, asked of the YARA rules, and told with what brought it."""

from collections.abc import Callable

from analysis.integrity.webshell import MOST_BYTES, Verdict, weigh
from collectors.integrity.kinds import WEBSHELL_FOUND, WEBSHELL_SUSPECTED
from collectors.integrity.yara_rules import YaraRules
from contracts.coverage import Blind
from contracts.event import Event, Kind
from contracts.file_change import CREATED, MODE, MODIFIED, RENAMED, Change
from contracts.text import escape

_TELLING = frozenset({CREATED, MODIFIED, RENAMED, MODE})


class WebShells:
    """Weighs changes below web roots. For one thread. `read` returns a file's present content up to a size, None when it cannot."""

    def __init__(self, read: Callable[[Change, int], bytes | None], rules_folder: str = "") -> None:
        self._read = read
        self._rules = YaraRules(rules_folder) if rules_folder else None
        self._unread: list[str] = []

    def look(self, change: Change) -> Event | None:
        """Return what is to be said of a change in a web root, None for nothing."""
        if change.after is None or change.after.mode & 0o170000 != 0o100000 or not _TELLING & set(change.kinds):
            return None
        content = self._read(change, MOST_BYTES)
        if content is None:
            self._unread.append(escape(change.path))
            return None
        verdict = weigh(escape(change.path), content, executable=bool(change.after.mode & 0o111))
        rules = self._rules.matching(content) if self._rules is not None else []
        if rules or verdict.strong:
            return _event(WEBSHELL_FOUND, change, verdict, rules)
        return _event(WEBSHELL_SUSPECTED, change, verdict, rules) if verdict.suspicious else None

    def blind(self) -> tuple[Blind, ...]:
        """Return what was not seen since this was last asked."""
        from contracts.errors import Why

        unread, self._unread = self._unread, []
        if self._rules is not None:
            self._rules.refresh()  # that rules cannot be asked is known before a first file comes
        spots = self._rules.blind if self._rules is not None else ()
        if not unread:
            return spots
        detail = f"{len(unread)} files could not be read or are longer than {MOST_BYTES} bytes, such as {unread[0]}"
        return (*spots, Blind(what="whether some files of web roots are web shells", why=Why.OTHER, detail=detail))


def _event(kind: Kind, change: Change, verdict: Verdict, rules: list[str]) -> Event:
    assert change.after is not None
    author = change.author
    return kind.event(
        escape(change.path),
        observed_ms=change.at_ms,
        language=verdict.language or None,
        reasons=list(verdict.reasons),
        yara=rules,
        weight=verdict.weight,
        words=list(change.kinds),
        sha256=change.after.content.hex() or None,
        uid=change.after.uid,
        process=author.process or None,
        user=author.user or None,
        login=author.login or None,
        found_by=change.found_by,
    )
