"""What happens while PPO trains: progress, checkpoints, and pictures for TensorBoard."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import TensorBoardOutputFormat
from tensorboard.compat.proto import summary_pb2


class ProgressCallback(BaseCallback):
    """Reports the steps done and the latest success rate and return.

    Args:
        report: called after every vector step with steps, success rate and mean return
            (NaN until an episode has ended).
    """

    def __init__(self, report: Callable[[int, float, float], None]) -> None:
        super().__init__()
        self.report = report

    def _on_step(self) -> bool:
        success = _mean(list(self.model.ep_success_buffer or []))
        returns = _mean([episode["r"] for episode in self.model.ep_info_buffer or []])
        self.report(self.num_timesteps, success, returns)
        return True


class CheckpointCallback(BaseCallback):
    """Saves the policy now and then, so that an interrupted run is not lost.

    Args:
        save: writes the policy as it is.
        every: environment steps between two files; 0 for none.
    """

    def __init__(self, save: Callable[[int], None], every: int) -> None:
        super().__init__()
        self.save_policy = save
        self.every = every
        self._next = every

    def _on_step(self) -> bool:
        if self.every and self.num_timesteps >= self._next:
            self.save_policy(self.num_timesteps)
            self._next += self.every
        return True


class VideoCallback(BaseCallback):
    """Logs what slot 0 sees as a short moving picture, ``rollout/video``, to TensorBoard.

    Args:
        every: environment steps between two videos; 0 for none.
        frames: how many steps a video shows.
    """

    def __init__(self, every: int, frames: int = 64) -> None:
        super().__init__()
        self.every = every
        self.frames = frames
        self._next = 0
        self._film: list[NDArray[np.uint8]] = []

    def _on_step(self) -> bool:
        if not self.every or (not self._film and self.num_timesteps < self._next):
            return True
        observations = self.locals["new_obs"]
        pixels = observations["pixels"] if isinstance(observations, dict) else observations
        self._film.append(np.moveaxis(pixels[0], 0, -1))  # (3, H, W) -> (H, W, 3)
        if len(self._film) >= self.frames:
            self._write()
        return True

    def _write(self) -> None:
        for output in self.logger.output_formats:
            if isinstance(output, TensorBoardOutputFormat):
                add_video(output.writer, "rollout/video", self._film, self.num_timesteps)
        self._film = []
        self._next = self.num_timesteps + self.every


def add_video(writer: Any, tag: str, frames: list[NDArray[np.uint8]], step: int) -> None:
    """Log frames uint8 (H, W, 3) as a moving GIF.

    ``SummaryWriter.add_video`` goes through moviepy and drops the video with its version 2.
    """
    messages: Any = summary_pb2  # generated code, which type checkers cannot read
    height, width = frames[0].shape[:2]
    image = messages.Summary.Image(
        height=height, width=width, colorspace=3, encoded_image_string=_gif(frames)
    )
    summary = messages.Summary(value=[messages.Summary.Value(tag=tag, image=image)])
    writer._get_file_writer().add_summary(summary, step)


def _gif(frames: list[NDArray[np.uint8]]) -> bytes:
    images = [Image.fromarray(frame) for frame in frames]
    stream = io.BytesIO()
    images[0].save(stream, "GIF", save_all=True, append_images=images[1:], duration=66, loop=0)
    return stream.getvalue()


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
