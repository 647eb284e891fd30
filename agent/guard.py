"""The rules that come with the guard of the firewall: what opens it is answered by restoring what was accepted."""

from agent.settings import GuardSettings, Rate, Rule

RESTORE = "guard_restore"
DORMANT = "flags dormant"
"""How nft lists the flags of a table that sleeps."""
OWN = "inet holdfast"
"""The table of the declared policy, which is kept to the letter."""
_TRIGGERS: tuple[tuple[str, dict[str, bool | int | float | str]], ...] = (
    ("firewall.ruleset_flushed", {}),
    ("firewall.policy_opened", {}),
    ("firewall.table_changed", {"change": "removed"}),
    ("firewall.table_changed", {"flags": DORMANT}),
    ("firewall.filtering_lost", {}),
    ("firewall.chain_emptied", {}),
    ("firewall.rule_removed", {"table": OWN}),
    ("firewall.rule_added", {"table": OWN}),
    ("firewall.ruleset_replaced", {}),
)
_ASKED = Rate(times=1000)
"""One flush is many events. How often it may really restore, the deed itself counts; this bounds how often it is asked."""


def rules(settings: GuardSettings) -> tuple[Rule, ...]:
    """Return the rules that `firewall.guard` stands for, none unless it is enabled."""
    if not settings.enabled:
        return ()
    limit: dict[str, bool | int | float | str | tuple[str, ...]] = {
        "times": settings.at_most.times,
        "per_s": float(settings.at_most.per),
    }
    return tuple(
        Rule(when=kind, match=dict(match), do=RESTORE, arguments=limit, dry_run=False, at_most=_ASKED)
        for kind, match in _TRIGGERS
    )
