"""``router_settings`` and ``litellm_settings``: retries, time, health, cache, strategy and fallbacks of all aliases."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from .groups import write_attempts, write_timeout
from .names import GENERAL, LITELLM, ROUTER
from .notes import Draft, Found, Params, Path, is_reference, near, number
from .strangers import is_left_out

__all__ = ["Settings"]

_STRATEGIES = {
    "simple-shuffle": "weighted_random",
    "least-busy": "least_request",
    "latency-based-routing": "lowest_latency",
    "usage-based-routing": "round_robin",
    "usage-based-routing-v2": "round_robin",
    "cost-based-routing": "lowest_cost",
}
_EXACT = ("simple-shuffle", "least-busy", "latency-based-routing", "cost-based-routing")
_UNDERSTOOD = (
    "routing_strategy",
    "num_retries",
    "max_retries",
    "timeout",
    "request_timeout",
    "retry_after",
    "allowed_fails",
    "cooldown_time",
    "fallbacks",
    "default_fallbacks",
    "model_group_alias",
    "default_max_parallel_requests",
    "cache",
    "cache_params",
    "drop_params",
)
_FAILURES, _COOLDOWN = 100, 300


class Settings:
    """The settings of a file. Where both sections say something, ``router_settings`` wins, as in LiteLLM."""

    def __init__(self, data: Mapping[str, Any], draft: Draft) -> None:
        self._draft = draft
        self._router = self._section(data, "router_settings")
        self._litellm = self._section(data, "litellm_settings")
        self._general = self._section(data, "general_settings")
        self.strategy = self._strategy()
        self.concurrency = self._take("default_max_parallel_requests")

    def _section(self, data: Mapping[str, Any], name: str) -> Params:
        section = data.get(name)
        if section is not None and not isinstance(section, Mapping):
            self._draft.refuse((name,), "must be a mapping")
        return Params.of(section if isinstance(section, Mapping) else {}, (name,))

    def _take(self, *names: str) -> Found | None:
        found = [one for section in (self._router, self._litellm) for name in names if (one := section.take(name))]
        for other in found[1:]:
            if other.value != found[0].value:
                self._draft.warn(other.path, f"has no effect: {'.'.join(map(str, found[0].path))} wins")
        return found[0] if found else None

    def _strategy(self) -> Found | None:
        """The strategy in our words; None for the default."""
        found = self._take("routing_strategy")
        if found is None:
            return None
        ours = _STRATEGIES.get(found.value) if isinstance(found.value, str) else None
        if ours is None:
            known = ", ".join(_STRATEGIES)
            self._draft.refuse(found.path, f"must be one of {known}{near(str(found.value), _STRATEGIES)}")
        elif found.value not in _EXACT:
            self._draft.warn(found.path, f"{found.value} is not available; {ours}, the nearest strategy, is used")
        return Found(ours, found.path) if ours and ours != "weighted_random" else None

    def write(self) -> None:
        """Put retries, time, health and cache into the draft, and name what has no effect."""
        attempts, timeout = self._take("num_retries", "max_retries"), self._take("timeout", "request_timeout")
        if attempts:
            write_attempts(attempts, ("retry",), self._draft)
        if timeout:
            write_timeout(timeout, ("retry",), self._draft)
        self._backoff()
        self._health()
        self._cache()
        drop = self._take("drop_params")
        if drop and drop.value is False:
            self._draft.warn(
                drop.path,
                "is false: LiteLLM would refuse what a model can not do, here it is adapted with a warning, unless the "
                "request says strict",
            )

    def master_key(self) -> None:
        """``general_settings.master_key`` becomes an admin key of the gateway."""
        found = self._general.take("master_key")
        if found is None or found.value == "":
            return
        if not isinstance(found.value, str):
            self._draft.refuse(found.path, "must be text in quotes")
            return
        variable = found.value.removeprefix("os.environ/")
        if variable != found.value:
            # The file is also read by programs that listen to nobody; the gateway insists on a value when it starts.
            value = f"${{{variable}:-}}"
        else:
            value = found.value
            if not is_reference(value):
                self._draft.warn(
                    found.path,
                    "is written in the file: a reference such as os.environ/LITELLM_MASTER_KEY keeps it out of it",
                )
        self._draft.put(("server", "keys"), [{"name": "master_key", "key": value, "admin": True}], found.path)
        self._draft.origins["server", "keys", 0, "key"] = found.path

    def leftovers(self) -> None:
        """Name what has no effect or is not known."""
        for section, reasons in ((self._router, ROUTER), (self._litellm, LITELLM), (self._general, GENERAL)):
            known = (*reasons, *(_UNDERSTOOD if section is not self._general else ()))
            for name, found in section.rest.items():
                if name not in reasons:
                    self._draft.warn(found.path, f"is not known and has no effect{near(name, known)}")
                elif found.value not in (False, [], {}, ""):
                    self._draft.warn(found.path, f"has no effect: {reasons[name]}")

    def _backoff(self) -> None:
        found = self._take("retry_after")
        seconds = number(found.value) if found else None
        if found is None or seconds == 0:
            return
        self._draft.put(("retry", "backoff"), found.value, found.path)
        if seconds is not None and seconds > 20:
            self._draft.put(("retry", "max_backoff"), found.value, found.path)
        self._draft.warn(
            found.path, "becomes the longest first wait: waits are drawn at random up to it, and it doubles"
        )

    def _health(self) -> None:
        fails, cooldown = self._take("allowed_fails"), self._take("cooldown_time")
        if fails:
            allowed = number(fails.value)
            if allowed is None or allowed != int(allowed) or allowed < 0:
                self._draft.refuse(fails.path, "must be a whole number from 0, written here and not in a variable")
            else:
                if allowed >= _FAILURES:
                    self._draft.warn(
                        fails.path, f"is more than a deployment may fail here: it rests after {_FAILURES} failures"
                    )
                # LiteLLM lets so many failures pass, we count up to the one that opens the breaker.
                self._draft.put(("health", "failures"), min(int(allowed) + 1, _FAILURES), fails.path)
        if cooldown and number(cooldown.value) == 0:
            self._draft.warn(
                cooldown.path, "has no effect: a deployment that fails again and again always rests for a while"
            )
        elif cooldown:
            self._draft.put(("health", "cooldown"), cooldown.value, cooldown.path)
            if (number(cooldown.value) or 0) > _COOLDOWN:
                self._draft.put(("health", "max_cooldown"), cooldown.value, cooldown.path)

    def _cache(self) -> None:
        switch, found = self._take("cache"), self._take("cache_params")
        if switch and switch.value is False:
            self._draft.put(("cache", "backend"), "none", switch.path)
        if found is None:
            return
        if not isinstance(found.value, Mapping):
            self._draft.refuse(found.path, "must be a mapping")
            return
        params = Params.of(found.value, found.path)
        kind, ttl = params.take("type"), params.take("ttl")
        if kind and kind.value != "local":
            self._draft.warn(kind.path, "is not available: results are kept in the memory of this process")
        if ttl:
            self._draft.put(("cache", "ttl"), ttl.value, ttl.path)
        for other in params.rest.values():
            self._draft.warn(other.path, "has no effect: the cache has 'type' and 'ttl'")

    def second_names(self, aliases: Collection[str], left: Collection[str]) -> tuple[dict[str, str], frozenset[str]]:
        """``model_group_alias``: other names of groups, written as aliases, unless all they lead to is ``left`` out.

        Returns second name -> name, and every name that is left out.
        """
        seconds = self._seconds((*aliases, *left))
        out = set(left)
        known = (*aliases, *seconds)
        while lost := [name for name, target in seconds.items() if is_left_out(target.value, out, known)]:
            for name in lost:
                self._say_left_out(seconds.pop(name))
            out.update(lost)
        for name, target in seconds.items():
            self._draft.put(("aliases", name), target.value, target.path)
        return {name: target.value for name, target in seconds.items()}, frozenset(out)

    def _seconds(self, aliases: Collection[str]) -> dict[str, Found]:
        found = self._take("model_group_alias")
        if found is None:
            return {}
        if not isinstance(found.value, Mapping):
            self._draft.refuse(found.path, "must be a mapping of names to model names")
            return {}
        seconds: dict[str, Found] = {}
        for name, target in found.value.items():
            path = (*found.path, str(name))
            if isinstance(target, Mapping):
                if target.get("hidden"):
                    self._draft.warn((*path, "hidden"), "has no effect: the name is listed like any other")
                target, path = target.get("model"), (*path, "model")
            if name in aliases:
                self._draft.refuse(path, "is a model_name already, so it can not be a second name")
            elif not isinstance(target, str):
                self._draft.refuse(path, "must be a model_name")
            else:
                seconds[str(name)] = Found(target, path)
        return seconds

    def fallbacks(
        self, aliases: Sequence[str], seconds: Mapping[str, str], left: Collection[str]
    ) -> dict[str, list[Found]]:
        """Where requests of each alias go next, in order; ``default_fallbacks`` for those that name none.

        Ways from and to those that are ``left`` out are left out too.
        """
        general = self._take("default_fallbacks")
        default = self._kept(self._names(general), left) if general else []
        ways: dict[str, list[Found]] = {}
        found = self._take("fallbacks")
        for row in self._rows(found) if found else ():
            name = str(row.path[-1])
            if name != "*" and is_left_out(name, left, self._served()):
                self._say_left_out(Found(name, row.path))
                continue
            targets = list(self._names(row))
            if name == "*":
                default += self._kept(targets, left)
            elif name in seconds:
                self._draft.warn(
                    targets[0].path if targets else row.path,
                    f"has no effect: {name!r} is a second name of {seconds[name]!r}, whose fallbacks count",
                )
            elif name in aliases:
                ways[name] = ways.get(name, []) + self._kept(targets, left)
            else:
                self._draft.warn(row.path, f"has no effect: no model_name is {name[:80]!r}{near(name, aliases)}")
        for alias in aliases:
            ways.setdefault(alias, default)
        return {alias: _unique(alias, targets, seconds) for alias, targets in ways.items()}

    def _kept(self, targets: Iterable[Found], left: Collection[str]) -> list[Found]:
        kept = []
        for target in targets:
            if is_left_out(target.value, left, self._served()):
                self._say_left_out(target)
            else:
                kept.append(target)
        return kept

    def _served(self) -> tuple[str, ...]:
        """Every name that the translation has made so far."""
        return (*self._draft.data.get("aliases", ()), *self._draft.data.get("deployments", ()))

    def _say_left_out(self, name: Found) -> None:
        self._draft.warn(name.path, f"is left out: no entry of {name.value[:80]!r} is served here")

    def _rows(self, found: Found) -> Iterable[Found]:
        """The lists of ``fallbacks``. The last step of the path of each is the name that it is for."""
        if not isinstance(found.value, list):
            self._draft.refuse(found.path, "must be a list such as [{name: [other, another]}]")
            return
        for index, row in enumerate(found.value):
            path = (*found.path, index)
            if not isinstance(row, Mapping):
                self._draft.refuse(path, "must be a mapping such as {name: [other, another]}")
                continue
            for name, targets in row.items():
                yield Found(targets, (*path, str(name)))

    def _names(self, found: Found) -> Iterable[Found]:
        targets = [found.value] if isinstance(found.value, str) else found.value
        if not isinstance(targets, list):
            self._draft.refuse(found.path, "must be a list of model names")
            return
        for index, target in enumerate(targets):
            path: Path = found.path if isinstance(found.value, str) else (*found.path, index)
            if not isinstance(target, str) or is_reference(target):
                self._draft.refuse(path, "must be a model_name")
            else:
                yield Found(target, path)


def _unique(name: str, targets: Sequence[Found], seconds: Mapping[str, str]) -> list[Found]:
    """Each target once, by its first name, and never the alias itself."""
    named = {seconds.get(one.value, one.value): one for one in reversed(targets)}
    ordered = sorted(named.items(), key=lambda pair: targets.index(pair[1]))
    return [Found(target, one.path) for target, one in ordered if target != name]
