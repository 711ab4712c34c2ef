"""``mgenv train key=value …``: PPO in a world."""

from __future__ import annotations

from rich.console import Console

from mgenv.agents.train import TrainConfig, train_policy
from mgenv.cli.config import load_config, print_help
from mgenv.cli.console import describe, progress_bar

ON_A_GPU = """On a GPU, for example:
  mgenv train env.device=cuda env.num_envs=512 env.num_worlds=32 env.share_memory=true
    env.obs_type=pixels_depth_agent_pos total_steps=1000000 save_every=100000
    ppo.batch_size=null ppo.epochs=4 ppo.gamma=0.99 ppo.gae_lambda=0.95
    ppo.learning_rate_decay=true ppo.entropy_coefficient=0.003
    ppo.convolution=strong ppo.image_features=64"""


def main(argv: list[str]) -> int:
    """Train a policy and say where it lies.

    Args:
        argv: options of :class:`mgenv.agents.train.TrainConfig` as ``key=value``.
    """
    if "-h" in argv or "--help" in argv:
        return print_help("train", TrainConfig, ON_A_GPU)
    config = load_config(TrainConfig, argv)
    console = Console()
    with progress_bar(console) as bar:
        task = bar.add_task("training", total=config.total_steps, note="")

        def report(steps: int, success: float, returns: float) -> None:
            bar.update(task, completed=steps, note=describe(success, returns))

        _, file = train_policy(config, report)
    console.print(f"policy: {file}", highlight=False, soft_wrap=True)
    console.print(f"curves: tensorboard --logdir {file.parent / 'tensorboard'}", soft_wrap=True)
    console.print(f"judge:  mgenv evaluate {file}", soft_wrap=True)
    return 0
