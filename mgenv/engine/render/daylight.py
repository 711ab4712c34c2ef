"""Sun and sky at an hour of the day."""

from __future__ import annotations

import math

from mgenv.engine.render.random_stream import between, uniform
from mgenv.engine.render.raytrace import HORIZON, HOUR, SUN, SUN_COLOUR, ZENITH
from mgenv.jit import compiled

SUNRISE, SUNSET = 6.0, 18.0
_HIGHEST = math.radians(62.0)


@compiled
def _mix(out, at, night, dusk, day, light, glow):
    """A colour between night and day, with dusk where ``glow`` is."""
    for k in range(3):
        plain = night[k] + (day[k] - night[k]) * light
        out[at + k] = plain + (dusk[k] - plain) * glow


@compiled
def fill_sky(state, sky):
    """Draw an hour and what the sky is like then: ``sky`` (16,), see ``raytrace.SKY_SIZE``."""
    hour = between(state, 5.0, 21.0)
    turn, haze = between(state, 0.0, 2.0 * math.pi), between(state, 0.75, 1.1)
    arc = math.pi * (hour - SUNRISE) / (SUNSET - SUNRISE)
    height = _HIGHEST * math.sin(arc)
    azimuth = turn + math.pi * (0.5 - (hour - SUNRISE) / (SUNSET - SUNRISE))
    flat, up = math.cos(height), math.sin(height)
    sky[HOUR] = hour
    sky[SUN], sky[SUN + 1], sky[SUN + 2] = flat * math.cos(azimuth), flat * math.sin(azimuth), up
    light = min(max((up + 0.12) / 0.4, 0.0), 1.0)
    glow = 0.75 * max(1.0 - abs(up - 0.02) / 0.3, 0.0)
    _mix(sky, ZENITH, (0.03, 0.04, 0.11), (0.10, 0.12, 0.26), (0.13, 0.30, 0.72), light, glow)
    _mix(sky, HORIZON, (0.08, 0.09, 0.16), (0.80, 0.42, 0.20), (0.55, 0.68, 0.86), light, glow)
    power = 1.9 * haze * min(max(up / 0.18, 0.0), 1.0)
    if uniform(state) < 0.15:
        power *= 0.12
    low = min(max(1.0 - up / 0.6, 0.0), 1.0)
    sky[SUN_COLOUR] = power
    sky[SUN_COLOUR + 1] = power * (0.95 - 0.35 * low)
    sky[SUN_COLOUR + 2] = power * (0.86 - 0.6 * low)


@compiled
def light_outdoors(sky, room_colour):
    """Write the light of the whole sky (3,) that a level surface in the open gets."""
    for k in range(3):
        room_colour[k] = 0.05 + 0.55 * sky[ZENITH + k] + 0.5 * sky[HORIZON + k]
