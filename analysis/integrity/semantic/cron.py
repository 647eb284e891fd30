"""crontabs, system-wide and of users: jobs that came or went, and variables that change what runs (crontab(5))."""

import re
from collections.abc import Iterator

from analysis.integrity.semantic.sentence import Sentence, arrow, differing, shown
from contracts.event import Severity

_VARIABLE = re.compile(r'\s*["\']?([A-Za-z_][A-Za-z0-9_]*)["\']?\s*=\s*(.*)')
_FETCHES = re.compile(
    r"\b(curl|wget|nc|ncat|socat|base64|python[0-9.]*\s+-c|perl\s+-e|bash\s+-i)\b|/dev/(tcp|udp)/|/(tmp|dev/shm|var/tmp)/"
)
_GRAVE_VARIABLES = frozenset({"PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "SHELL", "BASH_ENV", "ENV", "PYTHONPATH"})


def system(old: str, new: str) -> list[Sentence]:
    """Explain /etc/crontab and /etc/cron.d, whose lines name a user."""
    return _explained(old, new, with_user=True)


def user(old: str, new: str) -> list[Sentence]:
    """Explain a user's crontab."""
    return _explained(old, new, with_user=False)


def anacron(old: str, new: str) -> list[Sentence]:
    """Explain /etc/anacrontab, whose lines say every how many days, after how many minutes, and under which name (anacrontab(5))."""
    return _explained("\n".join(_as_jobs(old)), "\n".join(_as_jobs(new)), with_user=False)


def _as_jobs(text: str) -> Iterator[str]:
    """Yield anacron's lines as those of a crontab with one word for the time."""
    for line in text.splitlines():
        words = line.split(None, 3)
        if len(words) == 4 and re.fullmatch(r"\d+|@\w+", words[0]) and words[1].isdigit():
            yield f"@every-{words[0].lstrip('@')}-days {words[3]}" if words[0].isdigit() else f"{words[0]} {words[3]}"
        else:
            yield line


def _explained(old: str, new: str, with_user: bool) -> list[Sentence]:
    before, after = parse(old, with_user), parse(new, with_user)
    found = []
    for key, was, now in differing(before, after):
        kind, _, name = key.partition(" ")
        if kind == "variable":
            grave = name in _GRAVE_VARIABLES
            found.append(
                Sentence(
                    text=arrow(f"cron's {shown(name)}", was, now),
                    attack=("T1053.003", "T1574") if grave else ("T1053.003",),
                    severity=Severity.MEDIUM if grave else Severity.LOW,
                )
            )
        elif now is not None and was is None:
            severity = Severity.HIGH if _FETCHES.search(name) else Severity.MEDIUM
            found.append(Sentence(text=f"cron now runs {now}: {shown(name)}", attack=("T1053.003",), severity=severity))
        elif now is None:
            found.append(Sentence(text=f"cron no longer runs {was}: {shown(name)}", severity=Severity.LOW))
        else:
            found.append(
                Sentence(
                    text=f"cron runs {was} -> {now}: {shown(name)}", attack=("T1053.003",), severity=Severity.MEDIUM
                )
            )
    return found


def parse(text: str, with_user: bool) -> dict[str, str]:
    """Return when (and as whom) by `job COMMAND`, and values by `variable NAME`; several times of one command are joined."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        plain = line.strip()
        if not plain or plain.startswith("#"):
            continue
        variable = _VARIABLE.fullmatch(plain)
        if variable is not None:
            found[f"variable {variable[1]}"] = variable[2].strip().strip("\"'")
            continue
        count = 1 if plain.startswith("@") else 5
        words = plain.split(None, count + with_user)
        if len(words) <= count + with_user:
            found[f"job {plain}"] = "at no time that is understood"
            continue
        when = " ".join(words[:count])
        who = f" as {shown(words[count])}" if with_user else ""
        key = f"job {words[-1]}"
        said = f"at {shown(when)}{who}"
        found[key] = f"{found[key]}, {said}" if key in found else said
    return found
