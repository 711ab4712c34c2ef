"""PPO from Stable-Baselines3 with a policy small enough for a laptop.

Two forms: ``conv`` sees the present only; ``recurrent`` has an LSTM behind the same features
(Hochreiter and Schmidhuber, 1997), sb3-contrib's RecurrentPPO.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticCnnPolicy, ActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

from mgenv.agents.features import CONVOLUTIONS, NavigationExtractor, channels_first
from mgenv.config import option, settings
from mgenv.errors import InvalidOptionError, MissingExtraError, UnknownNameError

FORMS = ("conv", "recurrent")


@settings
class PPOConfig:
    """Settings of PPO (Schulman et al., arXiv 1707.06347) and its network."""

    form: str = option("conv", "conv, or recurrent: an LSTM, which remembers what it saw")
    learning_rate: float = option(1e-3, "of Adam")
    learning_rate_decay: bool = option(False, "linearly to zero at the end of the run")
    rollout_steps: int = option(32, "steps of each environment between updates")
    batch_size: int | None = option(
        128, "transitions of a gradient step; null: a quarter of a rollout, whatever num_envs"
    )
    epochs: int = option(8, "passes over a rollout")
    gamma: float = option(0.95, "discount; rewards are dense, so a short horizon learns faster")
    gae_lambda: float = option(0.9, "of generalised advantage estimation")
    clip_range: float = option(0.2, "largest change of an action's probability in an update")
    entropy_coefficient: float = option(0.0, "weight of the entropy bonus")
    target_kl: float | None = option(None, "an update ends at this divergence; null: no limit")
    log_std: float = option(0.0, "logarithm of the actions' standard deviation at the start")
    convolution: str = option("light", "light, or strong (for a GPU)")
    image_features: int = option(32, "outputs of the convolution")
    hidden: tuple[int, ...] = option((64, 64), "widths of the policy's and the value's layers")
    recurrent_size: int = option(64, "width of the LSTM of the recurrent form")

    def network(self) -> dict[str, Any]:
        """What the policy's network is made of, plain values only."""
        network = {
            "form": self.form,
            "convolution": self.convolution,
            "image_features": self.image_features,
            "hidden": list(self.hidden),
            "log_std": self.log_std,
        }
        return network | ({"recurrent_size": self.recurrent_size} if self.recurrent else {})

    @property
    def recurrent(self) -> bool:
        """Whether the policy remembers what it saw."""
        return self.form == "recurrent"

    def schedule(self) -> float | Callable[[float], float]:
        """The learning rate, or what it is when a share of the run is left."""
        rate = self.learning_rate
        return (lambda left: rate * left) if self.learning_rate_decay else rate


def build_policy(
    observation_space: spaces.Space, action_space: spaces.Space, network: dict[str, Any]
) -> ActorCriticPolicy:
    """The network alone, for acting.

    Args:
        observation_space: as the environment gives it, images channel-last.
        action_space: Box, Discrete or MultiDiscrete.
        network: as :meth:`PPOConfig.network` gives it.

    Raises:
        MissingExtraError: the recurrent form without sb3-contrib.
    """
    space, form = channels_first(observation_space), network.get("form", "conv")
    return _policy_class(form)(space, action_space, lambda _: 0.0, **policy_kwargs(network))


def build_ppo(envs: VecEnv, config: PPOConfig, seed: int = 0, device: str = "cpu") -> PPO:
    """PPO on SB3's view of a vector environment; of the recurrent form, RecurrentPPO.

    Raises:
        UnknownNameError: there is no form or convolution of that name.
        MissingExtraError: the recurrent form without sb3-contrib.
        InvalidOptionError: the batch does not fit the rollout, or the action space is a dictionary.
    """
    check_network(config)
    batch_size = _batch_size(config, envs.num_envs)
    if isinstance(envs.action_space, spaces.Dict):
        raise InvalidOptionError("PPO needs one Box or Discrete action space; got a dictionary.")
    algorithm: Any = _recurrent_ppo() if config.recurrent else PPO
    return algorithm(
        _policy_class(config.form),
        envs,
        learning_rate=config.schedule(),
        n_steps=config.rollout_steps,
        batch_size=batch_size,
        n_epochs=config.epochs,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        clip_range=config.clip_range,
        ent_coef=config.entropy_coefficient,
        target_kl=config.target_kl,
        policy_kwargs=policy_kwargs(config.network()),
        seed=seed,
        device=device,
    )


def policy_kwargs(network: dict[str, Any]) -> dict[str, Any]:
    """SB3's ``policy_kwargs`` for a network's plain values."""
    kwargs = {
        "features_extractor_class": NavigationExtractor,
        "features_extractor_kwargs": {
            "image_features": network["image_features"],
            "convolution": network.get("convolution", "light"),
        },
        "net_arch": list(network["hidden"]),
        "activation_fn": nn.Tanh,
        "log_std_init": network["log_std"],
    }
    if network.get("form") == "recurrent":
        kwargs["lstm_hidden_size"] = network["recurrent_size"]
    return kwargs


def check_network(config: PPOConfig) -> None:
    """Prove that there is a network of that make.

    Raises:
        UnknownNameError: there is no form or convolution of that name.
        MissingExtraError: the recurrent form without sb3-contrib.
    """
    _policy_class(config.form)
    if config.convolution not in CONVOLUTIONS:
        raise UnknownNameError("convolution", config.convolution, CONVOLUTIONS)


def _batch_size(config: PPOConfig, num_envs: int) -> int:
    rollout = config.rollout_steps * num_envs
    batch_size = rollout // 4 if config.batch_size is None else config.batch_size
    if not 1 < batch_size <= rollout:
        raise InvalidOptionError(
            f"Expected 1 < ppo.batch_size <= {rollout} (ppo.rollout_steps x num_envs); "
            f"got {batch_size}."
        )
    return batch_size


def _policy_class(form: str) -> type[ActorCriticPolicy]:
    if form not in FORMS:
        raise UnknownNameError("form", form, FORMS)
    if form == "conv":
        return ActorCriticCnnPolicy
    _recurrent_ppo()
    from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy

    return RecurrentActorCriticPolicy


def _recurrent_ppo() -> Any:
    try:
        from sb3_contrib import RecurrentPPO
    except ModuleNotFoundError as error:
        raise MissingExtraError("train", "recurrent policies") from error
    return RecurrentPPO
