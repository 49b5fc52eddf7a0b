"""The far side of the routing benchmark: an emulator in a process of its own, with a timetable and a log.

Started by `routing.py` with the path of a plan. It prints its URL, reads the moment at which the run begins (seconds since
the epoch) from standard input, and serves until standard input ends. Each call leaves one line of JSON in the plan's log.
"""

from __future__ import annotations

import json
import random
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from time import time
from typing import Any

from lascaux.emulator import Emulator, Faults, Record, Rule
from lascaux.emulator.errors import BedrockError

THROTTLED = Rule(kind="error", status=429, error_type="ThrottlingException", latency=0.05)
FAILING = Rule(kind="error", status=503, error_type="ServiceUnavailableException", latency=0.2)


class Timetable(Faults):
    """Faults that come and go by the clock. A picture takes its time; a refusal is answered at once.

    `Faults` alone would delay the throttled answers by the time that a picture takes, which Bedrock does not.
    """

    def __init__(self, plan: dict[str, Any]) -> None:
        super().__init__(quotas=plan["quotas"])
        self.begin = float("inf")
        self._outages = plan["outages"]
        self._from, self._to = plan["latency"]
        self._dice = random.Random(plan["seed"])
        self._turn = threading.Lock()

    def strike(self, region: str, models: Iterable[str], prompt: str) -> Rule | None:
        """What becomes of this call: the outage of the hour, the quota, or a picture after a while."""
        since = time() - self.begin
        for outage in self._outages:
            if outage["region"] == region and outage["start"] <= since < outage["end"]:
                return Rule(kind="black_hole") if outage["kind"] == "black_hole" else FAILING
        try:
            super().throttle(region, "")
        except BedrockError:
            return THROTTLED
        with self._turn:
            return Rule(kind="delay", latency=self._dice.uniform(self._from, self._to))

    def throttle(self, region: str, model_id: str) -> None:
        """Already counted in `strike`."""


def main() -> None:
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    timetable = Timetable(plan)
    with open(plan["log"], "w", encoding="utf-8", buffering=1) as log:

        def note(record: Record) -> None:
            prompt = ((record.body or {}).get("textToImageParams") or {}).get("text", "")
            line = {
                "at": record.time,
                "region": record.region,
                "status": record.status,
                "error": record.error_type,
                "request": int(prompt.rpartition(" ")[2] or -1),
            }
            log.write(json.dumps(line) + "\n")

        with Emulator(faults=timetable, canvas="fast", log_limit=0) as emulator:
            emulator.on_record = note
            print(emulator.url, flush=True)
            timetable.begin = float(sys.stdin.readline())
            sys.stdin.read()
            emulator.on_record = None


if __name__ == "__main__":
    main()
