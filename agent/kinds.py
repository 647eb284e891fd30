"""The core's own kinds: what it states about itself. Those of the spool, the state, the workers and the control socket are with these."""

from contracts.event import Kind, Severity

STARTED = Kind(
    name="agent.started",
    meaning="The agent started and has begun to look.",
    title="Agent {version} started",
    severity=Severity.INFORMATIONAL,
    fields={"version": "str", "user": "str", "boot_id": "str"},
    ocsf_class=6002,
)
STOPPED = Kind(
    name="agent.stopped",
    meaning="The agent was told to stop and ended in an orderly way; nothing is watched until it starts again.",
    title="Agent stopped by {signal}",
    severity=Severity.LOW,
    fields={"signal": "str"},
    attack=("T1562.001",),
    advice="Start it again unless this was meant.",
    ocsf_class=6002,
)
COLLECTOR_UNAVAILABLE = Kind(
    name="agent.collector_unavailable",
    meaning="A subject cannot be looked at any more; what the console shows of it is old.",
    title="{subject} cannot be seen: {detail}",
    severity=Severity.MEDIUM,
    fields={"subject": "str", "why": "str", "detail": "str", "fix": "str"},
    attack=("T1562.001",),
    advice="Do what `fix` says; `holdfast diagnose` checks every precondition.",
    ocsf_class=6008,
)
COLLECTOR_FAILED = Kind(
    name="agent.collector_failed",
    meaning="A collector or judge broke, which is a defect; its subject is not seen meanwhile.",
    title="{subject} broke: {detail}",
    severity=Severity.MEDIUM,
    fields={"subject": "str", "detail": "str"},
    advice="Report it with the output of `holdfast support-bundle`.",
    ocsf_class=6008,
)
COLLECTOR_RECOVERED = Kind(
    name="agent.collector_recovered",
    meaning="A subject that could not be seen is seen again.",
    title="{subject} is seen again",
    severity=Severity.INFORMATIONAL,
    fields={"subject": "str"},
    ocsf_class=6008,
)
WATCH_GAP = Kind(
    name="agent.watch_gap",
    meaning="A watcher may have missed something for a while; the subject is looked at in full where that is possible.",
    title="{subject} was not watched for about {seconds:.0f} s: {detail}",
    severity=Severity.LOW,
    fields={"subject": "str", "detail": "str", "seconds": "float"},
    ocsf_class=6008,
)
CLOCK_STEPPED = Kind(
    name="agent.clock_stepped",
    meaning="The wall clock was set, or the machine slept; times before and after do not compare.",
    title="The clock stepped by {seconds:.1f} s",
    severity=Severity.LOW,
    fields={"seconds": "float"},
    attack=("T1070.006",),
    advice="Check time synchronisation if nobody set the clock.",
    ocsf_class=6008,
)
DISK_FULL = Kind(
    name="agent.disk_full",
    meaning="The agent's disk had no space; what was seen waited meanwhile and was stored once there was space again.",
    title="The state directory had no space for {seconds:.0f} s; {held} results waited",
    severity=Severity.HIGH,
    fields={"seconds": "float", "held": "int"},
    advice="Free space on the file system of the state directory.",
    ocsf_class=6008,
)
DISK_SHORT = Kind(
    name="agent.disk_short",
    meaning="The file system of the state directory is full or nearly so: soon what the agent sees waits in memory and cannot be told.",
    title="Holdfast is short of room on the disk: {detail}",
    severity=Severity.HIGH,
    fields={"detail": "str", "free": "int"},
    advice="Free space on the file system of the state directory; the agent goes on by itself then, nothing needs a restart.",
    ocsf_class=6008,
)
DISK_ROOM_AGAIN = Kind(
    name="agent.disk_room_again",
    meaning="The file system of the state directory has room again.",
    title="The disk of the state directory has room again",
    severity=Severity.INFORMATIONAL,
    fields={"free": "int"},
    ocsf_class=6008,
)
CONFIG_LOADED = Kind(
    name="agent.config_loaded",
    meaning="A changed configuration was loaded and is in force.",
    title="Configuration {digest} loaded",
    severity=Severity.INFORMATIONAL,
    fields={"digest": "str"},
    ocsf_class=5019,
)
CONFIG_CHANGED = Kind(
    name="agent.config_changed",
    meaning="The configuration on disk was changed and is not loaded; the former one stays in force.",
    title="Configuration changed on disk and not loaded: {file}",
    severity=Severity.LOW,
    fields={"file": "str"},
    attack=("T1562.001",),
    advice="Check it with `holdfast check-config` and reload; if nobody meant to change it, find out who did.",
    ocsf_class=5019,
)
CONFIG_REFUSED = Kind(
    name="agent.config_refused",
    meaning="A changed configuration is not valid; the former one stays in force.",
    title="Configuration refused: {detail}",
    severity=Severity.MEDIUM,
    fields={"detail": "str", "errors": "list"},
    advice="Mend the file where the error says, check it with `holdfast check-config` and reload.",
    ocsf_class=5019,
)
ACTION_WOULD_RUN = Kind(
    name="agent.action_would_run",
    meaning="A rule matched and would have run its action, but the rule is in dry run.",
    title="Rule {rule} would run {action}: {detail}",
    severity=Severity.INFORMATIONAL,
    fields={"rule": "str", "action": "str", "detail": "str", "cause": "str"},
    advice="Set `dry_run: false` on the rule once you trust it.",
    ocsf_class=6003,
)
ACTION_DONE = Kind(
    name="agent.action_done",
    meaning="An action ran and reports success.",
    title="{action} done: {detail}",
    severity=Severity.INFORMATIONAL,
    fields={"rule": "str", "action": "str", "detail": "str", "cause": "str", "who": "str"},
    ocsf_class=6003,
)
ACTION_FAILED = Kind(
    name="agent.action_failed",
    meaning="An action was asked for and did not succeed.",
    title="{action} failed: {detail}",
    severity=Severity.HIGH,
    fields={"rule": "str", "action": "str", "detail": "str", "cause": "str", "who": "str"},
    advice="See the detail; the condition that called for the action still stands.",
    ocsf_class=6003,
)
ACTION_HELD_BACK = Kind(
    name="agent.action_held_back",
    meaning="A rule matched more often than its limit allows; the action was not run.",
    title="Rule {rule} reached its limit; {action} was held back",
    severity=Severity.MEDIUM,
    fields={"rule": "str", "action": "str", "cause": "str"},
    advice="Raise `at_most` if this rate is expected; otherwise look for what makes the events.",
    ocsf_class=6003,
)

CORE = (
    STARTED,
    STOPPED,
    COLLECTOR_UNAVAILABLE,
    COLLECTOR_FAILED,
    COLLECTOR_RECOVERED,
    WATCH_GAP,
    CLOCK_STEPPED,
    DISK_FULL,
    DISK_SHORT,
    DISK_ROOM_AGAIN,
    CONFIG_LOADED,
    CONFIG_CHANGED,
    CONFIG_REFUSED,
    ACTION_WOULD_RUN,
    ACTION_DONE,
    ACTION_FAILED,
    ACTION_HELD_BACK,
)
