"""The words that a provider and a router share: what is asked, of whom, and what came back."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, cast

import pybase64

from .images import PictureHeader, read_header
from .quick import quick

__all__ = [
    "Call",
    "Credentials",
    "Delivery",
    "Image",
    "ImageRequest",
    "ImageResult",
    "Missing",
    "Picture",
    "Secret",
    "Target",
    "Task",
    "Warning",
]


T = TypeVar("T")


class Task(StrEnum):
    """What to do. One vocabulary for every model; see the catalogue for who can do what."""

    TEXT_TO_IMAGE = "text_to_image"
    IMAGE_TO_IMAGE = "image_to_image"
    VARIATION = "variation"
    INPAINT = "inpaint"
    OUTPAINT = "outpaint"
    ERASE = "erase"
    REMOVE_BACKGROUND = "remove_background"
    SEARCH_REPLACE = "search_replace"
    SEARCH_RECOLOR = "search_recolor"
    COLOR_GUIDED = "color_guided"
    VIRTUAL_TRY_ON = "virtual_try_on"
    CONTROL_SKETCH = "control_sketch"
    CONTROL_STRUCTURE = "control_structure"
    STYLE_GUIDE = "style_guide"
    STYLE_TRANSFER = "style_transfer"
    UPSCALE_FAST = "upscale_fast"
    UPSCALE_CONSERVATIVE = "upscale_conservative"
    UPSCALE_CREATIVE = "upscale_creative"


@dataclass(frozen=True, slots=True, kw_only=True)
class Warning:
    """A parameter that was adapted or ignored, or a fact about the answer that the caller should know.

    ``code`` is one of ``adapted``, ``ignored``, ``retired``, ``price_unknown``, ``price_expired``, ``may_be_billed``,
    ``filtered``, ``unexpected_size``, ``unexpected_format``, ``config``.
    """

    code: str
    message: str
    parameter: str | None = None

    def __str__(self) -> str:
        return f"{self.parameter}: {self.message}" if self.parameter else self.message


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An input picture that was checked: base64 without a data-URL prefix, and what its header says.

    ``format`` is ``png``, ``jpeg`` or ``webp``; ``width`` and ``height`` are pixels; ``alpha`` tells whether it has an alpha
    channel, whatever is in it. Made by ``providers.pictures.read_picture``.
    """

    b64: str = field(repr=False)
    format: str
    width: int
    height: int
    alpha: bool = False
    _made: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def bytes(self) -> bytes:
        """The picture's file content."""
        return pybase64.b64decode(self.b64, validate=True)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What ``make`` makes of this picture, made the first time and kept as long as the picture.

        Each part and each fallback of a request needs the same masks and opaque copies, and their pixels cost time.
        """
        if key not in self._made:
            self._made[key] = make()
        return cast(T, self._made[key])


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRequest:
    """One request, in words that hold for every model.

    ``image`` is the picture to work on, ``references`` are further ones (more pictures of a variation, a style, a garment,
    the colours to follow). ``mask`` marks what shall change: with ``mask_mode`` ``alpha`` (OpenAI's convention) where it is
    transparent, with ``white`` or ``black`` where it has that colour. ``options`` hold what only some tasks know, under
    one name for all models: see ``providers.options``.

    ``size`` is (width, height) in pixels. ``quality`` is ``standard`` or ``premium``. ``None`` always means "not given":
    the model's own default applies. ``native`` holds what only the provider knows: it is merged into the upstream body of a
    model that speaks its dialect.
    """

    prompt: str
    task: Task = Task.TEXT_TO_IMAGE
    negative_prompt: str | None = None
    size: tuple[int, int] | None = None
    aspect_ratio: str | None = None
    n: int = 1
    seed: int | None = None
    quality: str | None = None
    style: str | None = None
    cfg_scale: float | None = None
    steps: int | None = None
    sampler: str | None = None
    clip_guidance_preset: str | None = None
    output_format: str | None = None
    output_compression: int | None = None
    background: str | None = None
    guardrail_id: str | None = None
    guardrail_version: str | None = None
    image: Picture | None = None
    references: tuple[Picture, ...] = ()
    mask: Picture | None = None
    mask_mode: str = "alpha"
    options: Mapping[str, Any] = field(default_factory=dict)
    native: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False
    warnings: tuple[Warning, ...] = ()
    _made: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What ``make`` makes of this request, made the first time and kept as long as the request: as `Picture.once`."""
        if key not in self._made:
            self._made[key] = make()
        return cast(T, self._made[key])


class Secret:
    """A string that prints as ``****`` everywhere. ``reveal()`` is the only way to read it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself. Call it only where the value leaves for AWS."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('****')"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """How a deployment proves who it is: exactly one kind, complete or refused, never mixed with the environment.

    Nothing set means boto3's default chain. Otherwise one of: ``access_key_id`` + ``secret_access_key`` (+
    ``session_token``); ``profile``; ``role_arn`` (assumed from ``source`` or the default chain); ``role_arn`` +
    ``web_identity_token_file``; ``bearer_token``.
    """

    name: str = "default"
    access_key_id: str | None = None
    secret_access_key: Secret | None = None
    session_token: Secret | None = None
    profile: str | None = None
    role_arn: str | None = None
    external_id: Secret | None = None
    session_name: str | None = None
    session_tags: tuple[tuple[str, str], ...] = ()
    duration: int | None = None
    """Seconds an assumed session lasts; at least 1800, else every request would call STS."""
    source: Credentials | None = None
    web_identity_token_file: str | None = None
    web_identity_token: Secret | None = None
    bearer_token: Secret | None = None
    sts_endpoint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One place that can serve a call: a model id as it goes on the wire, a region, and who pays.

    ``model`` is the base model (``amazon.nova-canvas-v1:0``) which decides the family; ``model_id`` what is put into the
    URL: the same id, its ``us.`` profile, or an ARN.
    """

    deployment: str
    model: str
    model_id: str
    region: str
    credentials: Credentials = Credentials()
    endpoint_url: str | None = None
    use_fips: bool = False
    use_dualstack: bool = False
    verify: bool | str = True
    """False switches TLS verification off, a path names a CA bundle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The file in which pictures are handed over, whatever file the model makes.

    ``format`` is ``png``, ``jpeg`` or ``webp``, None for the model's own. ``quality`` of a jpeg or webp runs from 0 (the
    smallest file) to 100, as OpenAI's ``output_compression``; None leaves it open.
    """

    format: str | None = None
    quality: int | None = None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One upstream call, ready to be sent: a pure function of request and model facts.

    ``width``, ``height``, ``quality`` and ``steps`` are what pricing needs; None where the model has no such thing.
    ``seed`` is what was sent, ``effective_seed`` what the model will use (a fixed default when none was sent), None when
    the model draws one. ``reproducible`` calls may be cached.

    ``format`` and ``ratio`` are what the pictures must come back as, None where the model does not promise it; so are
    ``width`` and ``height``. ``delivery`` is what is done with them afterwards, None to hand over the bytes as they come;
    it is no part of what is cached. ``usual`` are the fields of the body that, at these values, mean what the model does
    without them.
    """

    model: str
    family: str
    task: Task
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    images: int = 1
    seed: int | None = None
    effective_seed: int | None = None
    reproducible: bool = False
    width: int | None = None
    height: int | None = None
    quality: str | None = None
    steps: int | None = None
    format: str | None = None
    ratio: str | None = None
    delivery: Delivery | None = None
    usual: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[Warning, ...] = ()

    @property
    def told(self) -> dict[str, Any]:
        """What makes this call another one: the body, less what the model does without being told."""
        if not self.usual:
            return dict(self.body)
        return {name: value for name, value in self.body.items() if name not in self.usual or self.usual[name] != value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A picture that was asked for and not delivered. ``reason`` is ``filtered`` or ``failed``."""

    index: int
    reason: str
    message: str
    may_be_billed: bool = True


class Image:
    """One picture, kept as the base64 text it came as and decoded when asked for.

    The bytes are exactly the provider's, which carry its provenance metadata, unless a conversion was asked for that the
    provider does not do. ``format`` is ``png``, ``jpeg`` or ``webp``
    and, like ``width`` and ``height`` (pixels), read from the bytes, not from what was promised. ``seed`` is None when
    the provider drew one and did not say which.
    """

    __slots__ = ("_header", "_letters", "finish_reason", "seed")

    def __init__(self, b64: str | memoryview, *, seed: int | None = None, finish_reason: str = "success") -> None:
        """``b64`` may be a view of ASCII letters in a larger buffer, which it keeps; it becomes a text when asked for."""
        self._letters = b64
        self.seed = seed
        self.finish_reason = finish_reason
        self._header: PictureHeader | None = None

    @property
    def b64(self) -> str:
        """The file as base64 text."""
        letters = self._letters
        if isinstance(letters, memoryview):
            letters = self._letters = str(letters, "ascii")  # kept, and the buffer let go: nobody pays for it twice
        return letters

    @property
    def letters(self) -> str | memoryview:
        """The base64 as it is kept: to send it on, or to measure it, without making a text of it."""
        return self._letters

    @property
    def bytes(self) -> bytes:
        """The picture's file content."""
        return pybase64.b64decode(self._letters, validate=True)

    @property
    def header(self) -> PictureHeader:
        """Format and size, read from the first kilobytes. Raises ValueError if this is not a picture."""
        if self._header is None:
            self._header = read_header(self._letters)
        return self._header

    @property
    def format(self) -> str:
        """``png``, ``jpeg`` or ``webp``."""
        return self.header.format

    @property
    def width(self) -> int:
        """Pixels."""
        return self.header.width

    @property
    def height(self) -> int:
        """Pixels."""
        return self.header.height

    def save(self, path: str | Path) -> Path:
        """Write the bytes to ``path`` (folders are made) and return it. The extension is not interpreted."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self.bytes)
        return target

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        """A view can not be pickled; the text can."""
        return None, {"_letters": self.b64, "seed": self.seed, "finish_reason": self.finish_reason, "_header": None}

    def __repr__(self) -> str:
        try:
            return f"<Image {self.format} {self.width}x{self.height} seed={self.seed}>"
        except ValueError:
            return f"<Image unreadable seed={self.seed}>"


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class ImageResult:
    """What one upstream call delivered: at least one picture, and why others are missing."""

    images: tuple[Image, ...]
    missing: tuple[Missing, ...] = ()
    request_id: str | None = None
    warnings: tuple[Warning, ...] = ()
    mask: Image | None = None
    """The mask that the model made or used, where it was asked to return it."""
