"""What stands in front: everything that the colours of the border do not reach."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageDraw, ImageFilter

__all__ = ["cutout", "foreground"]

_SIDE = 160
_REACH = 26
"""How far, in grey levels, a colour may be from its neighbours along the border and still be background."""


def cutout(picture: Image.Image, *, fast: bool = False) -> Image.Image:
    """The picture with an alpha channel that hides its background; colours stay as they are."""
    alpha = _oval(picture.size) if fast else foreground(picture)
    if "A" in picture.getbands():
        alpha = ImageChops.darker(alpha, picture.getchannel("A"))
    result = picture.convert("RGBA")
    result.putalpha(alpha)
    return result


def foreground(picture: Image.Image) -> Image.Image:
    """A grey mask, white on what stands in front. If nothing does, an oval in the middle."""
    rgb = picture.convert("RGB")
    share = min(1.0, _SIDE / max(rgb.size))
    small = rgb.resize((max(2, round(rgb.width * share)), max(2, round(rgb.height * share))), Image.Resampling.BOX)
    expected = _background(small)
    near = _distance(small, expected).point([255 if value <= _REACH else 0 for value in range(256)])
    flooded = _flooded(near)
    seen = flooded.histogram()[255] / (small.width * small.height)
    if not 0.02 <= seen <= 0.985:
        return _oval(rgb.size)
    front = ImageChops.invert(flooded)
    size = rgb.size
    inner = front.filter(ImageFilter.MinFilter(3)).resize(size, Image.Resampling.BILINEAR)
    outer = front.filter(ImageFilter.MaxFilter(3)).resize(size, Image.Resampling.BILINEAR)
    table = [min(255, max(0, (value - _REACH // 2) * 10)) for value in range(256)]
    fine = _distance(rgb, expected.resize(size, Image.Resampling.BILINEAR)).point(table)
    return ImageChops.lighter(inner, ImageChops.darker(outer, fine)).point(_firm)


def _firm(value: int) -> int:
    return min(255, max(0, round((value - 40) * 1.45)))


def _background(small: Image.Image) -> Image.Image:
    """What the picture would be if its borders ran on: the four edges, each fading towards the middle."""
    width, height = small.size
    across = Image.new("RGB", (2, height))
    across.paste(small.crop((0, 0, 1, height)), (0, 0))
    across.paste(small.crop((width - 1, 0, width, height)), (1, 0))
    down = Image.new("RGB", (width, 2))
    down.paste(small.crop((0, 0, width, 1)), (0, 0))
    down.paste(small.crop((0, height - 1, width, height)), (0, 1))
    smooth = ImageFilter.GaussianBlur(2)
    sides = across.resize(small.size, Image.Resampling.BILINEAR).filter(smooth)
    ends = down.resize(small.size, Image.Resampling.BILINEAR).filter(smooth)
    better = ImageChops.subtract(_distance(small, sides), _distance(small, ends)).point([0] + [255] * 255)
    return Image.composite(ends, sides, better)


def _distance(a: Image.Image, b: Image.Image) -> Image.Image:
    """The largest difference of the three channels, pixel by pixel."""
    red, green, blue = ImageChops.difference(a, b).split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue)


def _flooded(near: Image.Image) -> Image.Image:
    """The part of the white area that touches the border."""
    padded = Image.new("L", (near.width + 2, near.height + 2), 255)
    padded.paste(near, (1, 1))
    ImageDraw.floodfill(padded, (0, 0), 128)
    return padded.crop((1, 1, near.width + 1, near.height + 1)).point([255 if v == 128 else 0 for v in range(256)])


def _oval(size: tuple[int, int]) -> Image.Image:
    small = Image.new("L", (256, 256))
    ImageDraw.Draw(small).ellipse((36, 24, 219, 231), fill=255)
    return small.resize(size, Image.Resampling.BILINEAR)
