"""COLMAP reconstructions: any set of photographs of a place, with poses."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mgenv.data.sources.axes import leveled
from mgenv.data.sources.colmap_files import read_model
from mgenv.data.sources.footage import FootageSource, PosedFrame, Recording
from mgenv.data.sources.parsing import natural_order, scenes_under
from mgenv.errors import DataError

PLACES = ("sparse/0", "sparse", ".")
"""Where a scene's reconstruction may lie."""


class ColmapSource(FootageSource):
    """``path`` is a scene, or a folder of scenes::

        scene/sparse/0/cameras.bin, images.bin   (or .txt; or in sparse/, or in the scene itself)
        scene/images/…                           as the images are named

    Camera models SIMPLE_PINHOLE and PINHOLE, and SIMPLE_RADIAL, RADIAL and OPENCV where their
    distortion is 0; otherwise run ``colmap image_undistorter`` first. Images come in the order of
    their names; an episode ends where the camera changes.

    COLMAP's world has any orientation and scale: it is turned so that the cameras' mean up is +z;
    a unit is not a metre.
    """

    name = "colmap"

    def recordings(self) -> Iterable[Recording]:
        what = "a COLMAP scene (a folder with sparse/0/cameras.bin or .txt)"
        return [read_scene(scene) for scene in scenes_under(self.options.path, model_of, what)]


def model_of(scene: Path) -> Path | None:
    """The folder of a scene's reconstruction; None if it has none."""
    for place in PLACES:
        if any((scene / place / f"cameras{end}").is_file() for end in (".bin", ".txt")):
            return scene / place
    return None


def read_scene(scene: Path) -> Recording:
    """The recording of one scene.

    Raises:
        DataError: a file is missing or damaged, or an image's camera is not described.
    """
    folder = model_of(scene)
    assert folder is not None, "scenes_under finds scenes"
    lenses, views, file = read_model(folder)
    if not views:
        raise DataError(f"{file}: expected images with poses, got none")
    views.sort(key=lambda view: natural_order(view.image))
    for view in views:
        if view.camera not in lenses:
            raise DataError(f"{file}: expected a known camera of {view.image}, got {view.camera}")
    poses = leveled(np.stack([view.pose for view in views]))
    frames = [
        PosedFrame(scene / "images" / view.image, pose, lenses[view.camera])
        for view, pose in zip(views, poses, strict=True)
    ]
    return Recording(scene.resolve().name, file, [*frames])
