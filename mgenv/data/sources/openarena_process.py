"""A running OpenArena in lock-step, and the library that watches it (``openarena_hook.c``).

The library is compiled once, into the user's cache folder. The game runs in a folder of its own
without a window, draws in software, and waits at every frame for what comes next.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import struct
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mgenv.errors import DataError

ENGINE = Path("/usr/lib/ioquake3/ioquake3")
"""Where Debian's package puts it."""
SOURCE = Path(__file__).with_name("openarena_hook.c")
FRAME = struct.Struct("=2I3i3f9f16f")
REPLY = struct.Struct("=II")
"""As in ``openarena_hook.c``."""
PATIENCE = 120.0
"""Seconds that a frame may take; the first ones load a map."""
LOADING_FRAMES = 1000
"""Frames after which a map that does not show is not going to."""


@dataclass(frozen=True)
class View:
    """A frame of the world, in the game's units and conventions.

    Attributes:
        rgb: uint8 (H, W, 3).
        depth: float32 (H, W), the depth buffer in [0, 1].
        origin: (3,), the eye.
        axis: (3, 3), rows forward, left, up.
        projection: (4, 4), OpenGL's, by columns.
        time: of the game [ms].
        own: whether with the player's own eyes; the dead are shown from outside.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    origin: NDArray[np.float64]
    axis: NDArray[np.float64]
    projection: NDArray[np.float64]
    time: int
    own: bool


class Process:
    """The game with ``arguments`` and console variables ``settings``.

    ``clock`` [ms] is what its clock shows first: its random numbers start from it.
    """

    def __init__(
        self, hook: Path, arguments: list[str], settings: Mapping[str, object], clock: int
    ) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="mgenv-openarena-")
        home = Path(self._home.name)
        (home / "baseoa").mkdir()
        lines = (f'set {name} "{value}"\n' for name, value in settings.items())
        (home / "baseoa" / "autoexec.cfg").write_text("".join(lines))
        self._log = home / "log.txt"
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(PATIENCE)
        self._stream = self._socket.makefile("rb")
        environment = os.environ | {
            "LD_PRELOAD": str(hook),
            "MGENV_HOOK_SOCKET": str(theirs.fileno()),
            "MGENV_HOOK_CLOCK": str(clock),
            "SDL_VIDEODRIVER": "offscreen",
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "HOME": self._home.name,
        }
        with theirs, self._log.open("w") as log:
            self._process = subprocess.Popen(
                [str(ENGINE), "+set", "fs_homepath", self._home.name, *arguments],
                env=environment,
                cwd=home,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def first(self) -> View:
        """The first frame that shows the world.

        Raises:
            DataError: the game ends or stays away; says its last words.
        """
        try:
            for _ in range(LOADING_FRAMES):
                view = self._receive()
                if view is not None:
                    return view
                self._send("", 50)
        except OSError as error:
            raise self._complaint() from error
        raise self._complaint()

    def step(self, commands: str, milliseconds: int) -> View:
        """Give console commands, let time pass, and see what the game shows then.

        Raises:
            DataError: the game ends or stays away; says its last words.
        """
        try:
            self._send(commands, milliseconds)
        except OSError as error:
            raise self._complaint() from error
        return self.first()

    def close(self) -> None:
        """End the game and forget its folder."""
        self._stream.close()
        self._socket.close()
        self._process.kill()
        self._process.wait()
        self._home.cleanup()

    def _send(self, commands: str, milliseconds: int) -> None:
        text = commands.encode()
        self._socket.sendall(REPLY.pack(milliseconds, len(text)) + text)

    def _receive(self) -> View | None:
        """A frame; None if it shows no world."""
        seen, own, width, height, time, *values = FRAME.unpack(self._exactly(FRAME.size))
        if not seen:
            return None
        planes = self._exactly(2 * 4 * width * height)
        colour, depth = planes[: len(planes) // 2], planes[len(planes) // 2 :]
        numbers = np.array(values)
        return View(
            rgb=np.frombuffer(colour, np.uint8).reshape(height, width, 4)[::-1, :, :3],
            depth=np.frombuffer(depth, np.float32).reshape(height, width)[::-1],
            origin=numbers[:3],
            axis=numbers[3:12].reshape(3, 3),
            projection=numbers[12:].reshape(4, 4),
            time=time,
            own=bool(own),
        )

    def _exactly(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) < size:
            raise ConnectionError("the game has ended")
        return data

    def _complaint(self) -> DataError:
        words = self._log.read_text(errors="replace").strip().splitlines() or ["nothing"]
        return DataError(
            f"OpenArena: expected a map to be shown, got: {words[-1][:200]} "
            "(it needs the packages openarena, libegl1 and libgl1-mesa-dri)"
        )


def check_installed(folder: Path) -> None:
    """Refuse to go on without the game, whose files are to lie in ``folder``.

    Raises:
        DataError: names the package.
    """
    for path in (ENGINE, folder / "baseoa"):
        if not path.exists():
            raise DataError(f"expected {path}; install the package openarena")


def compile_hook() -> Path:
    """The library that watches the game, from the cache if it is there.

    Raises:
        DataError: there is no compiler (names the package), or it fails, or there is nowhere to
            put the library.
    """
    name = f"openarena_hook-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}.so"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "mgenv"
    if (cache / name).exists():
        return cache / name
    compiler = shutil.which("cc")
    if compiler is None:
        raise DataError("expected a C compiler, cc; install the packages gcc and libc6-dev")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _unfinished(cache) as part:
            command = [compiler, "-O2", "-shared", "-fPIC", "-o", part, str(SOURCE), "-ldl"]
            subprocess.run(command, check=True, capture_output=True, text=True)
            os.replace(part, cache / name)
    except subprocess.CalledProcessError as error:
        raise DataError(f"expected cc to compile {SOURCE}, got: {error.stderr}") from error
    except OSError as error:
        raise DataError(f"expected a folder to write to, {cache}, got: {error}") from error
    return cache / name


@contextlib.contextmanager
def _unfinished(folder: Path):
    """A file's name that is not there afterwards."""
    handle, path = tempfile.mkstemp(suffix=".part", dir=folder)
    os.close(handle)
    try:
        yield path
    finally:
        Path(path).unlink(missing_ok=True)
