"""The kinds of event that bans lead to."""

from contracts.event import Kind, Severity

BLOCKED = Kind(
    name="block.address_blocked",
    meaning="A source was banned, and the kernel holds the ban.",
    title="Blocked {network} in {milliseconds:.1f} ms: {reason}",
    severity=Severity.LOW,
    fields={
        "network": "str",
        "who": "str",
        "reason": "str",
        "cause": "str",
        "until": "str",
        "milliseconds": "float",
        "read_back": "bool",
        "flows_cut": "int",
        "sockets_closed": "int",
        "packets_dropped": "int",
        "packets_leaked": "int",
        "watched_s": "float",
        "not_checked": "list",
    },
    advice="See `holdfast bans`; `holdfast unban` lifts it.",
)
INEFFECTIVE = Kind(
    name="block.found_ineffective",
    meaning="Packets of a banned source still get through.",
    title="The ban of {network} does not hold: {detail}",
    severity=Severity.HIGH,
    fields={"network": "str", "detail": "str", "causes": "list", "packets_leaked": "int", "cause": "str"},
    attack=("T1562.004",),
    advice="Remove what the causes name; `nft delete table inet holdfast_block` has the agent load its own table anew at once.",
)
LIFTED = Kind(
    name="block.lifted",
    meaning="A ban was lifted before its time.",
    title="Unbanned {network} (by {who})",
    severity=Severity.INFORMATIONAL,
    fields={"network": "str", "who": "str", "reason": "str", "cause": "str", "until": "str", "lifted": "list"},
)
REFUSED = Kind(
    name="block.refused",
    meaning="A ban was asked for and not made, because it would have hit what this server needs or what somebody has allowed.",
    title="Did not block {network}: {detail}",
    severity=Severity.LOW,
    fields={"network": "str", "detail": "str", "who": "str", "cause": "str"},
    advice="If a rule keeps asking for it, look at the rule.",
)
SPOOFABLE = Kind(
    name="block.not_banned_spoofable",
    meaning="A source offended without a completed handshake, so anybody may have sent that in its name; it was limited, not banned.",
    title="Limited {network}, not banned, because its address may be forged: {reason}",
    severity=Severity.LOW,
    fields={"network": "str", "reason": "str", "cause": "str", "until": "str"},
    advice="A rule whose event proves a connection passes `handshake: true`.",
)
WOULD_BLOCK = Kind(
    name="block.would_block",
    meaning="A rule asked for a ban during the shadow time, in which bans are only recorded.",
    title="Would have blocked {network} for {seconds:.0f} s: {detail}",
    severity=Severity.INFORMATIONAL,
    fields={"network": "str", "detail": "str", "reason": "str", "seconds": "float", "cause": "str", "until": "str"},
    advice="When these are right, set actions.block.shadow to 0s, or wait until the time is over.",
)
CAPPED = Kind(
    name="block.capped",
    meaning="Rules asked for more bans within a minute than are allowed; the rest was not made.",
    title="More than {max_per_minute} bans within a minute: {network} and others were not blocked",
    severity=Severity.HIGH,
    fields={"network": "str", "max_per_minute": "int", "cause": "str"},
    advice="Look for a rule that runs away; raise actions.block.max_per_minute if the attack is real.",
)
ALLOWED = Kind(
    name="block.allowed",
    meaning="An address or network was put on the allowlist: it cannot be banned.",
    title="{network} is allowed: {reason} (owner {owner}, by {who})",
    severity=Severity.INFORMATIONAL,
    fields={"network": "str", "owner": "str", "reason": "str", "who": "str", "until": "str"},
)
DISALLOWED = Kind(
    name="block.disallowed",
    meaning="An address or network was taken off the allowlist.",
    title="{network} is no longer allowed (by {who})",
    severity=Severity.INFORMATIONAL,
    fields={"network": "str", "who": "str"},
)
LIST_LOADED = Kind(
    name="block.list_loaded",
    meaning="Blocklists were loaded into the kernel.",
    title="Blocklists hold {networks} networks: {added} added, {removed} removed",
    severity=Severity.INFORMATIONAL,
    fields={
        "networks": "int",
        "added": "int",
        "removed": "int",
        "lists": "list",
        "skipped": "list",
        "milliseconds": "float",
    },
)
LIST_REFUSED = Kind(
    name="block.list_refused",
    meaning="A blocklist cannot be used; what was loaded of it before stays in force.",
    title="Blocklist {name} was refused: {detail}",
    severity=Severity.MEDIUM,
    fields={"name": "str", "file": "str", "detail": "str"},
    advice="Look at the named line; `holdfast ban --list` loads the lists again.",
)
RESTORED = Kind(
    name="block.restored",
    meaning="Our table was gone or damaged and was loaded again from the saved state.",
    title="Bans were loaded again: {bans} of them ({detail})",
    severity=Severity.LOW,
    fields={"bans": "int", "allowed": "int", "detail": "str"},
    advice="Look which tool flushed the firewall: `holdfast events --kind 'firewall.*'`.",
)
