"""The training loop, with a budget of steps and minutes, averaged weights and resuming.

`fit vae` trains the autoencoder; `fit world` the network, first on recorded walks
(`objective: flow`), then on its own rollouts (`objective: rollout`).
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from mgenv.models.checkpoint import load_checkpoint, save_checkpoint
from mgenv.models.world_model import WorldModel
from mgenv.training.adversarial import imagine_with_gradient, rollout_loss, shown_mask
from mgenv.training.clips import draw_clips
from mgenv.training.config import TrainerConfig, check
from mgenv.training.data import HELD_OUT, Walks, make_walks
from mgenv.training.discriminator import Discriminator, discriminator_loss
from mgenv.training.error_buffer import ErrorBuffer
from mgenv.training.flow_matching import Loss, flow_matching_loss
from mgenv.training.graphs import CudaGraphStep, Step
from mgenv.training.optimizers import Average, Optimizers, adamw
from mgenv.training.rollouts import Rollouts
from mgenv.training.state import load_state, save_state
from mgenv.training.vae import draw_frames, measure_latents, vae_loss

log = logging.getLogger(__name__)

CRITIC_FIRST = 300
"""Steps over which the weight of the discriminator's loss rises."""


class Trainer:
    """One training run."""

    def __init__(self, config: TrainerConfig) -> None:
        check(config)
        self.config, self.device = config, torch.device(config.device)
        torch.manual_seed(config.seed)
        self.generator = torch.Generator(self.device).manual_seed(config.seed)
        self.model = self._build_model().to(self.device)
        self.critic = Discriminator().to(self.device)
        for module in (self.model.vae, self.model.refiner, self.critic):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizers = self._build_optimizers()
        self.average = Average(self.model, config.average_decay)
        self.step = 0
        if config.resume and self.state_path.exists():
            self.step = load_state(self.state_path, *self._state())

    @property
    def state_path(self) -> Path:
        return Path(self.config.out) / "state.safetensors"

    @property
    def checkpoint_path(self) -> Path:
        return Path(self.config.out) / "model.safetensors"

    def _build_model(self) -> WorldModel:
        if not self.config.initial:
            return WorldModel(self.config.model)
        return load_checkpoint(self.config.initial).train().requires_grad_(True)

    def _build_optimizers(self) -> dict[str, Optimizers]:
        config, model = self.config, self.model
        if config.objective == "vae":
            modules: list[nn.Module] = [model.vae]
        else:
            model.vae.requires_grad_(False)
            modules = [model.network, model.refiner]
        critic = adamw(self.critic.parameters(), config.critic_lr, betas=(0.5, 0.99))
        made = Optimizers.for_module(modules, config.matrix_lr, config.lr)
        return {"model": made, "critic": Optimizers([critic])}

    def _state(self):
        modules: dict[str, nn.Module] = {"model": self.model, "critic": self.critic}
        return modules, self.optimizers, self.average, self.generator

    # -- the loop --------------------------------------------------------------------------------

    def fit(self) -> Path:
        """Train until the budget is spent; returns the path of the checkpoint."""
        config = self.config
        out = Path(config.out)
        out.mkdir(parents=True, exist_ok=True)
        writer = SummaryWriter(str(out / "tensorboard"))
        began = time.monotonic()
        ids = range(config.first_world, config.first_world + config.worlds)
        walks = make_walks(
            ids, config.frames, self.model.config.image_size, self.device, config.seed
        )
        log.info("%d walks of %d frames in %.1f s", *walks.count, time.monotonic() - began)
        self._began, self._next_world = time.monotonic(), ids.stop
        losses = getattr(self, f"_{config.objective}_steps")(walks)
        while self.progress < 1:
            self.optimizers["model"].scale(self.factor)
            parts = next(losses)
            self.step += 1
            self.average.update(self.step)
            if self.step % config.log_every == 0:
                self._log(writer, parts, began)
            if config.save_every and self.step % config.save_every == 0:
                self.save(walks)
            if config.refresh_every and self.step % config.refresh_every == 0:
                self._refresh(walks)
        self.save(walks)
        writer.close()
        return self.checkpoint_path

    @property
    def progress(self) -> float:
        """Share of the budget that is spent."""
        spent = (time.monotonic() - self._began) / 60 / self.config.minutes
        return max(self.step / self.config.steps, spent)

    @property
    def factor(self) -> float:
        """Learning-rate factor: warm up, hold, decay to zero."""
        warm = min(1.0, (self.step + 1) / max(1, self.config.warmup))
        left = (1 - self.progress) / max(self.config.decay, 1e-6)
        return warm * min(1.0, max(0.0, left))

    def _autocast(self) -> contextlib.AbstractContextManager:
        on_cuda = self.device.type == "cuda"
        return torch.autocast(self.device.type, torch.bfloat16, on_cuda, cache_enabled=False)

    def _recorded(self, step: Step) -> CudaGraphStep:
        return CudaGraphStep(step, self.generator, self.config.graphs)

    def _vae_steps(self, walks: Walks) -> Iterator[dict[str, Tensor]]:
        def step() -> dict[str, Tensor]:
            rgb, depth = draw_frames(walks, self.config.batch, self.generator)
            with self._autocast():
                loss = vae_loss(self.model.vae, rgb, depth, self.generator)
            return self._update("model", loss)

        yield from iter(self._recorded(step), None)

    def _flow_steps(self, walks: Walks) -> Iterator[dict[str, Tensor]]:
        yield from iter(self._recorded(self._flow_step(walks)), None)

    def _flow_step(self, walks: Walks) -> Step:
        config = self.config
        errors = ErrorBuffer(self.model.config.image_size, self.device)

        def step() -> dict[str, Tensor]:
            with self._autocast():
                clips = draw_clips(walks, config.batch, config.clips, errors, self.generator)
                loss = flow_matching_loss(self.model, clips, self.generator, errors, config.refined)
            return self._update("model", loss)

        return step

    def _rollout_steps(self, walks: Walks) -> Iterator[dict[str, Tensor]]:
        rollouts = Rollouts(self.model, walks, self.config.rollouts, self.generator)
        with self._autocast():
            rollouts.begin(self.model)
        weight = torch.zeros((), device=self.device)
        rollout = self._recorded(self._rollout_step(rollouts, weight))
        flow = self._recorded(self._flow_step(walks))
        while True:
            weight.fill_(self.config.adversarial_weight * min(1.0, self.step / CRITIC_FIRST))
            parts = rollout()
            if self.step % self.config.flow_every == 0:
                parts = parts | flow()
            yield parts

    def _rollout_step(self, rollouts: Rollouts, weight: Tensor) -> Step:
        model, critic, sampling = self.model, self.critic, self.config.rollouts.steps

        def step() -> dict[str, Tensor]:
            with self._autocast():
                rollouts.restart(model)
                canvas, pose, truth = rollouts.look()
                frame = imagine_with_gradient(model, rollouts, canvas, pose, sampling)
                critic.requires_grad_(False)
                loss = rollout_loss(critic, rollouts, canvas, frame, truth, weight)
            parts = self._update("model", loss)
            with self._autocast():
                critic.requires_grad_(True)
                mask = shown_mask(rollouts, canvas)
                judged = discriminator_loss(critic, truth, frame.detach(), mask)
            parts |= self._update("critic", Loss(judged, {"critic": judged.detach()}))
            with self._autocast():
                rollouts.record(model, frame, canvas, pose)
            return parts

        return step

    def _update(self, name: str, loss: Loss) -> dict[str, Tensor]:
        loss.total.backward()
        self.optimizers[name].step()
        return loss.parts

    def _refresh(self, walks: Walks) -> None:
        """Replace some walks by walks through new worlds."""
        count = min(self.config.refresh_worlds, walks.count[0])
        start = self._next_world % (HELD_OUT - count)
        ids = range(start, start + count)
        size = self.model.config.image_size
        fresh = make_walks(ids, walks.count[1], size, self.device, self.config.seed)
        first = (start * 7919) % (walks.count[0] - count + 1)
        for part in fields(walks):
            getattr(walks, part.name)[first : first + count] = getattr(fresh, part.name)
        self._next_world = ids.stop

    def _log(self, writer: SummaryWriter, parts: dict[str, Tensor], began: float) -> None:
        values = {name: float(value) for name, value in parts.items()}
        if not all(math.isfinite(value) for value in values.values()):
            raise FloatingPointError(f"step {self.step}: expected finite losses, got {values}")
        for name, value in values.items():
            writer.add_scalar(f"losses/{name}", value, self.step)
        writer.add_scalar("charts/learning_rate_factor", self.factor, self.step)
        text = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
        log.info("step %d  %.0f s  %s", self.step, time.monotonic() - began, text)

    def save(self, walks: Walks) -> None:
        """Write the state, and the averaged weights as a checkpoint."""
        save_state(self.state_path, self.step, *self._state())
        shipped = WorldModel(self.model.config).to(self.device)
        shipped.load_state_dict(self.average.at(self.step))
        if self.config.objective == "vae":
            generator = torch.Generator(self.device).manual_seed(self.config.seed)
            measure_latents(shipped.vae, walks, generator)
        save_checkpoint(self.checkpoint_path, shipped)
