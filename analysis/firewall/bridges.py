"""Says whether a chain of the bridge family can do anything to a frame: front ends leave many there that are empty behind their jumps."""

from analysis.firewall.model import Chain, Statement, Table, Verdict

_PASSING = frozenset(("accept", "continue", "return"))


def may_stop(table: Table, chain: Chain) -> bool:
    """Return whether a frame that meets this base chain could be dropped, changed or sent elsewhere."""
    if chain.base is not None and chain.base.policy != "accept":
        return True
    seen = {chain.name}
    todo = [chain]
    while todo:
        current = todo.pop()
        if current.unread:
            return True
        for statement in (statement for rule in current.rules for statement in rule.statements):
            if not isinstance(statement, Verdict):
                if _decides(statement):
                    return True
            elif statement.kind in ("jump", "goto"):
                following = table.chains.get(statement.chain)
                if following is None:
                    return True
                if following.name not in seen:
                    seen.add(following.name)
                    todo.append(following)
            elif statement.kind not in _PASSING:
                return True
    return False


def _decides(statement: Statement) -> bool:
    """Return whether a statement is more than a condition."""
    return type(statement).__name__ not in ("Match", "AnyOf", "Not", "Maybe")
