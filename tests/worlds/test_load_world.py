import pytest

from mgenv import worlds
from mgenv.errors import CheckpointError, InvalidOptionError, UnknownNameError
from mgenv.worlds import load_world
from mgenv.worlds.base import World


def test_the_engine_is_a_world():
    world = load_world("engine", num_envs=2, image_size=32)
    assert isinstance(world, World) and (world.num_envs, world.image_size) == (2, 32)
    world.close()


def test_checkpoints_of_the_package_are_known_by_name(monkeypatch, tmp_path):
    monkeypatch.setattr(worlds, "WEIGHTS", tmp_path)
    (tmp_path / "tiny.safetensors").write_bytes(b"")
    assert list(worlds.checkpoints()) == ["tiny"]
    with pytest.raises(
        UnknownNameError, match="one of engine, matrix-game-3, tiny. Did you mean 'tiny'"
    ):
        load_world("tinny")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x10" + b"\0" * 7 + b"{}" * 8])
def test_files_that_are_not_checkpoints_are_refused(tmp_path, content):
    path = tmp_path / "world.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="world.safetensors"):
        load_world(path)


@pytest.mark.parametrize("name", ["no/such", "nano.pt", "."])
def test_paths_that_are_no_files_are_refused(name):
    with pytest.raises(CheckpointError, match="checkpoint file"):
        load_world(name)


@pytest.mark.parametrize("name", list(worlds.checkpoints()))
def test_a_checkpoint_has_one_image_size(name):
    with pytest.raises(InvalidOptionError, match="image_size"):
        load_world(name, num_envs=1, image_size=48)


@pytest.mark.parametrize("device", ["cuda:99", "meta", "gpu", None])
def test_devices_that_are_not_there_are_refused(device):
    with pytest.raises(InvalidOptionError, match="device"):
        load_world("engine", device=device)
