"""What of rules files loads and what does not, and why: all that can be known without traffic."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from collectors.traffic.protocols import magic
from collectors.traffic.protocols.events import APPLAYER, EVENTS
from collectors.traffic.protocols.names import FILLED
from collectors.traffic.rules.engine.plan import Compiled
from collectors.traffic.rules.engine.sets import HeaderSets
from collectors.traffic.rules.engine.tests import Unsupported
from collectors.traffic.rules.engine.view import BUFFERS
from collectors.traffic.rules.language.classification import Classes
from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.rule import Dataset, EventTest, Rule
from collectors.traffic.rules.language.ruleset import Loader, Refusal, Ruleset
from collectors.traffic.rules.language.variables import Variables
from collectors.traffic.rules.lists import Lists, Reader, beside, lookups, unfilled
from collectors.traffic.rules.matching.matcher import Matcher
from collectors.traffic.rules.reputation import Reputation
from collectors.traffic.streams.events import NAMES as STREAM_EVENTS

SUFFIX = ".rules"
LARGEST = 256 << 20
_OF_PACKETS = frozenset({"payload", *BUFFERS})
"""Buffers that are parts of packets."""


def check(
    paths: Iterable[Path],
    variables: Variables | None = None,
    classification: Path | None = None,
    categories: Path | None = None,
    reputation: Iterable[Path] = (),
) -> Ruleset:
    """Return the rules of files and folders (their `*.rules`), with those refused whose tests cannot be compiled.

    Raises `OSError` for a path that cannot be read, and `ValueError` for one that is no rules file.
    """
    classes = Classes(classification.read_text("utf-8", "replace")) if classification is not None else None
    loader = Loader(variables, classes)
    for path in files(paths):
        loader.read(_content(path), str(path))
    if classes is not None and classification is not None:
        loader.ruleset.notes += [f"{classification}:{line}: not a classification" for line in classes.bad_lines]
    scores = Reputation()
    if categories is not None:
        scores.categories(_content(categories), str(categories))
    for path in reputation:
        try:
            scores.scores(_content(path), str(path))
        except ValueError as error:
            raise ValueError(str(error) if str(error).startswith(str(path)) else f"{path}: {error}") from None
    loader.ruleset.notes += scores.notes
    return compiled(loader.ruleset, reputation=scores)


def files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files: a folder stands for the rules files directly in it."""
    for path in paths:
        if path.is_dir():
            found = sorted(one for one in path.iterdir() if one.suffix == SUFFIX)
            if not found:
                raise ValueError(f"{path}: no file ends with {SUFFIX} in this folder")
            yield from found
        else:
            yield path


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"{path}: larger than {LARGEST >> 20} MiB; a rules file is text of a few megabytes")
    if b"\0" in content[:4096]:
        raise ValueError(f"{path}: not a rules file (it is not text)")
    return content


def compiled(ruleset: Ruleset, read: Reader = beside, reputation: Reputation | None = None) -> Ruleset:
    """Move the rules that cannot be compiled to the refused ones: a bad expression, a list that cannot be had (`read` gets them),
    a category that `reputation` does not name, what the engine does not evaluate.
    """
    kept: list[Rule] = []
    sets, lists, scores = HeaderSets(), Lists(read), reputation or Reputation()
    for rule in ruleset.rules:
        try:
            for test in rule.tests:
                if type(test) is EventTest:
                    _known(test)
            _filled(rule)
            if any(test.buffer == "file.magic" for test in rule.buffers) and not magic.load_library():
                raise Refused("file.magic: libmagic is not here; install libmagic1")
            lists.resolve(rule)
            scores.resolve(rule)
            Compiled(rule, sets, lambda test, whole: Matcher(test, whole.base64))
        except (Refused, Unsupported) as refused:
            ruleset.refused.append(Refusal(rule.file, rule.line, rule.sid, str(refused)))
        else:
            kept.append(rule)
    ruleset.rules = kept
    _unfilled(ruleset, lists)
    return ruleset


def _unfilled(ruleset: Ruleset, lists: Lists) -> None:
    """Refuse rules that ask a set which is kept between runs, whose file is not there, and which no rule here fills: it is always empty."""
    empty = unfilled(ruleset.rules, lists.found)
    kept: list[Rule] = []
    for rule in ruleset.rules:
        asked = next((match for match in lookups(rule) if match.name in empty and isinstance(match, Dataset)), None)
        if asked is None:
            kept.append(rule)
            continue
        reason = f"dataset: {asked.name} is kept in {empty[asked.name]}, which is not there, and no rule fills it"
        ruleset.refused.append(Refusal(rule.file, rule.line, rule.sid, reason))
    ruleset.rules = kept


def _filled(rule: Rule) -> None:
    """Refuse a rule on a buffer that nothing here fills: it would never speak, or (`absent`) without having looked."""
    names = dict.fromkeys(test.buffer for test in rule.buffers)
    empty = [name for name in names if name not in FILLED and name not in _OF_PACKETS]
    if empty:
        raise Refused(f"nothing here fills {'this buffer' if len(empty) == 1 else 'these buffers'}: {', '.join(empty)}")


def _known(event: EventTest) -> None:
    """Refuse an event that nothing here ever sets: a rule for it would never speak, and nobody would know why."""
    if event.layer == "stream":
        known = event.name in STREAM_EVENTS
    elif event.layer == "app-layer":
        protocol, _, name = event.name.partition(".")
        known = event.name in APPLAYER or name in EVENTS.get({"http1": "http"}.get(protocol, protocol), ())
    else:
        return
    if not known:
        raise Refused(f"{event.layer}-event:{event.name} is set by nothing here")
