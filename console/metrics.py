"""What the console counts for Prometheus; the pages' application serves `render()` at `/metrics`."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4"
"""The listener adds the character set."""
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """One registry per process; made in `console.wiring`, so that tests have their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reports = Counter(
            "holdfast_console_reports", "Reports from agents by HTTP status.", ["status"], registry=self.registry
        )
        self.events = Counter("holdfast_console_events", "Events stored.", registry=self.registry)
        self.findings = Counter(
            "holdfast_console_findings", "What the console found about agents.", ["kind"], registry=self.registry
        )
        self.seconds = Histogram(
            "holdfast_console_report_seconds",
            "Time from a report's last byte to its acknowledgement.",
            registry=self.registry,
            buckets=SECONDS,
        )
        self.connections = Gauge(
            "holdfast_console_agent_connections", "Open connections of agents.", registry=self.registry
        )
        self.refused = Counter(
            "holdfast_console_connections_refused",
            "Connections closed unheard, by reason.",
            ["why"],
            registry=self.registry,
        )
        self.enrolments = Counter(
            "holdfast_console_enrolments", "Enrolment requests by HTTP status.", ["status"], registry=self.registry
        )
        self.agents = Gauge("holdfast_console_agents", "Agents by state.", ["state"], registry=self.registry)
        self.waiting = Gauge("holdfast_console_store_waiting", "Writes waiting for the store.", registry=self.registry)
        self.commit = Gauge(
            "holdfast_console_store_commit_seconds", "Median duration of the last commits.", registry=self.registry
        )
        self.size = Gauge("holdfast_console_store_bytes", "Size of the database.", registry=self.registry)

    def render(self) -> bytes:
        """Return everything in the Prometheus text format."""
        return generate_latest(self.registry)
