"""`holdfast status`: how the running agent is, what it cannot see first; green only with proof."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from agent.cli.reach import agent_option, json_option
from agent.cli.text import ago, blind_lines, plain, sight_line, size, span, to_json
from agent.control import ask


@click.command()
@agent_option
@json_option
def status(path: Path, as_json: bool) -> None:
    """Show how the running agent is: what it cannot see, its console, workers, spool and configuration."""
    answer: dict[str, Any] = ask(path, "status")
    if as_json:
        click.echo(to_json(answer))
        return
    for line in lines(answer):
        click.echo(line)


def lines(answer: dict[str, Any]) -> Iterator[str]:
    """Yield the answer as people read it."""
    yield f"Holdfast {answer['version']} on {plain(answer['hostname'])}, up {span(answer['uptime_s'])}, agent {answer['agent']}"
    yield from _disk(answer)
    for sight in answer["sights"]:
        yield sight_line(sight)
        for blind in sight["blind"]:
            yield from blind_lines(blind)
    yield from _console(answer["console"])
    yield from _workers(answer)
    waiting = sum(lane["waiting"] for lane in answer["lanes"])
    lost = sum(lane["lost"] for lane in answer["lanes"])
    spool = f"  spool              events waiting: {waiting} ({size(sum(lane['bytes'] for lane in answer['lanes']))})"
    yield spool + (click.style(f", {lost} were lost", fg="red") if lost else "")
    for output in answer["outputs"]:
        trouble = (
            click.style(f", {output['lost']} lost: {plain(output['problem'])}", fg="red") if output["problem"] else ""
        )
        yield f"  {output['name']:18} events written: {output['written']}{trouble}"
    yield from _config(answer["config"])
    for item in answer["proofs"]:
        proof = item["proof"]
        word = click.style("proven", fg="green") if item["holds"] else click.style("no longer proven", fg="yellow")
        yield f"  {plain(proof['subject']):18} {word}: {proof['verb']} {ago(proof['at_ms'])} {plain(proof['detail'])}"


def _disk(answer: dict[str, Any]) -> Iterator[str]:
    if answer["disk"]:
        held = answer["counts"]["held"]
        yield click.style(f"  Nothing new can be stored: {plain(answer['disk'])} ({held} results wait)", fg="red")


def _console(console: dict[str, Any]) -> Iterator[str]:
    if console.get("connected"):
        yield f"  console            {click.style('connected', fg='green')}, last answer {ago(console.get('last_ok_ms', 0))}"
        return
    why = plain(console.get("last_error") or "not enrolled")
    yield f"  console            {click.style('not reached', fg='red')}: {why}"
    if console.get("advice"):
        yield f"      {plain(console['advice'])}"


def _workers(answer: dict[str, Any]) -> Iterator[str]:
    for worker in answer["workers"]:
        good = worker["state"] in ("running", "idle")
        who = f"pid {worker['pid']}, uid {worker['uid']}" if worker["pid"] else "not started"
        detail = f": {plain(worker['detail'])}" if worker["detail"] else ""
        state = click.style(worker["state"].replace("_", " "), fg=None if good else "red")
        restarts = f", restarts: {worker['restarts']}" if worker["restarts"] else ""
        yield f"  worker {worker['name']:11} {state}, {who}{restarts}{detail}"
    core = answer["core"]
    held = ", ".join(core["capabilities"]) or "no capabilities"
    yield f"  core               pid {answer['pid']}, uid {core['uid']}, {held}"


def _config(config: dict[str, Any]) -> Iterator[str]:
    yield f"  configuration      {plain(config['file'])} ({config['digest']})"
    for line in config["refused"]:
        yield click.style(f"      refused: {plain(line)}", fg="red")
    if config["pending"]:
        yield click.style(
            "      was changed on disk and is not loaded: check it with `holdfast check-config`, then reload",
            fg="yellow",
        )
