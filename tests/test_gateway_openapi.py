"""``/openapi.json`` is true: every address, every field, every answer, and the examples work."""

from __future__ import annotations

import ast
import base64
import io
import json
import re
import typing
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx2
import lascaux
import pytest
from jsonschema import Draft202012Validator
from lascaux import AsyncRouter, Config
from lascaux.emulator import Emulator, Rule
from lascaux.gateway.app import create_app
from lascaux.gateway.codes import CODES, KINDS
from lascaux.gateway.gate import open_gate
from lascaux.gateway.openai import _KNOWN, _NOT_HERE, _Wire
from lascaux.gateway.openapi import description, document
from lascaux.gateway.openapi_fields import edit_fields, fields, form_fields, other_names
from lascaux.gateway.openapi_operations import OPERATIONS
from lascaux.providers.errors import InvalidRequest
from lascaux.providers.param_names import FIELDS
from lascaux.router.config import ServerConfig
from openai.types import ImageCreateVariationParams, ImageEditParams, ImageGenerateParams
from openapi_spec_validator import OpenAPIV31SpecValidator
from PIL import Image
from starlette.routing import Mount, Route

Serve = Callable[[Any], AbstractContextManager[str]]

ROOT = Path(lascaux.__file__).parent
CORE, CANVAS = "stability.stable-image-core-v1:1", "amazon.nova-canvas-v1:0"
SPEC = description(keyed=False)


def config(url: str) -> dict[str, Any]:
    """The aliases that the examples name."""

    def place(model: str, region: str) -> dict[str, Any]:
        return {"model": model, "region": region, "credentials": "demo", "endpoint_url": url}

    return {
        "credentials": {"demo": {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}},
        "deployments": {
            "core": place(CORE, "us-west-2"),
            "sd35": place("stability.sd3-5-large-v1:0", "us-west-2"),
            "canvas": place(CANVAS, "us-east-1"),
            "cutout": place("stability.stable-image-remove-background-v1:0", "us-west-2"),
        },
        "aliases": {
            "hero": "core",
            "edit": "sd35",
            CANVAS: "canvas",
            "clear": {"deployments": ["core"], "background_remover": "cutout"},
        },
        "retry": {"attempts": 1},
    }


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """One for all."""
    with Emulator(canvas="fast", any_region=True) as running:
        yield running


@pytest.fixture(scope="module")
def client(serve: Serve, emulator: Emulator) -> Iterator[httpx2.Client]:
    """Asks a gateway without keys."""
    router = AsyncRouter(config(emulator.url), picture_files=False)
    with serve(create_app(router)) as url, httpx2.Client(base_url=url, timeout=30) as made:
        yield made


def conforms(document: Any, name: str) -> Any:
    """The document, if it has the shape of that name."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": SPEC["components"]}
    problems = [
        f"{list(one.absolute_path)}: {one.message}" for one in Draft202012Validator(schema).iter_errors(document)
    ]
    assert not problems, "\n".join(problems)
    return document


def png(mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (320, 320), (30, 120, 200) if mode == "RGB" else (0, 0, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("keyed", [False, True])
def test_it_is_openapi(keyed: bool) -> None:
    """By the rules of 3.1, and plain JSON; a key is asked for only where there are keys."""
    told = json.loads(document(keyed=keyed))
    assert list(OpenAPIV31SpecValidator(told).iter_errors()) == []
    assert bool(told["paths"]["/v1/images/generations"]["post"]["security"]) is keyed
    assert ("401" in told["paths"]["/v1/models"]["get"]["responses"]) is keyed
    assert told["paths"]["/health/live"]["get"]["security"] == []
    assert [one.id for one in OPERATIONS] == list(dict.fromkeys(one.id for one in OPERATIONS))


def test_every_address_is_described_and_every_description_has_its_address() -> None:
    """With the methods that it takes. HEAD goes with GET."""
    router = AsyncRouter(Config.from_mapping(config("http://127.0.0.1:1")), picture_files=False)
    app = create_app(router, metrics=lambda question: b"")
    there = set()
    for route in app.routes:
        if isinstance(route, Mount):
            there.add(("GET", f"{route.path}/{{}}"))
            continue
        assert isinstance(route, Route)
        path = re.sub(r"\{[a-z_]+(:path)?\}", "{}", route.path.removeprefix("/v1"))
        there |= {(method, path) for method in route.methods or () if method != "HEAD"}
    said = {(one.method.upper(), re.sub(r"\{[A-Za-z]+\}", "{}", one.path.removeprefix("/v1"))) for one in OPERATIONS}
    assert there == said


def test_every_field_that_is_taken_is_described_and_no_other() -> None:
    """By its name, or as another spelling of one."""
    taken = (set(_KNOWN) | set(_Wire.model_fields)) - _NOT_HERE
    assert set(edit_fields()) | set(other_names()) == taken
    assert set(fields()) < set(edit_fields())
    assert set(form_fields()) - {"image[]"} < set(edit_fields())
    told = SPEC["components"]["schemas"]["EditRequest"]["properties"]
    for name, meant in other_names().items():
        assert meant in told
        assert re.search(rf"\b{re.escape(name)}\B|\b{re.escape(name)}\b", told[meant]["description"])


def openai_fields(kind: Any) -> dict[str, list[str]]:
    """The parameters of OpenAI's client, with the words that it lists for each."""

    def words(hint: Any) -> list[str]:
        if typing.get_origin(hint) is Literal:
            return [str(word) for word in typing.get_args(hint)]
        return [word for inner in typing.get_args(hint) for word in words(inner)]

    found: dict[str, list[str]] = {}
    for variant in typing.get_args(kind) or (kind,):
        for name, hint in typing.get_type_hints(variant).items():
            found.setdefault(name, []).extend(words(hint))
    return found


@pytest.mark.parametrize("kind", [ImageGenerateParams, ImageEditParams])
def test_every_field_of_openais_client_is_described(kind: Any) -> None:
    """With every value that it lists, apart from what no model of Bedrock's has, which is refused by name."""
    told, refused = edit_fields(), {"gif", "svg"}
    for name, words in openai_fields(kind).items():
        assert name in told
        offered = told[name].get("enum")
        missing = {
            word for word in words if offered and word not in offered and word not in ("True", "False")
        } - refused
        assert not missing, (name, missing)


def test_variations_of_openais_client_are_described() -> None:
    """They have no field of their own."""
    assert set(typing.get_type_hints(ImageCreateVariationParams)) <= set(edit_fields())


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_says_what_its_reader_takes(name: str) -> None:
    """The smallest, the largest and every word are read; what lies beyond is refused."""
    schema, read = fields()[name], FIELDS[name]
    for word in schema.get("enum", ()):
        assert word is None or read(name, word) is None or read(name, word)
    if "minimum" in schema:
        step = 1 if schema["type"][0] == "integer" else 0.01
        for edge, beyond in ((schema["minimum"], -step), (schema["maximum"], step)):
            read(name, edge)
            with pytest.raises(InvalidRequest):
                read(name, edge + beyond)
    if "maxLength" in schema:
        read(name, "a" * schema["maxLength"])
        with pytest.raises(InvalidRequest):
            read(name, "a" * (schema["maxLength"] + 1))
    assert {"enum", "minimum", "maxLength", "pattern", "minItems"} & set(schema) or schema["type"] == [
        "boolean",
        "null",
    ]


@pytest.mark.parametrize("name", sorted(set(edit_fields()) - {"complexity", "markup"}))
def test_what_no_field_allows_is_refused_by_name(client: httpx2.Client, name: str) -> None:
    """A list of lists is nothing that any field takes, and the schema says so, too."""
    schema = {**edit_fields()[name], "components": SPEC["components"]}
    assert not Draft202012Validator(schema).is_valid([[{}]])
    answer = client.post("/v1/images/quote", json={"model": "hero", "prompt": "An otter", name: [[{}]]})
    assert answer.status_code == 400
    assert conforms(answer.json(), "Error")["error"]["param"].startswith(name.removesuffix("s"))


def test_nothing_but_its_fields_is_taken(client: httpx2.Client) -> None:
    """What the schema closes, the gateway refuses."""
    answer = client.post("/v1/images/quote", json={"model": "hero", "prompt": "An otter", "wobble": 1})
    assert (answer.status_code, conforms(answer.json(), "Error")["error"]["param"]) == (400, "wobble")


@pytest.mark.parametrize("one", [one for one in OPERATIONS if one.examples], ids=lambda one: one.id)
def test_the_examples_work(client: httpx2.Client, one: Any) -> None:
    """Each is sent as it is shown, and answered in the shape that is promised."""
    name = one.answers["application/json"]["$ref"].rpartition("/")[2]
    for body in one.examples.values():
        answer = client.post(one.path.replace("{modelId}", "hero"), json=body)
        assert answer.status_code == 200, answer.text
        conforms(answer.json(), name)
        told = SPEC["paths"][one.path]["post"]["responses"]["200"]["headers"]
        assert not [header for header, about in told.items() if about["required"] and header not in answer.headers]
        assert not [header for header in answer.headers if header.startswith("x-lascaux-") and header not in told]


def test_events_links_and_everything_else_has_its_shape(client: httpx2.Client) -> None:
    """What the examples do not show."""
    ask = {"model": "hero", "prompt": "An otter", "n": 2, "seed": 5}
    stream = client.post("/v1/images/generations", json={**ask, "stream": True})
    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = [json.loads(line.removeprefix("data: ")) for line in stream.text.splitlines() if line.startswith("data: ")]
    assert len([conforms(event, "PictureEvent") for event in events]) == 2
    linked = conforms(client.post("/images/generations", json={**ask, "response_format": "url"}).json(), "ImagesAnswer")
    picture = client.get(linked["data"][0]["url"])
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
    clear = {"model": "clear", "prompt": "An otter", "background": "transparent"}
    assert conforms(client.post("/images/quote", json=clear).json(), "Quote")["second"] is not None
    assert conforms(client.post("/images/explain", json=clear).json(), "Explanation")["second"] is not None
    refused = client.post("/images/quote", json={"model": "hero", "prompt": "An otter", "size": "7x7"})
    assert conforms(refused.json(), "Error")["error"]["lascaux"]["nearest"] == "16x16"
    for path, name in {
        "/v1/models": "ModelList", "/models/hero": "Model", "/v1/usage": "Usage", "/health/live": "Health",
        "/health/ready": "Health", "/v1/openapi.json": "Description", "/foundation-models": "FoundationModelList",
        f"/foundation-models/{CORE}": "FoundationModelAnswer", "/inference-profiles": "InferenceProfileList",
        "/inference-profiles/hero": "InferenceProfile",
    }.items():  # fmt: skip
        conforms(client.get(path).json(), name)


def test_edits_take_both_of_their_bodies(client: httpx2.Client) -> None:
    """A form with files, and JSON with a data URL; both are valid by their schemas."""
    form = client.post("/v1/images/edits", data={"model": "edit", "prompt": "A hat"}, files={"image": ("a.png", png())})
    assert form.status_code == 200, form.text
    conforms(form.json(), "ImagesAnswer")
    body = {
        "model": "edit",
        "prompt": "A hat",
        "images": [{"image_url": "data:image/png;base64," + base64.b64encode(png()).decode()}],
    }
    conforms(body, "EditRequest")
    plain = client.post("/v1/images/edits", json=body)
    assert plain.status_code == 200, plain.text
    vary = client.post("/v1/images/variations", data={"model": CANVAS}, files={"image": ("a.png", png())})
    assert vary.status_code == 200, vary.text
    conforms(vary.json(), "ImagesAnswer")


def test_a_failure_tells_of_its_attempts(serve: Serve) -> None:
    """In the shape that is described, with a code of the list."""
    with Emulator(canvas="fast", any_region=True) as troubled:
        troubled.faults.add(Rule(kind="error", status=500))
        router = AsyncRouter(config(troubled.url), picture_files=False)
        with serve(create_app(router)) as url:
            answer = httpx2.post(
                f"{url}/v1/images/generations", json={"model": "hero", "prompt": "An otter"}, timeout=30
            )
            native = httpx2.post(f"{url}/model/hero/invoke", json={"prompt": "An otter"}, timeout=30)
    assert answer.status_code in (502, 503)
    assert conforms(answer.json(), "Error")["error"]["lascaux"]["attempts"]
    conforms(native.json(), "BedrockError")
    assert str(native.status_code) in SPEC["paths"]["/model/{modelId}/invoke"]["post"]["responses"]


def texts(node: ast.AST) -> Iterator[str]:
    """Every word in an expression that can be a code."""
    for leaf in ast.walk(node):
        if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str) and re.fullmatch("[a-z_]+", leaf.value):
            yield leaf.value


def codes_in(tree: ast.Module) -> Iterator[str]:
    """What is given as the ``code`` of an error: by name, by place, to a variable of that name, or as a class's default."""
    places: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and "code" in (names := [one.arg for one in node.args.args]):
            places[node.name] = names.index("code")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and "Warning" not in (called := ast.unparse(node.func)):
            given = [one.value for one in node.keywords if one.arg == "code"]
            given += node.args[places[called] :][:1] if called in places else []
            yield from (code for one in given for code in texts(one))
        if isinstance(node, ast.Assign):
            target = ast.unparse(node.targets[0])
            if target in ("code", "default_code"):
                yield from texts(node.value)
            elif target == "(why, code)" and isinstance(node.value, ast.Tuple):
                yield from texts(node.value.elts[1])


def test_the_list_of_codes_is_closed() -> None:
    """Every code of an error that a client may see is in it, and every kind."""
    places = [ROOT / "gateway", ROOT / "providers", ROOT / "router"]
    paths = [path for place in places for path in place.rglob("*.py") if not path.name.startswith("openapi")]
    used = {code for path in paths for code in codes_in(ast.parse(path.read_text()))}
    assert {"invalid_request", "throttled", "invalid_api_key", "sts_denied", "internal", "dns", "tls"} <= used
    assert used - set(CODES) == {"content_filtered"}  # which is told as content_policy_violation
    kinds = {
        one.value.value
        for path in (ROOT / "gateway").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Refused", "Failure")
        for one in node.keywords
        if one.arg == "type" and isinstance(one.value, ast.Constant)
    }
    assert kinds == set(KINDS)


def test_it_is_shown_without_a_key(serve: Serve, emulator: Emulator) -> None:
    """To everybody, and with keys it says that they are needed."""
    router = AsyncRouter(config(emulator.url), picture_files=False)
    server = ServerConfig.model_validate({"keys": [{"name": "team-a", "key": "a-key-of-team-a-in-a-test"}]})
    gate = open_gate(server, clock=lambda: 0.0, now=lambda: datetime.now(UTC))
    with serve(create_app(router, gate=gate)) as url:
        told = httpx2.get(f"{url}/openapi.json", timeout=20)
        assert told.json()["paths"]["/v1/models"]["get"]["security"] == [{"bearer": []}]
        assert httpx2.get(f"{url}/v1/models", timeout=20).status_code == 401


@pytest.mark.parametrize("path", ["/v1/models", "/openapi.json", "/health/live", "/foundation-models"])
def test_head_is_get_without_a_body_and_options_says_what_there_is(client: httpx2.Client, path: str) -> None:
    """HEAD has GET's headers; OPTIONS is no operation, and Allow tells those that are."""
    get, head, options = client.get(path), client.head(path), client.options(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
    assert options.status_code == 405
    assert set(options.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "kind"),
    [
        ("GET", "/model/hero/invoke", {}, 405, "UnknownOperationException"),
        ("PUT", "/foundation-models", {}, 405, "UnknownOperationException"),
        ("GET", "/model", {}, 404, "UnknownOperationException"),
        ("POST", "/inference-profiles", {}, 405, "UnknownOperationException"),
        ("GET", "/inference-profiles", {"host": "evil.example"}, 403, "AccessDeniedException"),
        ("POST", "/model/hero/invoke", {"origin": "https://evil.example"}, 403, "AccessDeniedException"),
        ("GET", "/inference-profiles/nobody", {}, 404, "ResourceNotFoundException"),
    ],
)
def test_bedrocks_addresses_have_bedrocks_errors(
    client: httpx2.Client, method: str, path: str, headers: dict[str, str], status: int, kind: str
) -> None:
    """For methods, addresses and strangers as well."""
    answer = client.request(method, path, headers=headers)
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (status, kind)
    conforms(answer.json(), "BedrockError")
    assert "x-amzn-requestid" in answer.headers
    assert ("allow" in answer.headers) is (status == 405)


def test_there_is_no_redirect(client: httpx2.Client) -> None:
    """It would lead to wherever the Host header says."""
    answer = client.post("/v1/images/generations/", json={}, headers={"host": "localhost"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_a_preflight_that_is_refused_is_an_error_like_all_others(serve: Serve, emulator: Emulator) -> None:
    """With the headers that browsers look at; one that is allowed is answered as ever."""
    app = create_app(AsyncRouter(config(emulator.url), picture_files=False), cors_origins=["https://app.example.com"])
    asked = {"origin": "https://app.example.com", "access-control-request-method": "DELETE"}
    with serve(app) as url:
        refused = httpx2.options(f"{url}/v1/models", headers=asked, timeout=20)
        allowed = httpx2.options(
            f"{url}/v1/models", headers=asked | {"access-control-request-method": "POST"}, timeout=20
        )
    assert (refused.status_code, conforms(refused.json(), "Error")["error"]["code"]) == (400, "origin_not_allowed")
    assert "Origin" in refused.headers["vary"]
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, asked["origin"])
