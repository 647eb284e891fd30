"""Metrics in the form that Prometheus reads."""

import asyncio
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from console.hub import Hub
from console.metrics import Metrics
from console.parts import now_ms, open_parts
from console.pulse import Pulse
from console.wiring import render_metrics


def test_what_was_counted_is_shown(console_settings: Any, beat: Any) -> None:
    async def run() -> bytes:
        parts = open_parts(console_settings)
        metrics, pulse = Metrics(), Pulse(Hub(), 60.0, now_ms)
        metrics.reports.labels("200").inc()
        pulse.heard("a" * 32, beat(), now_ms())
        pulse.tick()
        text, _ = await render_metrics(parts.store, metrics, pulse)
        await parts.store.close()
        return text

    text = asyncio.run(run()).decode()
    found = {
        (one.name, tuple(one.labels.values())): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }
    assert found["holdfast_console_reports_total", ("200",)] == 1
    assert found["holdfast_console_agents", ("up",)] == 1
    assert found["holdfast_console_store_bytes", ()] > 0
