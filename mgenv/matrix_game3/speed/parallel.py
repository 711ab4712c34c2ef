"""One clip on several GPUs: each process computes its share of the places of every frame.

Sequence parallelism by Ulysses (arXiv 2309.14509). Process r of P holds the tokens r, r + P,
r + 2P, … of the sequence. As P divides the tokens of a frame, each of its frames has 1/P of the
places, so all that looks at one token, at one place over time, or at the prompt stays as it is.
Only self-attention needs the others: there the processes trade tokens for heads, each attends
with N/P heads over the whole sequence, and they trade back.

Exchanges are plain collectives, which torch.compile traces into its graphs: a compiled block
stays whole, and packing is fused with what comes before it.

Legend: B batch, L tokens of the sequence, l = L/P those of a process, N heads, n = N/P, H head
width.
"""

from __future__ import annotations

import os
import zlib
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from mgenv.errors import InvalidOptionError

PATIENCE = timedelta(minutes=30)
"""How long processes wait for each other: the first call may compile for minutes."""


class Shard:
    """The share that this process has of the sequence; all of it without a group.

    Args:
        group: the processes that compute together, see :func:`torchrun_group`.

    Attributes:
        rank: of this process among them.
        count: P, how many they are.
    """

    def __init__(self, group: dist.ProcessGroup | None = None) -> None:
        self.group = group
        self.rank = 0 if group is None else dist.get_rank(group)
        self.count = 1 if group is None else dist.get_world_size(group)

    def check(self, places: int) -> None:
        """Whether a frame of so many tokens can be shared.

        Raises:
            InvalidOptionError: it cannot.
        """
        if places % self.count:
            raise InvalidOptionError(
                f"expected a number of processes that divides the {places} tokens of a frame, "
                f"got {self.count}"
            )

    def check_heads(self, heads: int) -> None:
        """Whether so many heads can be shared.

        Raises:
            InvalidOptionError: they cannot.
        """
        if heads % self.count:
            raise InvalidOptionError(
                f"expected a number of processes that divides the {heads} heads, got {self.count}"
            )

    # -- tokens ----------------------------------------------------------------------------------

    def take(self, tokens: Tensor) -> Tensor:
        """(B, L, …) to this process's (B, l, …)."""
        return tokens[:, self.rank :: self.count]

    def gather(self, own: Tensor) -> Tensor:
        """(B, l, …) of each process to the whole (B, L, …), on all of them."""
        if self.count == 1:
            return own
        parts = [torch.empty_like(own) for _ in range(self.count)]
        dist.all_gather(parts, own.contiguous(), group=self.group)
        return torch.stack(parts, 2).flatten(1, 2)

    def to_heads(self, *parts_BlNH: Tensor) -> tuple[Tensor, ...]:
        """All heads of own tokens to own heads of all tokens: (B, l, N, H) to (B, L, n, H) each."""
        if self.count == 1:
            return parts_BlNH
        split = (x.unflatten(2, (self.count, -1)).movedim(2, 0) for x in parts_BlNH)
        received = self._exchange(torch.stack(list(split), 1))  # (P, parts, B, l, n, H)
        return tuple(received.movedim(0, 3).flatten(2, 3))  # every P tokens side by side again

    def to_tokens(self, x_BLnH: Tensor) -> Tensor:
        """Back: (B, L, n, H) to (B, l, N, H)."""
        if self.count == 1:
            return x_BLnH
        split = x_BLnH.unflatten(1, (-1, self.count)).movedim(2, 0)  # (P, B, l, n, H)
        return self._exchange(split.contiguous()).movedim(0, 2).flatten(2, 3)

    def _exchange(self, parts: Tensor) -> Tensor:
        """Part p goes to process p; what came from p is part p."""
        received = torch.empty_like(parts)
        dist.all_to_all_single(received, parts, group=self.group)
        return received

    # -- pieces of a video -----------------------------------------------------------------------

    def split(self, count: int) -> Shard:
        """The first ``count`` of these processes or the others, whichever this one is among.

        All must call it.
        """
        members = dist.get_process_group_ranks(self.group)
        own = members[:count] if self.rank < count else members[count:]
        group = dist.new_group(own, timeout=PATIENCE, use_local_synchronization=True)
        assert isinstance(group, dist.ProcessGroup)
        return Shard(group)

    def relay(self, x: Tensor) -> Tensor:
        """Passes ``x`` (B, C, …) on to the next process, the last's to the first.

        Returns:
            What came from the process before, of the same shape, channels innermost in memory.
        """
        flat = x.movedim(1, -1).contiguous()  # (B, …, C)
        sent, received = [0] * self.count, [0] * self.count
        sent[(self.rank + 1) % self.count] = flat.numel()
        received[(self.rank - 1) % self.count] = flat.numel()
        out = torch.empty_like(flat).flatten()
        dist.all_to_all_single(out, flat.flatten(), received, sent, group=self.group)
        return out.view(flat.shape).movedim(-1, 1)

    # -- processes in step -----------------------------------------------------------------------

    def from_one(self, x: Tensor, rank: int = 0) -> Tensor:
        """The ``x`` of one process, on all; what they have of its shape is overwritten."""
        if self.count == 1:
            return x
        x = x.contiguous()
        dist.broadcast(x, group=self.group, group_src=rank)
        return x

    def agree(self, **inputs: Tensor) -> None:
        """Check that all processes were given the same; their GPUs are not waited for.

        Args:
            inputs: by name, on the CPU.

        Raises:
            InvalidOptionError: some differ. Every process raises it.
        """
        if self.count == 1:
            return
        own = torch.tensor([zlib.crc32(x.numpy().tobytes()) for x in inputs.values()])
        parts = [torch.empty_like(own) for _ in range(self.count)]
        dist.all_gather(parts, own, group=self.group)
        every = torch.stack(parts).tolist()
        differ = [name for name, *seen in zip(inputs, *every, strict=True) if len(set(seen)) > 1]
        if differ:
            raise InvalidOptionError(
                f"expected the same {', '.join(differ)} in all {self.count} processes; "
                "reset with the same seed and step with the same actions in each"
            )


def torchrun_group(device: torch.device | str) -> dist.ProcessGroup:
    """All processes that ``torchrun`` started; each of them takes the GPU of its local rank.

    Tensors on GPUs go by NCCL, those on CPUs by Gloo.

    Args:
        device: ``"cuda"`` or ``"cpu"``.

    Raises:
        InvalidOptionError: not started by ``torchrun``, or there are fewer GPUs than processes,
            or processes already exchange, but not from CPU to CPU, or the device is another's.
    """
    index, local = torch.device(device).index, os.environ.get("LOCAL_RANK")
    if index is not None and local not in (None, str(index)):
        raise InvalidOptionError(
            f'device: expected "cuda", of which each process takes its own, or cuda:{local} in '
            f"this one, got {device}"
        )
    if not dist.is_initialized():
        missing = [name for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK") if name not in os.environ]
        if missing:
            raise InvalidOptionError(
                "expected to be started by torchrun (torchrun --nproc-per-node 2 …), "
                f"got no {', '.join(missing)} in the environment"
            )
        if torch.device(device).type == "cuda":
            _take_gpu(int(os.environ["LOCAL_RANK"]))
            dist.init_process_group("cpu:gloo,cuda:nccl", timeout=PATIENCE)
        else:
            dist.init_process_group("gloo", timeout=PATIENCE)
    if "gloo" not in dist.get_backend_config():
        raise InvalidOptionError(
            'expected torch.distributed to be initialised with "cpu:gloo,cuda:nccl" or by this '
            f"function, got {dist.get_backend_config()}"
        )
    group = dist.group.WORLD
    assert group is not None
    return group


def _take_gpu(index: int) -> None:
    if index >= torch.cuda.device_count():
        raise InvalidOptionError(
            f"expected a GPU for each process, got {torch.cuda.device_count()} and "
            f"local rank {index}"
        )
    torch.cuda.set_device(index)
