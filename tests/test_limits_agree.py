"""At every documented limit and just beyond it: what we let through or refuse, and what the emulator does, agree.

The emulator was written without our code and the table (data/limits.yaml) stands apart from the catalogue of both. Ours is
asked with ``strict``, where nothing is adapted: a value is either sent as it is, or refused by name. The same values are
then said in the provider's own words (``native``), which are held to the same limits.
"""

from __future__ import annotations

import base64
import io
import json
import math
import struct
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from lascaux.emulator import Emulator
from lascaux.emulator.errors import BedrockError
from lascaux.emulator.models import MODELS as EMULATED
from lascaux.emulator.validation import check
from lascaux.providers.bedrock.families import FAMILIES
from lascaux.providers.catalog import Catalog
from lascaux.providers.errors import InvalidRequest
from lascaux.providers.param_names import NAMES
from lascaux.providers.params import build_request
from lascaux.providers.types import Call
from PIL import Image

DATA = Path(__file__).parent / "data"
LIMITS: list[dict[str, Any]] = yaml.safe_load((DATA / "limits.yaml").read_text("utf-8"))["limits"]
EXAMPLES: list[dict[str, Any]] = yaml.safe_load((DATA / "wire_examples.yaml").read_text("utf-8"))["examples"]
CATALOG, BY_NAME = Catalog.load(), {family.name: family for family in FAMILIES}


def params(rows: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Rows as parameters of a test, each named after its first model and its task."""
    return [pytest.param(row, id=f"{row['models'][0].partition('.')[2]}-{row['task']}") for row in rows]


ROWS = params(LIMITS)

WORD_FIELDS = {"text", "prompt"}
COUNTS = {"numberOfImages", "samples"}
SAID_OTHERWISE = {"mode", "init_image_mode", "maskType", "mask_source", "weight"}
"""Fields that follow from the task or from another parameter, so that no parameter of ours holds just their value."""

DOUBTS = {("steps", 51): "one page says 50, older copies 150"}
"""Values beyond a limit that another page contradicts: they pass, and the provider decides."""


def families(row: Mapping[str, Any]) -> str:
    """The wire format of a row."""
    return CATALOG.find(row["models"][0]).family  # type: ignore[union-attr]


def first_rows() -> dict[tuple[str, str], int]:
    """Where each field of a family comes first: there all its words are tried."""
    found: dict[tuple[str, str], int] = {}
    for row in LIMITS:
        for field in row["fields"]:
            found.setdefault((families(row), field["field"].rpartition(".")[2]), id(row))
    return found


FIRST = first_rows()


@cache
def picture(size: tuple[int, int] = (768, 640), kind: str = "PNG", length: int = 0) -> bytes:
    """A flat picture as a file, made ``length`` bytes long where that is given."""
    if kind == "PNG" and not length:
        return mask_of(size, whole=True)
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, kind)
    data = file.getvalue()
    if length:
        filler = b"Comment\0" + b"x" * (length - len(data) - 12 - 8)
        chunk = struct.pack(">I", len(filler)) + b"tEXt" + filler + struct.pack(">I", zlib.crc32(b"tEXt" + filler))
        data = data[:-12] + chunk + data[-12:]
    return data


@cache
def mask_of(size: tuple[int, int] = (768, 640), *, whole: bool = False) -> bytes:
    """Black and white by half, or white as a whole: one bit for each pixel, so that large ones are fast."""
    file, made = io.BytesIO(), Image.new("1", size, 1)
    if not whole:
        made.paste(0, (0, 0, size[0] // 2, size[1]))
    made.save(file, "PNG", compress_level=1)
    return file.getvalue()


def smallest(row: Mapping[str, Any]) -> tuple[int, int]:
    """A square that the task takes as input: small ones are fast."""
    facts = row["input"]
    side = max(64, facts.get("side_min") or 0, math.isqrt((facts.get("min_pixels") or 1) - 1) + 1)
    return side, side


def example(model: str, task: str) -> dict[str, Any]:
    """The smallest request of a task; of several the one with words for a mask, or else with a mask of its own."""
    found = [one for one in EXAMPLES if model in one["models"] and one["task"] == task and "minimal" in one["kind"]]
    return min(found, key=lambda one: ("<hole>" in str(one["asked"]), "<mask>" in str(one["asked"])))


def filled(value: Any, photo: bytes, mask: bytes, *, text: bool) -> Any:
    """An example with pictures in place of their names, as base64 where it is a body."""
    if isinstance(value, dict):
        made = {name: filled(item, photo, mask, text=text) for name, item in value.items()}
        return {**made, "mask_mode": "white"} if value.get("mask") == "<mask>" else made
    if isinstance(value, list):
        return [filled(item, photo, mask, text=text) for item in value]
    if not isinstance(value, str) or not value.startswith("<"):
        return value
    data = mask if "mask" in value else picture() if value == "<style>" else photo
    return base64.b64encode(data).decode() if text else data


def emulated(model: str, body: dict[str, Any]) -> str | None:
    """Why the emulator refuses a body; None when it does not."""
    try:
        check(EMULATED[model], body)
    except BedrockError as error:
        return error.message if error.status == 400 else None
    return None


def ours(model: str, task: str, asked: Mapping[str, Any]) -> tuple[Call, ...] | InvalidRequest:
    """The calls of a strict request, or why there are none."""
    facts = CATALOG.find(model)
    assert facts is not None
    params = dict(asked)
    prompt = params.pop("prompt", "")
    try:
        request = build_request(prompt, task=task, strict=True, **params)
        return BY_NAME[facts.family].prepare(request, facts)
    except InvalidRequest as error:
        return error


def agreed(
    row: Mapping[str, Any], model: str, what: str, good: bool, body: Any, asked: Any, names: set[str]
) -> list[str]:
    """What is wrong with the verdicts on one value: of the emulator, and (unless ``asked`` is None) ours."""
    faults = []
    said = emulated(model, body)
    if (said is None) is not good:
        faults.append(f"{model} {row['task']} {what}: the emulator says {said}")
    if asked is None:
        return faults
    found = ours(model, row["task"], asked)
    if isinstance(found, InvalidRequest) and good:
        faults.append(f"{model} {row['task']} {what}: we refuse: {found}")
    elif not isinstance(found, InvalidRequest) and not good:
        faults.append(f"{model} {row['task']} {what}: we let it through: {short(found[0].body)}")
    elif isinstance(found, InvalidRequest) and str(found.parameter).split("[")[0] not in names:
        faults.append(f"{model} {row['task']} {what}: we blame {found.parameter}, not {names}")
    elif not isinstance(found, InvalidRequest) and emulated(model, dict(found[0].body)):
        faults.append(f"{model} {row['task']} {what}: what we write is refused")
    return faults


def natively(
    row: Mapping[str, Any], model: str, native: Mapping[str, Any], base: Mapping[str, Any]
) -> tuple[Call, ...] | InvalidRequest:
    """The calls of a request that says something in the provider's own words, laid over what ``base`` asks for."""
    facts, asked = CATALOG.find(model), dict(base)
    assert facts is not None
    prompt = asked.pop("prompt", "")
    try:
        request = replace(build_request(prompt, task=row["task"], **asked), native=native)
        return BY_NAME[facts.family].prepare(request, facts)
    except InvalidRequest as error:
        return error


def agreed_natively(
    row: Mapping[str, Any], model: str, path: str, value: Any, good: bool, body: Mapping[str, Any], base: Any
) -> list[str]:
    """What is wrong with our verdict on a value in the provider's own words: ``path`` is what we must blame."""
    root = path.partition(".")[0].removesuffix("[]")
    what = f"{model} {row['task']} native {path}={str(value)[:30]!r} ({len(str(value))})"
    if root == "outPaintingParams" and "maskImage" in body[root]:
        base = {name: item for name, item in base.items() if name not in ("mask", "mask_mode")}  # there is one mask
    found = natively(row, model, {root: body[root]}, base)
    if isinstance(found, InvalidRequest):
        blamed = str(found.parameter).replace("[0]", "[]")
        return [] if not good and blamed == path and found.allowed else [f"{what}: we blame {blamed}: {found}"]
    sent = dict(found[0].body)
    if not good:
        return [f"{what}: we let it through: {short(sent)}"]
    # Titan is always sent a size, so there may be more beside what was said.
    whole = sent[root] == body[root] or (isinstance(body[root], dict) and body[root].items() <= sent[root].items())
    return [] if whole and emulated(model, sent) is None else [f"{what}: {short(sent)}"]


def sized_natively(
    row: Mapping[str, Any], model: str, size: Any, good: bool, body: Mapping[str, Any], base: Any
) -> list[str]:
    """What is wrong with our verdict on a size in the provider's own words."""
    names = ("imageGenerationConfig",) if "taskType" in body else ("aspect_ratio", "width", "height")
    found = natively(row, model, {name: body[name] for name in names if name in body}, base)
    if not isinstance(found, InvalidRequest):
        return [] if good else [f"{model} {row['task']} native {size}: we let it through"]
    blamed = str(found.parameter).rpartition(".")[2] in ("aspect_ratio", "width", "height") and found.nearest
    return [] if blamed and not good else [f"{model} {row['task']} native {size}: we refuse: {found}"]


def short(body: Mapping[str, Any]) -> str:
    return json.dumps(body, default=str)[:300]


def values(field: Mapping[str, Any], *, every: bool) -> Iterator[tuple[Any, bool]]:
    """(value, allowed) at both sides of each limit of a field; of many words the outermost ones, or ``every`` one."""
    step = field.get("multiple_of") or (1 if field["type"] == "integer" else 0.01)
    if "enum" in field:
        yield from ((word, True) for word in (field["enum"] if every else {field["enum"][0], field["enum"][-1]}))
        yield "NO_SUCH_WORD", False
    for name, sign in (("min", -1), ("max", 1)):
        if name in field:
            beyond = round(field[name] + sign * step, 6)
            yield field[name], True
            yield beyond, (field["field"], beyond) in DOUBTS
    if field.get("multiple_of") and "min" in field:
        yield field["min"] + 1, False
    if field["type"] == "string" and "enum" not in field:
        if "max_length" in field:
            yield "x" * field["max_length"], True
            yield "x" * (field["max_length"] + 1), False
        if "min_length" in field:
            yield "", field["min_length"] == 0


def put(body: dict[str, Any], path: str, value: Any) -> bool:
    """Write a value at a path of a body. False when an object on the way is missing, which is not made up."""
    *outer, last = path.replace("[]", ".0").split(".")
    inner: Any = body
    for name in outer:
        if name == "0":
            inner = inner[0]
        elif name.endswith("Config"):
            inner = inner.setdefault(name, {})
        elif name not in inner:
            return False
        else:
            inner = inner[name]
    inner[last] = value
    return True


def companions(model: str, path: str, body: dict[str, Any], value: Any) -> dict[str, Any]:
    """What must stand beside a value for it to be good: the other side of a size. Gives our parameters."""
    leaf = path.rpartition(".")[2]
    if leaf not in ("width", "height"):
        return {}
    canvas = "canvas" in model
    other = (1024 if value > 1280 else 320) if canvas else 512
    put(body, path.rpartition(".")[0] + "." * ("." in path) + ("height" if leaf == "width" else "width"), other)
    return {"size": (value, other) if leaf == "width" else (other, value)}


def asked_for(field: str, value: Any, base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any] | None:
    """Our request for a value of a field; None where no parameter says it."""
    leaf = field.rpartition(".")[2]
    if more:
        return {**base, **more}
    if leaf in COUNTS | SAID_OTHERWISE:
        return None
    if leaf in WORD_FIELDS:
        return {**base, "prompt": value}
    return {**base, NAMES[leaf] if leaf != "image_strength" else leaf: value}


def names_of(field: str) -> set[str]:
    """What an error about a field may blame."""
    leaf = field.rpartition(".")[2]
    return {leaf, NAMES.get(leaf, leaf), *(("prompt",) if leaf in WORD_FIELDS else ()), "size"} - (
        set() if leaf in ("width", "height") else {"size"}
    )


def by_design(row: Mapping[str, Any], model: str, field: str, value: Any) -> str | None:
    """Why we are asked nothing, or answer otherwise than the table, on purpose."""
    leaf = field.rpartition(".")[2]
    if leaf == "output_format" and value == "jpeg" and row["task"] == "remove_background":
        return "jpeg is in the schema, but what was removed would not be transparent (WIRE.md, section 8)"
    if value == "" and leaf in WORD_FIELDS | {"negativeText", "negative_prompt", "search_prompt", "select_prompt"}:
        return "an empty text is a text that was not given"
    if leaf in ("width", "height") and "diffusion-xl-v0" in model:
        return "no list of sizes of 0.8 is left; ours offers 512x512"
    if leaf in ("width", "height") and "canvas" not in model:
        return "a list of pairs: see the test of sizes"
    return None


@pytest.mark.parametrize("row", ROWS)
def test_every_field_at_its_limits(row: Mapping[str, Any]) -> None:
    """Lengths, ranges, steps and enumerations of each field of each task of each model."""
    faults = []
    for model in row["models"]:
        one = example(model, row["task"])
        photo, mask = picture(smallest(row)), mask_of(smallest(row))
        base = filled(one["asked"], photo, mask, text=False)
        for field in row["fields"]:
            leaf = field["field"].rpartition(".")[2]
            every = FIRST[families(row), leaf] == id(row) and model == row["models"][-1]
            for value, good in values(field, every=every) if field["type"] != "array" else ():
                body = filled(one["body"], photo, mask, text=True)
                if not put(body, field["field"], value) or (good and leaf in SAID_OTHERWISE):
                    continue
                if leaf not in ("width", "height"):
                    beside = {**base, "right": 1} if leaf == "left" else base
                    faults += agreed_natively(row, model, field["field"], value, good, body, beside)
                more = companions(model, field["field"], body, value)
                asked = asked_for(field["field"], value, base, more)
                if leaf == "left" and value == 0:
                    put(body, "right", 1)
                    asked = {**(asked or {}), "right": 1}
                if by_design(row, model, field["field"], value):
                    if "width" in field["field"] or "height" in field["field"]:
                        continue
                    asked = None
                what = f"{field['field']}={str(value)[:30]!r} ({len(str(value))})"
                faults += agreed(row, model, what, good, body, asked, names_of(field["field"]))
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("row", params(row for row in LIMITS if any(f["type"] == "array" for f in row["fields"])))
def test_lists_at_their_limits(row: Mapping[str, Any]) -> None:
    """Pictures of a variation, colours."""
    faults = []
    for model in row["models"]:
        one = example(model, row["task"])
        for field in row["fields"]:
            if field["type"] != "array":
                continue
            leaf = field["field"].rpartition(".")[2]
            for count in (0, field["min_items"], field["max_items"], field["max_items"] + 1):
                photo, mask = picture(smallest(row)), mask_of(smallest(row))
                body = filled(one["body"], photo, mask, text=True)
                base = filled(one["asked"], photo, mask, text=False)
                asked, entry = dict(base), "#112233" if leaf == "colors" else photo
                asked["colors" if leaf == "colors" else "image"] = [entry] * count
                sent = entry if isinstance(entry, str) else base64.b64encode(entry).decode()
                put(body, field["field"], [sent] * count)
                good = field["min_items"] <= count <= field["max_items"]
                names = {"colors", "image", "references"}
                faults += agreed(row, model, f"{count} {leaf}", good, body, asked, names)
                faults += agreed_natively(row, model, field["field"], [""] * count, good, body, base)
    assert not faults, "\n".join(faults)


def sizes_of(row: Mapping[str, Any]) -> Iterator[tuple[Any, bool]]:
    """(size or ratio, offered) of a task that makes pictures of sizes of its own."""
    sizes = row["sizes"]
    match sizes["kind"]:
        case "list":
            pairs = [tuple(pair) for pair in sizes["allowed_sizes"]]
            yield from ((pair, True) for pair in pairs)
            yield from ((wrong, False) for wrong in {(w + 64, h) for w, h in pairs} - set(pairs))
            yield (1408, 1408), False
        case "range":
            # 2048x2048 is exactly the limit that one page excludes and others name as usable: the provider decides.
            for size in ((320, 320), (320, 1280), (1280, 320), (4096, 1024), (1024, 4096), (2048, 2048), (2032, 2048)):
                yield size, True
            for size in ((304, 320), (320, 1296), (1296, 320), (4112, 1040), (2048, 2064), (4096, 1040), (330, 320)):
                yield size, False
        case "aspect_ratio":
            yield from ((ratio, True) for ratio in sizes["aspect_ratios"])
            yield from ((ratio, False) for ratio in ("4:3", "3:4", "1:2"))


SIZED = ("text_to_image", "variation", "color_guided", "control_structure", "style_guide")


@pytest.mark.parametrize("row", params(row for row in LIMITS if row["task"] in SIZED))
def test_sizes_at_their_limits(row: Mapping[str, Any]) -> None:
    """Pairs, sides, steps, ratios and pixels in all."""
    faults = []
    for model in row["models"]:
        one = example(model, row["task"])
        if "service" in str(CATALOG.find(model).family) and row["task"] != "style_guide":  # type: ignore[union-attr]
            continue
        for size, good in sizes_of(row):
            photo, mask = picture(smallest(row)), mask_of(smallest(row))
            body = filled(one["body"], photo, mask, text=True)
            base = filled(one["asked"], photo, mask, text=False)
            asked = dict(base)
            if isinstance(size, str):
                body["aspect_ratio"] = asked["aspect_ratio"] = size
            else:
                holder = body.setdefault("imageGenerationConfig", {}) if "taskType" in body else body
                holder["width"], holder["height"] = asked["size"] = size
            faults += agreed(row, model, f"size {size}", good, body, asked, {"size", "aspect_ratio"})
            faults += sized_natively(row, model, size, good, body, base)
    assert not faults, "\n".join(faults)


def inputs_of(row: Mapping[str, Any], model: str) -> Iterator[tuple[str, bytes, tuple[int, int], bool]]:
    """(what, file, its size, accepted) at both sides of each limit for input pictures."""
    facts = row["input"]
    middle = (768, 640)
    for kind in ("PNG", "JPEG", "WEBP"):
        yield kind, picture(kind=kind), middle, kind.lower() in facts["formats"]
    if low := facts.get("side_min"):
        other = low if not facts.get("min_pixels") else facts["min_pixels"] // low
        yield f"side {low}", picture((low, other)), (low, other), True
        yield f"side {low - 1}", picture((low - 1, low * 2)), (low - 1, low * 2), False
    high = facts.get("side_max") or facts.get("long_side_max")
    if row["task"] in ("variation", "image_to_image") and "variation_side_max" in facts:
        high = facts["variation_side_max"]  # one page says 1408, another 4096: the provider decides
    if high:
        short_side = (facts.get("max_pixels") or facts.get("max_pixels_exclusive") or high * 640) // high
        short_side = max(min(short_side, 640 if "canvas" not in model else 1024), facts.get("side_min") or 1)
        yield f"side {high}", picture((high, short_side)), (high, short_side), True
        beyond = (high + 1, min(short_side, 512) if "canvas" not in model else 1023)
        yield f"side {high + 1}", picture(beyond), beyond, False
    if low := facts.get("min_pixels"):
        root = int(low**0.5)
        yield f"{low} pixels", picture((root, root)), (root, root), True
        yield f"less than {low} pixels", picture((root, root - 1)), (root, root - 1), False
    if most := facts.get("max_pixels"):
        root = int(most**0.5)
        yield f"{most} pixels", picture((root, root)), (root, root), True
        yield f"more than {most} pixels", picture((root, root + 1)), (root, root + 1), False
    if most := facts.get("max_pixels_exclusive"):
        yield f"{most} pixels", picture((2048, 2048)), (2048, 2048), True
        yield f"more than {most} pixels", picture((2048, 2049)), (2048, 2049), False
    if ratio := facts.get("aspect_max"):
        widest = float(ratio.partition(":")[0])
        side = max(400, facts.get("side_min", 0))
        yield f"ratio {ratio}", picture((int(side * widest), side)), (int(side * widest), side), True
        wide = (int(side * widest) + 1, side)
        yield f"more than {ratio}", picture(wide), wide, False
        yield f"less than 1:{widest}", picture(wide[::-1]), (side, wide[0]), False
    if most := facts.get("max_bytes"):
        yield f"{most} bytes", picture(length=most), middle, True
        yield f"{most + 1} bytes", picture(length=most + 1), middle, False


@pytest.mark.parametrize("row", params(row for row in LIMITS if row["task"] != "text_to_image"))
def test_input_pictures_at_their_limits(row: Mapping[str, Any]) -> None:
    """Formats, sides, pixels, ratio and bytes of the picture that a task works on, before a call is made."""
    faults = []
    for model in row["models"][:1]:
        one = example(model, row["task"])
        if "<photo>" not in str(one["asked"]):
            one = next(o for o in EXAMPLES if model in o["models"] and o["task"] == row["task"] and "full" in o["kind"])
            one = {**one, "asked": {k: v for k, v in one["asked"].items() if k not in ("size", "n")}}
        for what, data, size, good in inputs_of(row, model):
            mask = mask_of(size)
            body = filled(one["body"], data, mask, text=True)
            asked = filled(one["asked"], data, mask, text=False)
            faults += agreed(row, model, what, good, body, asked, {"image", "references", "mask"})
    assert not faults, "\n".join(faults)


def test_the_table_is_the_catalogues_models_and_tasks() -> None:
    """Whatever a model does has its row; a task that another one plays has the other's limits."""
    rows = {(model, row["task"]) for row in LIMITS for model in row["models"]}
    known = {(model.id, str(task)) for model in CATALOG.models() if model.family in BY_NAME for task in model.tasks}
    assert known <= rows
    assert {task for _, task in rows - known} == {"control_structure"}


def test_the_emulator_says_the_same_over_http() -> None:
    """The table asks its checks directly, which is fast; one body of each row goes the whole way, good and bad."""
    with Emulator(canvas="fast", allow_plain_bearer=True, any_region=True) as emulator:
        for row in LIMITS:
            model = row["models"][-1]
            one = example(model, row["task"])
            body = filled(one["body"], picture(), mask_of(), text=True)
            assert posted(emulator, model, body) == 200, (model, row["task"])
            assert posted(emulator, model, {**body, "no_such_field": 1}) == 400, (model, row["task"])


def posted(emulator: Emulator, model: str, body: Mapping[str, Any]) -> int:
    """The status of a call with a bearer token."""
    facts = CATALOG.find(model)
    assert facts is not None
    id = facts.profile or model
    if "on_demand" not in facts.invoke and not facts.profile_only:
        id = "arn%3Aaws%3Abedrock%3Aus-east-1%3A111122223333%3Aprovisioned-model%2Fabcdefabcdef"
    headers = {"Authorization": "Bearer emulator-token", "Content-Type": "application/json"}
    request = urllib.request.Request(
        f"{emulator.url}/model/{id.replace(':', '%3A')}/invoke", json.dumps(body).encode(), headers
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return int(error.code)
