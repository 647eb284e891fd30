"""Which format a path is of, and what its change means: sentences where the format is known, else the lines that differ, bounded."""

import difflib
import re

from analysis.integrity.semantic import (
    accounts,
    apache,
    authorized_keys,
    cron,
    nftables,
    nginx,
    pam,
    preload,
    sshd,
    sudoers,
    units,
)
from analysis.integrity.semantic.sentence import Explain, Sentence
from contracts.record import Record

MOST_SENTENCES = 50
MOST_BYTES = 256 << 10
MOST_LINES = 4000
SHOWN_LINES = 60
SHOWN_LETTERS = 4096

FORMATS: tuple[tuple[re.Pattern[bytes], str, Explain], ...] = tuple(
    (re.compile(pattern), name, explain)
    for pattern, name, explain in (
        (rb"/etc/ssh/sshd_config(\.d/[^/]+\.conf)?", "sshd_config", sshd.explain),
        (rb"(/usr)?/etc/sudoers(\.d/[^/]+)?", "sudoers", sudoers.explain),
        (rb"/etc/passwd", "passwd", accounts.passwd),
        (rb"/etc/shadow", "shadow", accounts.shadow),
        (rb"/etc/g(roup|shadow)", "group", accounts.group),
        (rb"/etc/(crontab|cron\.d/[^/]+)", "crontab", cron.system),
        (rb"/etc/anacrontab", "crontab", cron.anacron),
        (rb"/var/spool/cron/(crontabs/)?[^/]+", "crontab", cron.user),
        (
            rb"(/etc(/xdg)?|(/usr)?/lib|/usr/local/lib|/usr(/local)?/share|/run|.*/\.config|.*/\.local/share)"
            rb"/systemd/(system|user)(\.control)?/(.*\.d/)?[^/]+"
            rb"\.(service|timer|socket|path|mount|automount|target|slice|swap|conf)",
            "unit",
            units.explain,
        ),
        (rb"/etc/pam\.(d/[^/]+|conf)", "pam", pam.explain),
        (rb"/etc/nginx/(?!.*\.(key|pem|crt)$).+", "nginx", nginx.explain),
        (rb"/etc/(apache2|httpd)/.+\.(conf|load)|/(.*/)?\.htaccess", "apache", apache.explain),
        (rb"/etc/nftables(\.conf|\.d/.+|/.+\.nft)", "nftables", nftables.explain),
        (
            rb".*/\.ssh/authorized_keys2?|/etc/ssh/authorized_keys(\.d)?/[^/]+",
            "authorized_keys",
            authorized_keys.explain,
        ),
        (rb"/etc/ld\.so\.preload", "ld.so.preload", preload.preload),
        (rb"/etc/ld\.so\.conf(\.d/[^/]+)?", "ld.so.conf", preload.folders),
    )
)
"""Path, the format's name, and what explains it; the first that fits."""

SECRET = frozenset({"shadow", "group"})
"""Formats whose sentences never hold the secret, so that they are told under `no_diff`, too."""


class Explanation(Record):
    """What a change means: `format` is "" for an unknown one; `diff` the lines that differ where there are no sentences for them."""

    format: str = ""
    sentences: tuple[Sentence, ...] = ()
    more: int = 0
    """How many sentences were left out."""
    diff: str = ""


def format_of(path: bytes) -> tuple[str, Explain] | None:
    """Return the format that a path is of, and what explains it; None for an unknown one."""
    return next(((name, explain) for pattern, name, explain in FORMATS if pattern.fullmatch(path)), None)


def explain(path: bytes, old: bytes | None, new: bytes | None, no_diff: bool = False) -> Explanation:
    """Return what a change from `old` to `new` means; None for a file that was not or is not there.

    Under `no_diff` no line is shown, and sentences only of formats that never hold a secret. Files over `MOST_BYTES`, and such as are no
    text, are not read.
    """
    texts = [_text(content) for content in (old, new)]
    known = format_of(path)
    name = known[0] if known is not None else ""
    if texts[0] is None or texts[1] is None:
        return Explanation(format=name)
    if known is not None and (not no_diff or name in SECRET):
        sentences = known[1](texts[0], texts[1])
        if sentences:
            return Explanation(
                format=name,
                sentences=tuple(sentences[:MOST_SENTENCES]),
                more=max(0, len(sentences) - MOST_SENTENCES),
            )
        return Explanation(format=name, diff="" if no_diff or name in SECRET else text_diff(texts[0], texts[1]))
    return Explanation(format=name, diff="" if no_diff else text_diff(texts[0], texts[1]))


def text_diff(old: str, new: str) -> str:
    """Return the lines that differ, as `diff -U0` shows them, cut to `SHOWN_LINES` and `SHOWN_LETTERS`, and says what was left out."""
    before, after = old.splitlines(), new.splitlines()
    if len(before) > MOST_LINES or len(after) > MOST_LINES:
        return f"{len(before)} lines -> {len(after)} lines"
    lines = [
        line
        for line in difflib.unified_diff(before, after, n=0, lineterm="")
        if not line.startswith(("---", "+++", "@@"))
    ]
    held, letters = [], 0
    for line in lines[:SHOWN_LINES]:
        letters += len(line) + 1
        if letters > SHOWN_LETTERS:
            break
        held.append(line)
    if len(held) < len(lines):
        held.append(f"… and {len(lines) - len(held)} lines more")
    return "\n".join(held)


def _text(content: bytes | None) -> str | None:
    """Return the content as text, "" for none; None for what is too large or no text."""
    if content is None:
        return ""
    if len(content) > MOST_BYTES or b"\0" in content:
        return None
    return content.decode("utf-8", "backslashreplace")
