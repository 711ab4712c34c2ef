"""Callbacks of PPO training: episode means, progress, checkpoints, videos for TensorBoard."""

from __future__ import annotations

import heapq
import io
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import TensorBoardOutputFormat
from tensorboard.compat.proto import summary_pb2

WINDOW = 100
"""Number of episodes in a running mean."""


class EpisodesCallback(BaseCallback):
    """Running means of success, return and length, without bias towards short episodes.

    Among finished episodes, short ones (mostly successes) are over-represented. So episodes are
    counted in the order of their starts, and only once all earlier ones have ended. The first
    means are available when the first episode of every slot has ended.

    Attributes:
        window: success, return and length of the last episodes counted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.window: deque[tuple[float, float, float]] = deque(maxlen=WINDOW)
        self._waiting: list[tuple[int, int, tuple[float, float, float]]] = []  # a heap, by start
        self._step = 0

    def _on_training_start(self) -> None:
        count = self.training_env.num_envs
        self.window = deque(maxlen=max(WINDOW, count))
        self._begin = np.zeros(count, np.int64)
        self._returns = np.zeros(count)

    def _on_step(self) -> bool:
        self._step += 1
        self._returns += self.locals["rewards"]
        for slot in np.flatnonzero(self.locals["dones"]).tolist():
            success = float(self.locals["infos"][slot].get("is_success", False))
            begin = int(self._begin[slot])
            row = (success, float(self._returns[slot]), float(self._step - begin))
            heapq.heappush(self._waiting, (begin, slot, row))
            self._begin[slot], self._returns[slot] = self._step, 0.0
        self._count()
        return True

    def _count(self) -> None:
        """Count episodes that began before every running one."""
        oldest = int(self._begin.min())
        while self._waiting and self._waiting[0][0] < oldest:
            self.window.append(heapq.heappop(self._waiting)[-1])

    def figures(self) -> tuple[float, float, float]:
        """Mean success, return and length; NaN before the first episodes are counted."""
        if not self.window:
            return float("nan"), float("nan"), float("nan")
        success, returns, length = np.mean(self.window, 0).tolist()
        return success, returns, length

    def _on_rollout_end(self) -> None:
        if self.model.ep_success_buffer is not None:
            self.model.ep_success_buffer.clear()  # SB3's own figure favours quick episodes
        if self.window:
            success, returns, length = self.figures()
            self.logger.record("rollout/success_rate", success)
            self.logger.record("rollout/ep_rew_mean", returns)
            self.logger.record("rollout/ep_len_mean", length)


class ProgressCallback(BaseCallback):
    """Reports the steps done and the running success rate and return.

    Args:
        report: callback (steps, success rate, mean return) after every vector step; NaN until
            the first episode of every slot has ended.
        episodes: source of the means.
    """

    def __init__(
        self, report: Callable[[int, float, float], None], episodes: EpisodesCallback
    ) -> None:
        super().__init__()
        self.report = report
        self.episodes = episodes

    def _on_step(self) -> bool:
        success, returns, _ = self.episodes.figures()
        self.report(self.num_timesteps, success, returns)
        return True


class CheckpointCallback(BaseCallback):
    """Saves periodically, between an update and the next rollout.

    Args:
        save: callback (steps) that writes the current state of the run.
        every: least number of environment steps between two files; 0 for none.
    """

    def __init__(self, save: Callable[[int], None], every: int) -> None:
        super().__init__()
        self.save_run = save
        self.every = every

    def _on_training_start(self) -> None:
        self._last = self.num_timesteps

    def _on_rollout_start(self) -> None:
        if self.every and self.num_timesteps // self.every > self._last // self.every:
            self.save_run(self.num_timesteps)
            self._last = self.num_timesteps

    def _on_step(self) -> bool:
        return True


class VideoCallback(BaseCallback):
    """Logs images of slot 0 as a short video, ``rollout/video``, to TensorBoard.

    Args:
        every: environment steps between two videos; 0 for none.
        frames: how many steps a video shows.
    """

    def __init__(self, every: int, frames: int = 64) -> None:
        super().__init__()
        self.every = every
        self.frames = frames
        self._due = 0
        self._film: list[NDArray[np.uint8]] = []

    def _on_step(self) -> bool:
        if not self.every or (not self._film and self.num_timesteps < self._due):
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
        self._due = self.num_timesteps + self.every


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
