"""Text of one rule -> `Rule`, or `Refused` with the reason."""

from collections.abc import Callable

from collectors.traffic.rules.language.checks import check
from collectors.traffic.rules.language.draft import Draft
from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.header import Headers
from collectors.traffic.rules.language.keyword import NEEDED, NONE, Keyword
from collectors.traffic.rules.language.keywords import KEYWORDS
from collectors.traffic.rules.language.options import split, unquote
from collectors.traffic.rules.language.protocols import APPLICATION
from collectors.traffic.rules.language.rule import Rule
from collectors.traffic.rules.language.variables import Variables


class Parser:
    """Reads rules for one set of variables."""

    __slots__ = ("_headers",)

    def __init__(self, variables: Variables | None = None) -> None:
        self._headers = Headers(variables or Variables())

    def rule(self, text: str) -> Rule:
        """Return the rule that one (joined) line says; raises `Refused`."""
        opening = text.find("(")
        if opening < 0 or not text.endswith(")"):
            raise Refused("the options do not stand between ( and )")
        header = self._headers.read(text[:opening].rstrip())
        rule = Rule(*header)
        rule.noalert = rule.action == "pass"  # unless it says `alert`
        if header.protocol in APPLICATION:
            rule.app_protocol = header.protocol
        draft = Draft(rule)
        for name, argument in split(text[opening + 1 : -1]):
            _apply(draft, name, argument)
        draft.finish()
        for name in draft.wanted - KEYWORDS.keys():
            raise Refused(f'requires: the keyword "{name}" is not known here')
        check(draft)
        return rule


def _apply(draft: Draft, name: str, argument: str | None) -> None:
    keyword = KEYWORDS.get(name) or KEYWORDS.get(name.lower())
    if keyword is None:
        raise Refused(f'"{name}" is not a keyword that is known here' if name else "an option has no keyword")
    if not argument:
        if keyword.argument == NEEDED:
            raise Refused(f"{name}: its argument is missing")
        keyword.apply(draft, "", False)
        return
    if keyword.argument == NONE:
        raise Refused(f"{name} has no argument")
    _with_argument(keyword.apply, draft, name, keyword, argument)


def _with_argument(
    apply: Callable[[Draft, str, bool], None], draft: Draft, name: str, keyword: Keyword, argument: str
) -> None:
    negated = False
    if keyword.negation and argument[0] == "!":
        negated = True
        argument = argument[1:].lstrip()
    if keyword.quotes:
        argument = unquote(name, argument, keyword.quotes == NEEDED)
    elif argument[0] == '"':
        raise Refused(f"{name}: its argument does not stand in quotes")
    apply(draft, argument, negated)
