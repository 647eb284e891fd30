"""The agent's part of the `holdfast` command: what there is, where it is, and one line of help each. Imports nothing."""

COMMANDS = {
    "run": ("agent.cli.run:run", "Run the agent in the foreground."),
    "worker": ("agent.cli.worker:worker", ""),
    "status": ("agent.cli.status:status", "Show how the running agent is."),
    "events": ("agent.cli.events:events", "Show or follow what happened."),
    "coverage": ("agent.cli.coverage:coverage", "Show what this agent can and cannot see, and why."),
    "ledger": ("agent.cli.ledger:ledger", "Show what every collector and action cost."),
    "check-config": (
        "agent.cli.config:check_config",
        "Check a configuration and say everything that is wrong with it.",
    ),
    "config": ("agent.cli.config:config", "Show the configuration, its schema, a sample or its reference."),
    "enroll": ("agent.cli.enroll:enroll", "Enrol this agent at a console with a one-time token."),
    "diagnose": ("agent.cli.diagnose:diagnose", "Check every precondition and say how to fix what fails."),
    "support-bundle": (
        "agent.cli.support_bundle:support_bundle",
        "Write an archive for support that holds no secrets.",
    ),
    "firewall": ("agent.cli.firewall:firewall", "Show the firewall, what changed, or accept it as it is."),
    "ports": ("agent.cli.ports:ports", "Show the listening ports, or accept them as they are."),
    "antivirus": (
        "agent.cli.antivirus:antivirus",
        "See how fresh antivirus is; scan, update, quarantine, and prove that malware would be found.",
    ),
    "ban": ("agent.cli.ban:ban", "Block an address or network now, or load the blocklists."),
    "unban": ("agent.cli.ban:unban", "Lift the ban of an address or network."),
    "bans": ("agent.cli.ban:bans", "Show who is blocked, by whom, why and until when."),
    "backup": (
        "agent.cli.backup:backup",
        "Back up this server and bring it back; see, check and keep its repositories.",
    ),
    "allow": ("agent.cli.ban:allow", "Say what is never blocked, with owner and reason; show that list."),
    "integrity": (
        "agent.cli.integrity:integrity",
        "Show what happened to watched files, scan them now, or accept them.",
    ),
    "traffic": ("agent.cli.traffic:traffic", "Check detection rules and read captures with the sensor."),
}
