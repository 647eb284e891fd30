"""What is open is named: generated rulesets, read from the kernel, with limits put into their rules and chains moved to one priority.

No packet is sent: what a limit does nobody can foretell, but every answer that hangs on one has to say so.
"""

import json
import os
import random
from collections.abc import Iterator, Mapping

import msgspec

from analysis.firewall.evaluate import evaluate
from analysis.firewall.probe import Verdict
from analysis.firewall.reading import read
from contracts.subjects.datapath import Row
from tests.analysis.firewall.kernel.agreement import Disagreement, names_something
from tests.analysis.firewall.kernel.choosing import Seeded
from tests.analysis.firewall.kernel.probing import Outcome, Prober, Shot
from tests.analysis.firewall.kernel.rulesets import Ruleset
from tests.analysis.firewall.kernel.strategies import draw_round
from tests.analysis.firewall.kernel.topology import SWITCHES, World

RULESETS = int(os.environ.get("HOLDFAST_RULESETS", "150")) // 5
SEED = int(os.environ.get("HOLDFAST_SEED", "3"))
WAYS = 4
LIMIT = {"limit": {"rate": 5, "burst": 5, "per": "second"}}


def opened(rows: Mapping[str, Row], chance: random.Random) -> dict[str, Row]:
    """Return the rows of a ruleset with limits in half of its rules and half of its base chains at a priority that others have."""
    found = {}
    for key, row in rows.items():
        document = json.loads(row.document) if row.what in ("rule", "chain") and row.document else {}
        if "expr" in document and chance.random() < 0.5:
            place = chance.choice((0, 0, len(document["expr"]) // 2))
            document["expr"].insert(place, LIMIT)
            row = msgspec.structs.replace(row, document=json.dumps(document))
        elif "prio" in document and document["type"] != "nat" and chance.random() < 0.5:
            document["prio"] = chance.choice((-300, -100, 0))
            row = msgspec.structs.replace(row, document=json.dumps(document))
        found[key] = row
    return found


def generated(world: World, prober: Prober) -> Iterator[tuple[Ruleset, list[Shot], dict[str, Row]]]:
    for number in range(RULESETS):
        ruleset, shots = draw_round(Seeded(f"{SEED}/naming/{number}"))
        if not world.loader.ask(do="load", **ruleset.order(SWITCHES)):
            rows = world.loader.ask(do="rows")
            if "rows" in rows:
                yield ruleset, prober.aim(shots), msgspec.convert(rows["rows"], dict[str, Row])


def test_every_uncertain_answer_names_what_it_does_not_know(world: World, prober: Prober) -> None:
    uncertain = 0
    for ruleset, shots, rows in generated(world, prober):
        for way in range(WAYS):
            answers = evaluate(read(opened(rows, random.Random(f"{SEED} {way}"))), [shot.probe for shot in shots])
            for number, shot in enumerate(shots):
                answer = answers.answer(number)
                uncertain += answer.verdict is Verdict.UNCERTAIN
                named = answer.verdict is not Verdict.UNCERTAIN or names_something(answer)
                assert named, f"way {way}: {Disagreement(ruleset, shot, answer, Outcome(False)).report()}"
    assert uncertain > RULESETS * WAYS * 2, "nothing was left open"
