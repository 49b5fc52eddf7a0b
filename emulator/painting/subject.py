"""From the words of a prompt to what is painted: terrain, colours, and who is in the picture."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["PALETTES", "Colour", "Palette", "Subject", "subject"]

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """The colours of a light: sky from top to horizon, the sun or moon, and the land from far to near."""

    top: Colour
    middle: Colour
    low: Colour
    sun: Colour
    far: Colour
    land: Colour
    near: Colour
    night: bool = False


PALETTES: Mapping[str, Palette] = {
    "dawn": Palette(
        top=(86, 122, 172), middle=(236, 178, 164), low=(255, 226, 182), sun=(255, 247, 222),
        far=(216, 166, 164), land=(138, 100, 132), near=(48, 42, 72),
    ),
    "dusk": Palette(
        top=(44, 40, 92), middle=(196, 88, 98), low=(255, 174, 96), sun=(255, 232, 170),
        far=(190, 100, 102), land=(106, 54, 84), near=(32, 20, 46),
    ),
    "day": Palette(
        top=(92, 150, 186), middle=(168, 204, 208), low=(246, 236, 206), sun=(255, 252, 236),
        far=(160, 184, 178), land=(104, 134, 104), near=(42, 66, 56),
    ),
    "desert": Palette(
        top=(72, 128, 156), middle=(238, 204, 152), low=(252, 226, 178), sun=(255, 244, 212),
        far=(232, 180, 128), land=(202, 118, 66), near=(110, 48, 32),
    ),
    "night": Palette(
        top=(8, 12, 36), middle=(26, 40, 90), low=(84, 104, 152), sun=(244, 242, 224),
        far=(54, 70, 120), land=(26, 36, 78), near=(6, 9, 26), night=True,
    ),
    "sea": Palette(
        top=(58, 122, 156), middle=(146, 202, 204), low=(252, 236, 204), sun=(255, 250, 228),
        far=(122, 176, 184), land=(38, 112, 132), near=(10, 50, 74),
    ),
    "forest": Palette(
        top=(126, 160, 152), middle=(188, 208, 186), low=(238, 240, 214), sun=(255, 255, 236),
        far=(154, 184, 164), land=(66, 110, 92), near=(14, 40, 38),
    ),
    "winter": Palette(
        top=(112, 146, 190), middle=(186, 204, 228), low=(250, 234, 230), sun=(255, 250, 242),
        far=(192, 204, 224), land=(124, 146, 186), near=(46, 62, 100),
    ),
    "violet": Palette(
        top=(22, 14, 54), middle=(88, 44, 124), low=(236, 126, 164), sun=(255, 222, 214),
        far=(126, 74, 142), land=(66, 36, 92), near=(20, 10, 40), night=True,
    ),
    "autumn": Palette(
        top=(120, 150, 168), middle=(226, 206, 170), low=(252, 232, 190), sun=(255, 246, 220),
        far=(210, 172, 128), land=(176, 98, 50), near=(70, 34, 26),
    ),
}  # fmt: skip
"""Ten lights."""

_LIGHTS = {
    "dawn": "dawn sunrise morning pink rose spring blossom cherry soft peach",
    "dusk": "dusk sunset evening fire red orange warm lava volcano kite dragon",
    "day": "day sunny bright meadow grass green summer field valley hill village",
    "desert": "desert dune dunes sand sahara camel canyon clay cactus pyramid",
    "night": "night moon moonlight star stars dark midnight galaxy space cosmos lantern",
    "sea": "sea ocean otter whale fish boat ship beach wave waves "
    "lake river island water sail harbor harbour lighthouse dolphin seal",
    "forest": "forest tree trees wood woods pine jungle moss fox owl deer rain fog mist misty",
    "winter": "winter snow ice icy arctic polar glacier frost mountain mountains alps penguin",
    "violet": "neon purple violet magic fantasy dream synthwave cyberpunk aurora city",
    "autumn": "autumn fall leaves maple october harvest pumpkin coffee vintage",
}
_TERRAINS = {
    "dunes": "desert dune dunes sand sahara camel pyramid cactus",
    "mountains": "mountain mountains alps peak summit snow glacier dragon volcano canyon winter",
    "sea": "sea ocean otter whale fish boat ship beach wave waves "
    "lake river island water sail harbor harbour lighthouse dolphin seal",
    "forest": "forest tree trees wood woods pine jungle fox owl deer autumn maple",
    "hills": "hill hills meadow field valley village grass farm kite vineyard",
    "cave": "cave lascaux rock wall ochre prehistoric ancient horse horses "
    "bull bulls bison aurochs stag animal animals hunt fresco painting",
}
_GUESTS = {
    "otter": "otter otters seal beaver",
    "boat": "boat boats ship ships sail sailing yacht harbor harbour fisherman",
    "kite": "kite kites",
    "deer": "deer stag elk moose reindeer antlers",
    "bull": "bull bulls ox cow cattle aurochs",
    "bison": "bison buffalo",
    "horse": "horse horses pony mustang",
}
_LAND = ("dunes", "mountains", "sea", "forest", "hills", "mountains", "sea", "cave")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a picture is about. ``guest`` is a figure in it, or None."""

    terrain: str
    palette: Palette
    guest: str | None = None


def subject(prompt: str, rng: random.Random) -> Subject:
    """Read a prompt. What its words leave open is decided by a digest of the words; ``rng`` varies the colours a little."""
    words = set(re.findall(r"[a-z]+", prompt.lower()))
    dice = hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).digest()
    light = _first(_LIGHTS, words) or tuple(PALETTES)[dice[0] % len(PALETTES)]
    terrain = _first(_TERRAINS, words) or _LAND[dice[1] % len(_LAND)]
    guest = _first(_GUESTS, words)
    other = tuple(PALETTES.values())[int(rng.random() * len(PALETTES))]
    base = PALETTES[light]
    palette = base if base.night != other.night else _blend(base, other, 0.28 * rng.random())
    return Subject(terrain=terrain, palette=palette, guest=guest)


def _first(table: Mapping[str, str], words: set[str]) -> str | None:
    return next((name for name, hints in table.items() if not words.isdisjoint(hints.split())), None)


def _blend(a: Palette, b: Palette, share: float) -> Palette:
    def mix(x: Colour, y: Colour) -> Colour:
        return (
            round(x[0] + (y[0] - x[0]) * share),
            round(x[1] + (y[1] - x[1]) * share),
            round(x[2] + (y[2] - x[2]) * share),
        )

    return Palette(
        top=mix(a.top, b.top),
        middle=mix(a.middle, b.middle),
        low=mix(a.low, b.low),
        sun=a.sun,
        far=mix(a.far, b.far),
        land=mix(a.land, b.land),
        near=mix(a.near, b.near),
        night=a.night,
    )
