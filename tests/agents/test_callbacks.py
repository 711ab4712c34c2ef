"""The running figures, on episodes whose outcomes are known."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnv

from mgenv.agents.callbacks import CheckpointCallback, EpisodesCallback

LONG, SHORT = 20, 2


class Lottery(VecEnv):
    """Half of the episodes succeed after two steps, the others fail after twenty."""

    def __init__(self, num_envs: int) -> None:
        space = gym.spaces.Box(-1, 1, (1,), np.float32)
        super().__init__(num_envs, space, space)
        self._rng = np.random.default_rng(0)
        self._left, self._lucky = np.zeros(num_envs, int), np.zeros(num_envs, bool)

    def reset(self):
        self._draw(np.ones(self.num_envs, bool))
        return self._look()

    def step_async(self, actions) -> None:
        pass

    def step_wait(self):
        self._left -= 1
        dones = self._left == 0
        outcomes = [{"is_success": bool(lucky)} for lucky in self._lucky]
        infos = [one if over else {} for over, one in zip(dones, outcomes, strict=True)]
        self._draw(dones)
        return self._look(), np.ones(self.num_envs, np.float32), dones, infos

    def _draw(self, slots) -> None:
        self._lucky[slots] = self._rng.random(slots.sum()) < 0.5
        self._left[slots] = np.where(self._lucky, SHORT, LONG)[slots]

    def _look(self):
        return np.zeros((self.num_envs, 1), np.float32)

    def close(self) -> None:
        pass

    def get_attr(self, attr_name, indices=None):
        return [None] * self.num_envs

    set_attr = env_method = env_is_wrapped = get_attr


def learn(steps: int, callback, num_envs: int = 50, rollout: int = 4, **kwargs) -> PPO:
    model = PPO("MlpPolicy", Lottery(num_envs), n_steps=rollout, batch_size=num_envs, n_epochs=1,
                stats_window_size=10_000, device="cpu", **kwargs)  # fmt: skip
    return model.learn(steps * num_envs, callback)


class Recorder(EpisodesCallback):
    """Keeps the figures of every step."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[float, float, float]] = []

    def _on_step(self) -> bool:
        super()._on_step()
        self.rows.append(self.figures())
        return True


def test_quick_successes_are_not_shown_before_slow_failures():
    recorder = Recorder()
    learn(160, recorder)
    success = np.array(recorder.rows)[:, 0]
    assert np.isnan(success[: LONG - 1]).all(), "no figure before every slot's first episode"
    assert np.abs(success[LONG - 1 :] - 0.5).max() < 0.2
    assert np.mean(success[LONG - 1 :]) == pytest.approx(0.5, abs=0.05)


def test_returns_and_lengths_are_those_of_the_same_episodes():
    recorder = Recorder()
    learn(160, recorder)
    for success, returns, length in recorder.rows[LONG:]:
        assert length == pytest.approx(success * SHORT + (1 - success) * LONG)
        assert returns == pytest.approx(length)


def test_the_log_holds_these_figures_alone():
    logged: dict[str, list[float]] = {}

    class Kept(Logger):
        def dump(self, step: int = 0) -> None:
            for name, value in self.name_to_value.items():
                logged.setdefault(name, []).append(value)
            super().dump(step)

    recorder = Recorder()
    model = PPO("MlpPolicy", Lottery(50), n_steps=4, batch_size=50, n_epochs=1, device="cpu")
    model.set_logger(Kept(None, []))
    model.learn(40 * 50, recorder)
    assert len(logged["rollout/success_rate"]) == (40 - LONG) // 4 + 1
    assert logged["rollout/success_rate"][-1] == recorder.figures()[0]
    assert logged["rollout/ep_len_mean"][-1] == recorder.figures()[2]


@pytest.mark.parametrize(("every", "saved"), [(0, []), (150, [200, 400]), (200, [200, 400])])
def test_checkpoints_lie_between_updates(every, saved):
    steps: list[int] = []
    learn(10, CheckpointCallback(steps.append, every))  # rollouts end at 200, 400, 600
    assert steps == saved
