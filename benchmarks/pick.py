"""What a pick costs among 10, 100 and 1,000 deployments, for every strategy.

Microseconds of CPU time (the best of several rounds, so that a busy machine does not count): a plan matches the request
against the models of the alias, a pick finds the deployment and takes a place at it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from random import Random

from lascaux.pricing import PriceBook
from lascaux.providers.fake import FakeProvider
from lascaux.providers.types import ImageRequest, Target
from lascaux.router.choice import choose
from lascaux.router.deployment import Deployment
from lascaux.router.health import HealthPolicy
from lascaux.router.plan import Alias, Planner, Use
from lascaux.router.prices import cost_of
from lascaux.router.retry import RetryPolicy
from lascaux.router.strategies import STRATEGIES

DAY = date(2026, 11, 22)
MODELS = ("stability.stable-image-core-v1:1", "stability.sd3-5-large-v1:0", "amazon.nova-canvas-v1:0")
REGIONS = ("us-west-2", "us-east-1", "eu-west-1", "ap-northeast-1")
SIZES = (10, 100, 1000)
ROUNDS, CALLS = 7, 300


def alias(strategy: str, n: int) -> Alias:
    """``n`` deployments of three models in four regions, with three weights."""
    uses = []
    for i in range(n):
        model = MODELS[i % 3]
        target = Target(deployment=f"d{i}", model=model, model_id=model, region=REGIONS[i % 4])
        uses.append(Use(deployment=Deployment(target, health=HealthPolicy()), weight=1.0 + i % 3))
    return Alias(name="a", uses=tuple(uses), strategy=STRATEGIES[strategy](Random(1)), retry=RetryPolicy())


def microseconds(action: Callable[[int], object]) -> float:
    """CPU time of one call."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for i in range(CALLS):
            action(i)
        best = min(best, time.process_time() - started)
    return best / CALLS * 1e6


def measure(strategy: str, n: int) -> tuple[float, float]:
    """(plan, pick) in microseconds."""
    named, book = alias(strategy, n), PriceBook.load()
    planner = Planner(
        {"a": named}.__getitem__,
        FakeProvider(),
        lifecycle="last_resort",
        price=lambda target, call: cost_of(book, DAY, target, call),
    )
    requests = [ImageRequest(prompt=f"otter {i}", seed=i) for i in range(CALLS)]
    steps = [planner.step(named, request, today=DAY) for request in requests]

    def pick(i: int) -> None:
        permit = choose(steps[i], float(i))
        assert permit is not None
        permit.candidate.deployment.settle(permit, float(i))

    return microseconds(lambda i: planner.step(named, requests[i], today=DAY)), microseconds(pick)


def main() -> None:
    """Print the table."""
    print(f"{'strategy':16} {'plan, us':>24} {'pick, us':>26} {'1,000 : 10':>12}")
    print(f"{'':16} {'':>24} " + "".join(f"{n:>9,}" for n in SIZES))
    for strategy in sorted(STRATEGIES):
        rows = [measure(strategy, n) for n in SIZES]
        plans = "".join(f"{plan:8.1f}" for plan, _ in rows)
        picks = "".join(f"{pick:9.1f}" for _, pick in rows)
        print(f"{strategy:16} {plans} {picks} {rows[-1][1] / rows[0][1]:11.2f}x")


if __name__ == "__main__":
    main()
