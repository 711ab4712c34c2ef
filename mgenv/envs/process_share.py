"""Data parallel: the slots of one vector environment, spread over the processes of ``torchrun``.

Each process makes an environment of its share, with a network of its own, and nothing is
exchanged: a slot depends on its seed and its actions only, so together they are what one process
would have. Each learns from its share, as in PyTorch's DistributedDataParallel.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from mgenv.errors import InvalidOptionError


@dataclass(frozen=True)
class ProcessShare:
    """Which slots are this process's.

    Attributes:
        num_envs: how many.
        first: index of the first among all.
        local_rank: of the process on its machine.

    Example:
        >>> share = process_share(16, {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"})
        >>> share.num_envs, share.seed(0), share.slots, share.device("cuda")
        (8, 8, slice(8, 16, None), 'cuda:1')
    """

    num_envs: int
    first: int = 0
    local_rank: int | None = None

    @property
    def slots(self) -> slice:
        """Of all, in arrays over all slots."""
        return slice(self.first, self.first + self.num_envs)

    def seed(self, seed: int) -> int:
        """What to reset with, where ``seed`` is that of all: slot i has ``seed`` + i."""
        return seed + self.first

    def device(self, kind: str) -> str:
        """The process's own GPU of a machine; ``"cpu"`` is shared."""
        return kind if self.local_rank is None or kind != "cuda" else f"cuda:{self.local_rank}"


def process_share(num_envs: int, environment: dict[str, str] | None = None) -> ProcessShare:
    """This process's share of ``num_envs`` slots; all of them without ``torchrun``.

    Consecutive slots go together; the first processes have one more where it does not come out
    even. Slots that share what they remember (``share_memory``) do so within a process.

    Args:
        num_envs: slots of all processes.
        environment: variables that ``torchrun`` sets, by default the process's own.

    Raises:
        InvalidOptionError: there are fewer slots than processes.
    """
    variables = os.environ if environment is None else environment
    rank, count = int(variables.get("RANK", 0)), int(variables.get("WORLD_SIZE", 1))
    if num_envs < count:
        raise InvalidOptionError(
            f"num_envs: expected at least one for each of {count} processes, got {num_envs}"
        )
    each, more = divmod(num_envs, count)
    first = rank * each + min(rank, more)
    local = variables.get("LOCAL_RANK")
    return ProcessShare(each + (rank < more), first, None if local is None else int(local))
