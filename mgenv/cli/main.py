"""``mgenv <command> …``: finds the command and turns named errors into one line."""

from __future__ import annotations

import os
import sys
from importlib import import_module

from mgenv._version import __version__
from mgenv.errors import MgenvError, UnknownNameError

COMMANDS = {
    "demo": "walk and train in a generated world",
    "train": "train a policy with PPO (settings as key=value)",
    "evaluate": "judge policies in a generated world and in the engine",
    "episodes": "draw fixed episodes into a file, or show one",
    "bench": "measure speed, memory, drift, control, tasks, rendering, data or public weights",
    "fit": "train a world model",
    "collect": "record a dataset from worlds, games or footage (settings as key=value)",
    "data": "what a dataset holds, in words or in pictures",
    "weights": "convert public weights, verify them against references, prune a decoder",
}
"""Commands and what they do; each is ``mgenv/cli/<command>.py``."""

BENCHMARKS = (
    "speed", "memory", "drift", "control", "tasks", "render", "data", "exploration", "video",
    "parallel", "accuracy", "kernels",
)  # fmt: skip
SUBCOMMANDS = {"bench": {name: f"bench_{name}" for name in BENCHMARKS}}
"""Second words that have a file of their own."""

EXTRAS = {
    "stable_baselines3": "train",
    "tensorboard": "train",
    "torchmetrics": "train",
    "pettingzoo": "multiagent",
    "pyarrow": "data",
    "av": "data",
    "vizdoom": "games",
    "ray": "ray",
    "OpenEXR": "hdr",
    "transformers": "text",
    "ftfy": "text",
}
"""Optional packages and the extra that installs them."""

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: command and arguments, by default those of the process.

    Returns:
        The exit status: the command's, 0 if all is well, or 2 for an error of the user's.
    """
    # Before torch is imported: spinning threads cost a factor of ten on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    if arguments[0] == "--version":
        print(f"mgenv {__version__}")
        return 0
    try:
        return run_command(arguments[0], arguments[1:])
    except MgenvError as error:
        print(f"mgenv {arguments[0]}: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        print(f"mgenv {arguments[0]}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def run_command(name: str, arguments: list[str]) -> int:
    """Import one command and run it.

    Raises:
        UnknownNameError: there is no such command.
    """
    if name not in COMMANDS:
        raise UnknownNameError("command", name, COMMANDS)
    if name not in SUBCOMMANDS:
        return _run_file(name, arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"usage: mgenv {name} {'|'.join(SUBCOMMANDS[name])} …")
        return 0
    if arguments[0] not in SUBCOMMANDS[name]:
        raise UnknownNameError(f"{name} command", arguments[0], SUBCOMMANDS[name])
    return _run_file(SUBCOMMANDS[name][arguments[0]], arguments[1:])


def _run_file(name: str, arguments: list[str]) -> int:
    try:
        return import_module(f"mgenv.cli.{name}").main(arguments)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        raise MgenvError(
            f"Expected {error.name} to be installed: pip install 'mgenv[{extra}]'."
        ) from error


def usage() -> str:
    """What ``mgenv --help`` prints."""
    lines = [f"  {name:<10}{text}" for name, text in COMMANDS.items()]
    return "\n".join(["usage: mgenv <command> …", "", *lines, "", "mgenv <command> --help"])
