"""The colours of paint, stone, wood and cloth, drawn for a texture."""

from __future__ import annotations

from mgenv.engine.textures.recipe import Colour, Draws


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """The display colour of a hue (in turns), saturation and value."""
    pure = [min(max(abs((hue + k / 3.0) % 1.0 * 6.0 - 3.0) - 1.0, 0.0), 1.0) for k in (0, 2, 1)]
    red, green, blue = (value * (1.0 - saturation + saturation * p) for p in pure)
    return red, green, blue


def mixed(a: Colour, b: Colour, part: float) -> Colour:
    """From a to b."""
    red, green, blue = (x + part * (y - x) for x, y in zip(a, b, strict=True))
    return red, green, blue


def lit(colour: Colour, light: float) -> Colour:
    """A colour brighter or darker by a factor, at most white."""
    red, green, blue = (min(x * light, 1.0) for x in colour)
    return red, green, blue


def beside(base: Colour, colour: Colour) -> Colour:
    """A colour, brighter or darker where it could not be told from the base."""
    if abs(sum(colour) - sum(base)) > 0.25:
        return colour
    return lit(colour, 0.8 if sum(base) > 1.3 else 1.28)


def paint_colour(d: Draws, low: float = 0.5, high: float = 0.9) -> Colour:
    """A colour that walls are painted in: mostly pale or warm, often blue or green."""
    hue = d.spread(0, 0.0, 1.0)
    hue = 0.02 + 0.22 * hue if hue < 0.5 else 0.15 + 0.53 * hue if hue < 0.88 else 4.2 * hue - 3.3
    value = d.spread(2, low, high)
    return hsv(hue % 1.0, muted(hue % 1.0, d.spread(1, 0.03, 0.5) * (1.25 - 0.6 * value)), value)


def muted(hue: float, saturation: float) -> float:
    """A saturation that rooms bear: green, violet and pink stay pale."""
    return saturation * (0.6 if 0.18 < hue < 0.52 else 0.5 if 0.68 < hue < 0.97 else 1.0)


def cloth_colour(d: Draws, low: float = 0.35, high: float = 0.8) -> Colour:
    """A dye: any hue, seldom loud."""
    hue = d.spread(0, 0.0, 1.0)
    hue = 0.95 + 0.5 * hue if hue < 0.4 else 0.15 + 0.75 * hue if hue < 0.7 else 3.3 * hue - 2.3
    hue %= 1.0
    return hsv(hue, muted(hue, d.spread(1, 0.08, 0.58)), d.spread(2, low, high))


def stone_colour(d: Draws, low: float = 0.4, high: float = 0.82) -> Colour:
    """Grey, sand, slate or reddish stone."""
    warm = ((0.02, 0.24), (0.06, 0.32), (0.09, 0.34), (0.11, 0.34), (0.13, 0.26))
    hue, most = d.pick(*warm, (0.3, 0.08), (0.58, 0.14))
    hue += d.between(-0.015, 0.015)
    return hsv(hue, d.spread(1, 0.03, most), d.spread(2, low, high))


def wood_colour(d: Draws, low: float = 0.42, high: float = 0.82) -> Colour:
    """From dark walnut and mahogany over oak to pale birch."""
    value = d.spread(2, low, high)
    hue = d.spread(0, 0.068, 0.115) - 0.035 * (1.0 - value)
    return hsv(hue, d.spread(1, 0.34, 0.6), value)
