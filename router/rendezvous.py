"""Weighted rendezvous hashing in a tree: a key always finds the same member, without asking all of them.

In plain rendezvous hashing every member draws lots for the key and the best lot wins (Thaler and Ravishankar, "Using
Name-Based Mappings to Increase Hit Rates", 1998); with lots of -ln(u) / weight each wins by its share. Here groups of
members draw first, then the members of the winning group. Groups come from the digits of the members' own hashes, so they
do not depend on who else is there: when a member goes, its keys move, and a few from its groups, which are lighter now.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log
from typing import Self

__all__ = ["Tree", "mix"]

_MASK = 2**64 - 1
_BITS = 2
"""Groups of four: about 4 * log4(n) lots, of half a microsecond each."""
_SIZE = 120
"""Bits of a name's hash: whole digits, and no two names share them."""


def mix(key: int, salt: int) -> int:
    """64 bits that look random and depend on both (the finaliser of SplitMix64, Steele, Lea and Flood 2014)."""
    z = (key ^ (salt * 0x9E3779B97F4A7C15)) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


@dataclass(frozen=True, slots=True)
class _Group:
    """Members whose hashes begin alike, by their next digit; or a single one, with its ``place``."""

    seed: int
    weight: float
    place: int
    groups: tuple[_Group, ...] = ()


class Tree:
    """Members by their places in a sequence of (name, weight); a name that stands there twice has both weights."""

    __slots__ = ("_root",)

    def __init__(self, members: Sequence[tuple[str, float]]) -> None:
        hashed = [(_hash(name), place, weight) for place, (name, weight) in enumerate(members)]
        self._root = _grow(hashed, 0, 0)

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def find(self, key: int) -> int:
        """The place of the member that the key belongs to."""
        group = self._root
        while group.groups:
            best = inf
            for one in group.groups:
                z = (key ^ one.seed) * 0xBF58476D1CE4E5B9 & _MASK  # two rounds of `mix`: enough for lots
                z = (z ^ z >> 29) * 0x94D049BB133111EB & _MASK
                drawn = -log(((z >> 11) + 1) / 2**53) / one.weight
                if drawn < best:
                    best, group = drawn, one
        return group.place


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "backslashreplace"), digest_size=_SIZE // 8).digest())


def _grow(members: Sequence[tuple[int, int, float]], depth: int, seed: int) -> _Group:
    """The group of these members (hash, place, weight), split by the next digit that tells some of them apart."""
    weight = sum(weight for _, _, weight in members)
    if len({number for number, _, _ in members}) == 1:
        return _Group(seed, weight, members[0][1])
    digits: dict[int, list[tuple[int, int, float]]] = {}
    while len(digits) < 2:
        depth += _BITS
        digits = {}
        for member in members:
            digits.setdefault(member[0] >> (_SIZE - depth), []).append(member)
    groups = tuple(_grow(digits[prefix], depth, mix(prefix, depth)) for prefix in sorted(digits))
    return _Group(seed, weight, members[0][1], groups)
