"""Video files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
from numpy.typing import NDArray

from mgenv.errors import OutputError
from mgenv.output import prepare_file, write_bytes


def write_video(path: str | Path, frames: Iterable[NDArray[np.uint8]], fps: int = 15) -> Path:
    """Write an H.264 video atomically.

    Args:
        path: a file that ends in ``.mp4``.
        frames: uint8 (H, W, 3) each, all of the same even height and width.
        fps: frames per second.

    Returns:
        The file, absolute.

    Raises:
        OutputError: the file cannot be written.
    """
    file = prepare_file(path)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "draft.mp4"
        try:
            # The default macro block of 16 would resize frames whose sides it does not divide.
            writer: Any = imageio.get_writer(draft, fps=fps, macro_block_size=2, quality=8)
            with writer:
                for frame in frames:
                    writer.append_data(frame)
        except (OSError, RuntimeError) as error:
            raise OutputError(f"Expected to write the video {file}; got: {error}.") from error
        return write_bytes(file, draft.read_bytes())
