"""Another file format for a picture that has come: where the caller asked for one that the model does not make.

Nothing is decoded that need not be: without a `Delivery`, or with one that the picture meets, the bytes stay as they are.
Pillow is loaded when there is something to convert.
"""

from __future__ import annotations

import io
from typing import Any

import pybase64

from .decoding import OtherSize, conversions, decoded
from .picture_files import MAX_PIXELS
from .types import Delivery, Image, Warning

__all__ = ["deliver", "pending"]

_USUAL_QUALITY = 95
"""Of a jpeg or webp when no ``output_compression`` was asked for. Beyond, Pillow's files grow and look the same."""
_FULL_COLOUR = 90
"""From this quality on, a jpeg keeps a colour for every pixel instead of one for four."""
_UNCOMPRESSED = 100
_LOST = "the provenance metadata of the original is lost"


def pending(image: Image, delivery: Delivery | None) -> bool:
    """True if the picture is not yet as it is to be handed over. Quality 100 is met by any jpeg or webp that came so."""
    if delivery is None:
        return False
    try:
        found = image.format
    except ValueError:
        return False
    again = delivery.quality is not None and delivery.quality < _UNCOMPRESSED and found != "png"
    return delivery.format not in (None, found) or again


def deliver(image: Image, delivery: Delivery | None) -> tuple[Image, tuple[Warning, ...]]:
    """The picture as it is to be handed over, and what that did to it.

    Seed and finish reason stay. A picture that can not be converted (damaged, too large for the format) is handed over as
    it came, with a warning: it has been paid for.
    """
    if delivery is None or not pending(image, delivery):
        return image, ()
    name = image.format
    wanted = delivery.format or name
    parameter = "output_format" if wanted != name else "output_compression"
    try:
        with conversions.taken(image.width * image.height):
            data, flattened = _converted(image, wanted, delivery.quality)
    except Exception as error:  # Pillow's decoders raise whatever the damage leads to
        why = (
            str(error)
            if isinstance(error, (_TooLarge, OtherSize))
            else f"its pixels can not be read ({type(error).__name__})"
        )
        message = f"the picture could not be made a {wanted}: {why}; it is the {name} that the model made"
        return image, (Warning(code="ignored", parameter=parameter, message=message),)
    done = f"converted from {name} to {wanted} here" if wanted != name else f"the {name} was compressed again here"
    quality = f" at quality {delivery.quality}" if delivery.quality is not None and wanted != "png" else ""
    said = [Warning(code="adapted", parameter=parameter, message=f"{done}{quality}; {_LOST}")]
    if flattened:
        message = "jpeg can not hold transparency: what was transparent is white"
        said.append(Warning(code="adapted", parameter="output_format", message=message))
    made = Image(pybase64.b64encode(data).decode(), seed=image.seed, finish_reason=image.finish_reason)
    return made, tuple(said)


class _TooLarge(ValueError):
    """More pixels than are decoded here."""


def _converted(image: Image, wanted: str, quality: int | None) -> tuple[bytes, bool]:
    """The file, and whether transparent parts were filled."""
    from PIL import ImageOps

    if image.width * image.height > MAX_PIXELS:
        raise _TooLarge(f"{image.width}x{image.height} are more than {MAX_PIXELS:,} pixels")
    with decoded(image.bytes, (image.width, image.height)) as opened:
        profile = opened.info.get("icc_profile") if opened.mode in ("RGB", "RGBA", "P") else None
        ImageOps.exif_transpose(opened, in_place=True)
        pixels = _plain(opened)
    flattened = False
    if wanted == "jpeg" and pixels.mode in ("RGBA", "LA"):
        pixels, flattened = _on_white(pixels)
    # Nothing that Pillow remembers of the original may slip into the new file, where it would be half the truth.
    pixels.info.clear()
    extra: dict[str, Any] = {"icc_profile": profile} if profile else {}
    if wanted != "png":
        extra["quality"] = _USUAL_QUALITY if quality is None else quality
    if wanted == "jpeg":
        extra["quality"] = max(1, extra["quality"])  # the encoder's scale begins at 1
        extra["subsampling"] = "4:4:4" if extra["quality"] >= _FULL_COLOUR else "4:2:0"
    file = io.BytesIO()
    pixels.save(file, wanted, **extra)
    return file.getvalue(), flattened


def _plain(image: Any) -> Any:
    """8 bits of grey or of red, green and blue, with alpha if it had that."""
    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would clip
        return image.convert("I").point(lambda level: level / 257).convert("L")
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _on_white(image: Any) -> tuple[Any, bool]:
    from PIL import Image as Pillow

    alpha = image.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return image.convert("RGB"), False
    white = Pillow.new("RGB", image.size, "white")
    white.paste(image, mask=alpha)
    return white, True
