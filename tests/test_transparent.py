"""A transparent background from models that only make opaque pictures: the alias says who removes it, in a second call."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from lascaux import AsyncRouter, Config, ConfigError, InvalidRequest, Router, image_generation
from lascaux.cli import app as cli
from lascaux.emulator import Emulator, Rule
from lascaux.providers.fake import FakeProvider
from lascaux.providers.pictures import encode_png
from lascaux.providers.types import Call, Image, ImageRequest, ImageResult, Missing, Target, Task, Warning
from lascaux.router import telemetry_names as names
from lascaux.router.records import Result
from lascaux.router.stages import stages
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from PIL import Image as Pillow
from typer.testing import CliRunner

CORE = "stability.stable-image-core-v1:1"
REMOVER = "stability.stable-image-remove-background-v1:0"
OTTER = "A cute baby sea otter"
SQUARE = encode_png(Pillow.new("RGB", (512, 512), "teal")).b64
FIRST, SECOND = Decimal("0.04"), Decimal("0.07")
"""What a picture of Core costs, and the removal of a background (rates of 2026-11-22)."""


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    """It draws real pictures and really cuts out what stands in front."""
    with Emulator(canvas="fast") as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Iterator[Emulator]:
    """The same, without memory of the test before."""
    running.forget()
    running.faults.clear()
    yield running
    running.faults.clear()


def settings(url: str | None, **hero: Any) -> dict[str, Any]:
    """Core, with a remover; ``hero`` adds to its alias."""
    place = {"region": "us-west-2", "credentials": "demo", **({"endpoint_url": url} if url else {})}
    models = {
        "core": CORE,
        "remover": REMOVER,
        "canvas": "amazon.nova-canvas-v1:0",
        "inpaint": "stability.stable-image-inpaint-v1:0",
        "upscale": "stability.stable-fast-upscale-v1:0",
    }
    return {
        "credentials": {"demo": {"access_key_id": "emulator", "secret_access_key": "emulator-secret"}},
        "deployments": {name: {"model": model, **place} for name, model in models.items()}
        | {"canvas": {"model": models["canvas"], **place, "region": "us-east-1"}},
        "aliases": {
            "hero": {"deployments": ["core"], "background_remover": "cutout", **hero},
            "touch-up": {"deployments": ["inpaint"], "background_remover": "cutout"},
            "large": {"deployments": ["upscale"], "background_remover": "cutout"},
            "pair": {"deployments": ["canvas"], "background_remover": "remover"},
            "plain": {"deployments": ["core"]},
            "cutout": {"deployments": ["remover"]},
        },
        "retry": {"attempts": 1},
        "lifecycle": {"retired": "allow"},
    }


class _Large(FakeProvider):
    """Pictures that are large enough for a remover, unless a script says otherwise."""

    def send(self, target: Target, call: Call, *, timeout: float) -> ImageResult:
        found = super().send(target, call, timeout=timeout)
        return replace(found, images=tuple(Image(SQUARE, seed=image.seed) for image in found.images))


def opened(image: Image) -> Pillow.Image:
    return Pillow.open(io.BytesIO(image.bytes))


def is_cut_out(image: Image) -> bool:
    """Transparent in all corners, and not everywhere."""
    picture = opened(image)
    if "A" not in picture.getbands():
        return False
    alpha = picture.getchannel("A")
    right, lower = picture.width - 1, picture.height - 1
    corners = [alpha.getpixel(spot) for spot in ((0, 0), (right, 0), (0, lower), (right, lower))]
    return corners == [0] * 4 and alpha.getextrema() == (0, 255)


def codes(result: Result) -> list[tuple[str, str | None]]:
    return [(warning.code, warning.parameter) for warning in result.warnings]


def calls(result: Result) -> list[tuple[int, int, int, str, str]]:
    return [(one.ordinal, one.stage, one.part, one.deployment, one.outcome) for one in result.attempts]


def test_the_background_is_removed_in_a_second_call(emulator: Emulator) -> None:
    """Model and seed are the first call's, the file is the second's, the bill is both's; spans tell of each."""
    exporter, tracer = InMemorySpanExporter(), TracerProvider()
    tracer.add_span_processor(SimpleSpanProcessor(exporter))
    with Router(settings(emulator.url), tracer_provider=tracer) as router:
        result = router.generate("hero", OTTER, background="transparent", seed=30, strict=True)
    (image,) = result.images
    assert is_cut_out(image)
    assert (image.format, image.width, image.height, image.seed) == ("png", 1024, 1024, 30)
    assert (result.model, result.deployment, result.alias, result.seed) == (CORE, "core", "hero", 30)
    assert result.cost.usd == FIRST + SECOND
    assert [attempt.cost.usd for attempt in result.attempts if attempt.cost] == [FIRST, SECOND]
    assert calls(result) == [(1, 1, 0, "core", "ok"), (2, 2, 0, "remover", "ok")]
    assert result.cache == "miss"
    (warning,) = result.warnings
    assert (warning.code, warning.parameter) == ("adapted", "background")
    assert REMOVER in warning.message
    assert "costs extra" in warning.message
    first, second = (record.body for record in emulator.log)
    assert first is not None
    assert second is not None
    assert "background" not in first
    assert first["output_format"] == "png"
    assert set(second) == {"image"}
    *attempts, request = exporter.get_finished_spans()
    assert [(span.attributes or {})["lascaux.task"] for span in attempts] == ["text_to_image", "remove_background"]
    assert all(span.parent and span.parent.span_id == request.context.span_id for span in attempts)
    facts = dict(request.attributes or {})
    assert facts["lascaux.cost.usd"] == pytest.approx(0.11)
    assert facts[names.RETRIES_MADE] == facts[names.FALLBACKS_MADE] == 0


def test_nothing_happens_without_being_asked_for(emulator: Emulator) -> None:
    """One call for an opaque picture, whatever the alias could do; and for a remover's own task."""
    with Router(settings(emulator.url)) as router:
        assert len(router.generate("hero", OTTER).attempts) == 1
        assert len(router.generate("hero", OTTER, background="opaque", strict=True).attempts) == 1
        picture = Pillow.new("RGB", (640, 512), "teal")
        result = router.edit("cutout", image=picture, task="remove_background", background="transparent", strict=True)
        assert len(result.attempts) == 1
        assert result.warnings == ()


def test_without_a_remover_it_is_as_it_was(emulator: Emulator) -> None:
    """A warning; when strict, a refusal that says what would allow it."""
    with Router(settings(emulator.url)) as router:
        result = router.generate("plain", OTTER, background="transparent")
        assert codes(result) == [("ignored", "background")]
        assert not is_cut_out(result.images[0])
        with pytest.raises(InvalidRequest, match="give 'plain' a background_remover") as caught:
            router.generate("plain", OTTER, background="transparent", strict=True)
        assert caught.value.parameter == "background"
        assert caught.value.attempts == ()
    assert len(emulator.log) == 1


@pytest.mark.parametrize("alias", ["hero", "plain"])
@pytest.mark.parametrize("word", ["jpeg", "jpg"])
def test_jpeg_has_no_transparency(alias: str, word: str) -> None:
    """Both parameters are named, before anything is sent."""
    provider = FakeProvider()
    with Router(settings(None), provider=provider) as router:
        with pytest.raises(InvalidRequest, match=r"background.*jpeg|jpeg.*background") as caught:
            router.generate(alias, OTTER, background="transparent", output_format=word)
        assert "output_format" in str(caught.value)
        assert caught.value.allowed == "png, webp"
    assert provider.sent == ()


def test_webp_is_the_second_call_s_format(emulator: Emulator) -> None:
    """The first makes a png all the same, and loses nothing."""
    with Router(settings(emulator.url)) as router:
        result = router.generate("hero", OTTER, background="transparent", output_format="webp", strict=True)
    assert result.images[0].format == "webp"
    assert is_cut_out(result.images[0])
    assert [(record.body or {}).get("output_format") for record in emulator.log] == ["png", "webp"]


def test_three_pictures_are_three_removals(emulator: Emulator) -> None:
    """Each beside the others, in the order of the seeds."""
    with Router(settings(emulator.url)) as router:
        result = router.generate("hero", OTTER, background="transparent", n=3, seed=5)
    assert [image.seed for image in result.images] == [5, 6, 7]
    assert all(is_cut_out(image) for image in result.images)
    assert len({image.b64 for image in result.images}) == 3
    assert result.cost.usd == 3 * (FIRST + SECOND)
    assert sorted((one.stage, one.part) for one in result.attempts) == [(s, p) for s in (1, 2) for p in (0, 1, 2)]
    assert [one.ordinal for one in result.attempts] == [1, 2, 3, 4, 5, 6]
    assert codes(result) == [("adapted", "background")]


def test_two_stages_are_one_request_for_the_retry_budget(emulator: Emulator) -> None:
    """Three removals add nothing to what one request allows."""
    with Router({**settings(emulator.url), "retry": {"budget": 0.2, "billed_budget": 0.05}}) as router:
        context = router._runtime.context
        before = context.budget.left(context.clock()), context.billed.left(context.clock())
        router.generate("hero", OTTER, background="transparent", n=3, seed=5)
        after = context.budget.left(context.clock()), context.billed.left(context.clock())
    assert [now - then for then, now in zip(before, after, strict=True)] == pytest.approx([0.2, 0.05])


def test_two_pictures_of_one_call_are_cut_out_apart(emulator: Emulator) -> None:
    """Nova Canvas makes several in one call; its price is shared out and adds up again."""
    with Router(settings(emulator.url)) as router:
        whole = router.generate("pair", OTTER, n=2, seed=5).cost.usd
        result = router.generate("pair", OTTER, background="transparent", n=2, seed=6)
    assert [is_cut_out(image) for image in result.images] == [True, True]
    assert whole is not None
    assert result.cost.usd == whole + 2 * SECOND
    assert sorted((one.stage, one.part) for one in result.attempts) == [(1, 0), (2, 0), (2, 1)]


@pytest.mark.parametrize("strict", [False, True])
def test_a_picture_that_was_paid_for_is_not_thrown_away(emulator: Emulator, strict: bool) -> None:
    """The removal fails once of three: that picture is delivered opaque, with a warning, also when strict."""
    emulator.faults.add(Rule(model=REMOVER, status=500, times=1))
    with Router(settings(emulator.url)) as router:
        result = router.generate("hero", OTTER, background="transparent", n=3, seed=5, strict=strict)
    assert sorted(is_cut_out(image) for image in result.images) == [False, True, True]
    assert result.missing == ()
    assert result.cost.usd == 3 * FIRST + 2 * SECOND
    place = next(place for place, image in enumerate(result.images) if not is_cut_out(image))
    (failed,) = [one for one in result.attempts if one.error]
    assert (failed.stage, failed.part, failed.deployment) == (2, place, "remover")
    assert sorted(codes(result)) == [("adapted", "background"), ("ignored", "background")]
    (said,) = [str(warning) for warning in result.warnings if warning.code == "ignored"]
    assert f"picture {place + 1}" in said
    assert "delivered opaque" in said


def test_an_opaque_picture_still_has_the_format_that_was_asked_for(emulator: Emulator) -> None:
    """No removal succeeds, and the file is a webp."""
    emulator.faults.add(Rule(model=REMOVER, status=500))
    with Router(settings(emulator.url)) as router:
        result = router.generate("hero", OTTER, background="transparent", output_format="webp")
    assert (result.images[0].format, is_cut_out(result.images[0])) == ("webp", False)
    assert result.cost.usd == FIRST


def test_the_remover_has_its_own_retries_and_fallbacks(emulator: Emulator) -> None:
    """And they count as such: one fallback, no attempt of the first stage again."""
    plain = settings(emulator.url)
    plain["aliases"]["cutout"]["fallbacks"] = ["canvas"]
    emulator.faults.add(Rule(model=REMOVER, status=500))
    with Router(plain) as router:
        result = router.generate("hero", OTTER, background="transparent", seed=5)
    assert is_cut_out(result.images[0])
    assert [(one.stage, one.alias) for one in result.attempts] == [(1, "hero"), (2, "cutout"), (2, "canvas")]
    assert "amazon.nova-canvas-v1:0 (cutout)" in str(result.warnings)


def test_the_first_stage_may_fail_like_any_request(emulator: Emulator) -> None:
    """What is missing is not removed, and what was made is cut out."""
    emulator.faults.add(Rule(model=CORE, status=500, times=1))
    with Router(settings(emulator.url)) as router:
        result = router.generate("hero", OTTER, background="transparent", n=2, seed=5)
    assert len(result.images) == len(result.missing) == 1
    assert is_cut_out(result.images[0])
    assert result.cost.usd == FIRST + SECOND


def test_each_stage_is_cached_for_itself(emulator: Emulator) -> None:
    """A hit costs nothing and says what it saved; one stage may be a hit without the other."""
    with Router(settings(emulator.url)) as router:

        def made(**more: Any) -> tuple[str, Decimal | None, Decimal | None, int]:
            result = router.generate("hero", OTTER, seed=5, background="transparent", **more)
            assert all(is_cut_out(image) for image in result.images)
            return result.cache, result.cost.usd, result.cost.saved_usd, len(result.attempts)

        assert made() == ("miss", FIRST + SECOND, None, 2)
        assert made() == ("hit", Decimal(0), FIRST + SECOND, 0)
        assert made(output_format="webp") == ("miss", SECOND, FIRST, 1)
        assert made(n=2) == ("miss", FIRST + SECOND, FIRST + SECOND, 2)
        assert made(cache=False) == ("bypass", FIRST + SECOND, None, 2)


def test_a_picture_that_nobody_can_ask_for_again_leaves_nothing_in_the_cache(emulator: Emulator) -> None:
    """Its removal would never be found."""
    with Router(settings(emulator.url)) as router:
        assert router.generate("hero", OTTER, background="transparent").cache == "bypass"
        assert len(router._runtime.cache) == 0  # type: ignore[arg-type]


def test_edits_are_cut_out_too(emulator: Emulator) -> None:
    """Inpaint, then the removal; the mask marks what changes as ever."""
    photo, mask = Pillow.new("RGB", (640, 512), "teal"), Pillow.new("L", (640, 512), 0)
    mask.paste(255, (200, 150, 440, 360))
    with Router(settings(emulator.url)) as router:
        result = router.edit(
            "touch-up", "a ball", image=photo, mask=mask, mask_mode="white", background="transparent", seed=5
        )
    assert [one.task for one in result.attempts] == ["inpaint", "remove_background"]
    assert is_cut_out(result.images[0])
    assert (result.images[0].width, result.images[0].height) == (640, 512)


def test_what_the_remover_can_not_take_is_known_before_money_is_spent() -> None:
    """A picture of 4800 x 3200 pixels is beyond its limits: refused when strict, else opaque with the reason."""
    photo = Pillow.new("RGB", (1200, 800), "teal")
    provider = FakeProvider()
    with Router(settings(None), provider=provider) as router:
        asked: dict[str, Any] = dict(image=photo, task="upscale_fast", background="transparent")
        with pytest.raises(InvalidRequest, match="'cutout', which removes it for 'large', can not do this") as caught:
            router.edit("large", strict=True, **asked)
        assert caught.value.parameter == "background"
        refused = provider.sent
        result = router.edit("large", **asked)
        assert refused == ()
        assert [sent.call.task for sent in provider.sent] == [Task.UPSCALE_FAST]
        assert any("delivered opaque" in str(warning) and "too large" in str(warning) for warning in result.warnings)


def test_the_deadline_spans_both_stages() -> None:
    """What is left after the first is all that the second has."""
    now = [0.0]
    provider = _Large()

    def slow(target: Target, call: Call) -> ImageResult:
        now[0] += 50
        return _Large().send(target, call, timeout=1)

    provider.then("core", slow)
    with Router(settings(None), provider=provider, clock=lambda: now[0]) as router:
        router.generate("hero", OTTER, background="transparent", deadline=60)
        first, second = provider.sent
        assert (first.timeout, second.timeout) == (60, 10)
        provider.then("core", slow)
        result = router.generate("hero", OTTER, background="transparent", deadline=50)
        assert len(provider.sent) == 3
        assert "did not answer within 50 s" in str(result.warnings)


def test_the_places_of_missing_pictures_stay() -> None:
    """The first of three was filtered by a model that makes all in one call."""
    provider = _Large()

    def two_of_three(target: Target, call: Call) -> ImageResult:
        found = _Large().send(target, call, timeout=1)
        gap = Missing(index=0, reason="filtered", message="no")
        return replace(found, images=found.images[1:], missing=(gap,))

    provider.then("canvas", two_of_three)
    with Router(settings(None), provider=provider) as router:
        result = router.generate("pair", OTTER, n=3, seed=1, background="transparent")
    assert [gap.index for gap in result.missing] == [0]
    assert len(result.images) == 2
    assert len(provider.sent) == 2  # the pictures are the same, so one removal serves both


class _Able(_Large):
    """A provider one of whose models makes transparent pictures itself."""

    def prepare(self, request: ImageRequest, target: Target) -> tuple[Call, ...]:
        found = super().prepare(replace(request, background=None), target)
        if request.background != "transparent" or target.deployment == "able":
            return found
        said = Warning(code="ignored", parameter="background", message="opaque only")
        return tuple(replace(call, warnings=(*call.warnings, said)) for call in found)


def test_a_model_that_makes_transparent_pictures_needs_no_second_call() -> None:
    """And the decision can be asked for without a request."""
    plain = settings(None)
    plain["deployments"]["able"] = plain["deployments"]["core"]
    plain["aliases"]["able-hero"] = {"deployments": ["able"], "background_remover": "cutout"}
    provider = _Able()
    with Router(plain, provider=provider) as router:
        assert len(router.generate("able-hero", OTTER, background="transparent").attempts) == 1
        context, find = router._runtime.context, router._runtime.aliases.find
        asked = ImageRequest(prompt=OTTER, background="transparent", n=2)
        assert stages(context.planner, find("able-hero"), asked, today=context.today()) is None
        assert stages(context.planner, find("plain"), asked, today=context.today()) is None
        found = stages(context.planner, find("hero"), asked, today=context.today())
        assert found is not None
        assert (found.remover.name, found.first.background, found.first.n) == ("cutout", None, 2)
        assert found.refusal is None


def test_async_is_the_same(emulator: Emulator) -> None:
    """Pictures, bill and warnings."""

    async def awaited() -> Result:
        async with AsyncRouter(settings(emulator.url)) as router:
            return await router.generate("hero", OTTER, background="transparent", n=2, seed=5)

    result = asyncio.run(awaited())
    assert [is_cut_out(image) for image in result.images] == [True, True]
    assert result.cost.usd == 2 * (FIRST + SECOND)
    assert codes(result) == [("adapted", "background")]


def test_litellms_function_has_it(emulator: Emulator) -> None:
    """``background`` as OpenAI spells it; who removes it is one argument more, reached like the model itself."""
    way: dict[str, Any] = dict(
        model=f"bedrock/{CORE}",
        aws_access_key_id="emulator",
        aws_secret_access_key="emulator-secret",
        aws_region_name="us-west-2",
        api_base=emulator.url,
        background="transparent",
    )
    response = image_generation(OTTER, **way, background_remover=f"bedrock/{REMOVER}")
    assert is_cut_out(Image(response.data[0].b64_json or ""))
    assert response._hidden_params["lascaux"]["cost_usd"] == "0.11"
    assert not is_cut_out(Image(image_generation(OTTER, **way).data[0].b64_json or ""))
    for wrong in (f"bedrock/{CORE}", "bedrock/nonsense", 7):
        with pytest.raises(InvalidRequest, match=r"^background_remover") as caught:
            image_generation(OTTER, **way, background_remover=wrong)
        assert str(caught.value.parameter).startswith("background_remover")


def test_the_command_line_has_it(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--background``, for words and for pictures; a jpeg is refused with exit code 2."""
    monkeypatch.chdir(tmp_path)
    Path("lascaux.yaml").write_text(yaml.safe_dump(settings(emulator.url)))
    Pillow.new("RGB", (640, 512), "teal").save("photo.png")

    def run(*args: str) -> Any:
        return CliRunner().invoke(cli.app, [*args, "--background", "transparent", "--json"], prog_name="lascaux")

    done = run("generate", OTTER, "-m", "hero", "-o", "otter.png")
    assert done.exit_code == 0, done.output
    with Pillow.open("otter.png") as picture:
        assert picture.mode == "RGBA"
    told = json.loads(done.stdout)
    assert (told["cost"]["usd"], [one["stage"] for one in told["attempts"]]) == ("0.11", [1, 2])
    assert run("edit", "photo.png", "a ball", "-m", "touch-up", "-p", "search_prompt=x").exit_code == 2
    assert run("generate", OTTER, "-m", "hero", "-o", "otter.jpg").exit_code == 2


@pytest.mark.parametrize(
    ("remover", "said"),
    [
        ("cutuot", "cutout"),
        ("hero", "names itself"),
        ("second", "names itself"),
        ("circle", "goes in a circle: hero -> circle -> hero"),
        ("any", "passes model ids through"),
    ],
)
def test_a_remover_is_checked_like_a_fallback(remover: str, said: str) -> None:
    """Names that are not there, itself, circles, pass-throughs: each is told with its key."""
    plain = settings(None, background_remover=remover)
    plain["aliases"] |= {
        "second": "hero",
        "circle": {"deployments": ["remover"], "background_remover": "hero"},
        "any": {"match": "bedrock/*", "region": "us-west-2"},
    }
    if remover != "circle":
        del plain["aliases"]["circle"]
    with pytest.raises(ConfigError, match=said) as caught:
        Config.from_mapping(plain)
    assert "aliases.hero.background_remover" in str(caught.value)
    assert len(caught.value.problems) == 1


def test_a_remover_must_be_able_to_remove() -> None:
    """Known when the router is built; models that could are named. A fallback that can is enough."""
    plain = settings(None, background_remover="plain")
    with pytest.raises(ConfigError, match=f"no model of 'plain' can remove a background; these can: .*{REMOVER}"):
        Router(plain)
    plain["aliases"]["plain"]["fallbacks"] = ["cutout"]
    Router(plain).close()
