"""Clips follow each other as in the public code, each slot by itself."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mgenv.errors import InvalidActionError, InvalidOptionError
from mgenv.matrix_game3.checkpoint.folder import Folder
from mgenv.matrix_game3.checkpoint.loader import open_weights
from mgenv.matrix_game3.checkpoint.references import relative_error
from mgenv.matrix_game3.memory.camera import (
    camera_to_world,
    latent_index,
    memory_pose_frame,
    plucker,
    poses_of_actions,
)
from mgenv.matrix_game3.memory.memory_query import Recall
from mgenv.matrix_game3.network.conventions import actions_of, from_public, to_public
from mgenv.matrix_game3.rollout.clips import REUSE, memory_rays, window_rays
from mgenv.matrix_game3.rollout.rollout import Rollout
from mgenv.matrix_game3.rollout.sampler import FlowUniPC
from mgenv.matrix_game3.rollout.state import RolloutState, extended
from mgenv.matrix_game3.speed.fast import compile_blocks
from mgenv.robots import PITCH
from tests.matrix_game3.public_frames import memory_frames, window_pose_frames

ROOT = Path(__file__).parents[2] / "fixtures" / "matrix_game3"


@pytest.fixture(scope="module")
def rollout():
    folder = Folder.open(ROOT, vae="light_v2")
    return Rollout(*folder.read(torch.device("cpu")), folder.text("", torch.device("cpu")))


def picture(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (64, 96, 3), dtype=torch.uint8, generator=generator)


def start(rollout, seed=0):
    return rollout.begin(rollout.encode(picture(seed)), torch.zeros(5))


def actions(frames, turn=0.1):
    keyboard, mouse = torch.zeros(frames, 6), torch.zeros(frames, 2)
    keyboard[:, 0], mouse[:, 1] = 1.0, turn
    return keyboard, mouse


def extend(rollout, tracks, generators, memory=None, turns=None):
    turns = turns or [0.1] * len(tracks)
    pairs = [actions(rollout.actions_needed(t), u) for t, u in zip(tracks, turns, strict=True)]
    keyboard, mouse = zip(*pairs, strict=True)
    return rollout.extend(tracks, keyboard, mouse, memory or [None] * len(tracks), generators)


def remembered(clips):
    poses = torch.cat([clip.poses for clip in clips])
    latents = torch.cat([clip.latents.movedim(1, 0) for clip in clips])
    return Recall(latents, poses, torch.arange(1, len(poses) + 1))


def run(rollout, clips, seed=0):
    track, generator, made = start(rollout, seed), torch.Generator().manual_seed(seed), []
    for _ in range(clips):
        recall = remembered(made).before(track.index, track.origin) if made else None
        made += extend(rollout, [track], [generator], [recall])
    return track, made


def test_there_are_57_frames_and_then_40_a_clip(rollout):
    track, clips = run(rollout, 3)
    assert [tuple(c.frames.shape) for c in clips] == [(57, 64, 96, 3)] + [(40, 64, 96, 3)] * 2
    assert [c.index for c in clips] == [1, 15, 25] and track.index == 31
    assert clips[1].coverage > 0 and all(c.frames.dtype == torch.uint8 for c in clips)


def test_a_caller_in_inference_mode_sees_the_same(rollout):
    """Though the noise is drawn by a thread, which does not know the mode."""
    expected = run(rollout, 2)[1][1].frames
    with torch.inference_mode():
        assert torch.equal(run(rollout, 2)[1][1].frames, expected)


@pytest.mark.parametrize("reuse", REUSE)
def test_nothing_is_compiled_after_the_second_clip(reuse):
    """The first clip has a shape of its own; from the second on programs are ready."""
    torch.compiler.reset()
    device = torch.device("cpu")
    folder = Folder.open(ROOT, vae="light_v2")
    network, vae = folder.read(device)
    compile_blocks(network, backend="eager")  # traced and guarded as ever
    made = Rollout(network, vae, folder.text("", device), reuse=reuse)
    counters = torch._dynamo.utils.counters["stats"]
    before = counters["unique_graphs"]
    run(made, 2)
    ready = counters["unique_graphs"]
    run(made, 5, seed=1)
    assert ready > before and counters["unique_graphs"] == ready
    assert not torch._dynamo.utils.counters["graph_break"]


def test_poses_are_those_of_all_actions_at_once(rollout):
    _, clips = run(rollout, 3)
    poses = poses_of_actions(*actions(137))
    assert torch.allclose(torch.cat([c.poses.flatten(0, 1) for c in clips]), poses[1:], atol=1e-2)


def test_a_clip_remembers_the_frames_that_the_public_rule_picks(rollout):
    track, clips = run(rollout, 2)
    made = [clip for clip in clips]
    recall = remembered(made).before(track.index, track.origin)
    window = extended(track, *actions(40))
    found = recall.select(camera_to_world(window.poses), window.index)
    poses = torch.cat([torch.zeros(1, 5), *[c.poses.flatten(0, 1) for c in made]])
    every = camera_to_world(torch.cat([poses, window.poses[16:]]))
    frames, _ = memory_frames(every, start=81, end=137)
    assert found.index.tolist() == [latent_index(frame) for frame in frames.tolist()]


def test_a_slot_does_not_depend_on_its_batch(rollout):
    alone = [extend(rollout, [start(rollout, s)], [torch.Generator().manual_seed(s)])[0]
             for s in (0, 1)]  # fmt: skip
    tracks = [start(rollout, seed) for seed in (0, 1)]
    both = extend(rollout, tracks, [torch.Generator().manual_seed(seed) for seed in (0, 1)])
    for one, other in zip(alone, both, strict=True):
        torch.testing.assert_close(one.latents, other.latents, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(both[0].latents, both[1].latents, atol=1e-2)


@pytest.mark.parametrize("reuse", REUSE)
def test_nor_with_guidance_and_memory_whatever_is_reused(rollout, reuse):
    guided = replace(rollout, guidance=3.0, reuse=reuse)

    def second_clips(seeds):
        tracks = [start(guided, seed) for seed in seeds]
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        first = extend(guided, tracks, generators)
        memory = [
            remembered([clip]).before(track.index, track.origin)
            for clip, track in zip(first, tracks, strict=True)
        ]
        return extend(guided, tracks, generators, memory)

    alone, both = [second_clips([seed])[0] for seed in (0, 1)], second_clips([0, 1])
    for one, other in zip(alone, both, strict=True):
        torch.testing.assert_close(one.latents, other.latents, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(both[0].latents, both[1].latents, atol=1e-2)


def test_memory_and_actions_change_what_is_made(rollout):
    made = []
    for recall, turn in ((False, 0.1), (True, 0.1), (False, -0.3)):
        track, generator = start(rollout), torch.Generator().manual_seed(0)
        clips = extend(rollout, [track], [generator])
        memory = [remembered(clips).before(track.index, track.origin) if recall else None]
        made += extend(rollout, [track], [generator], memory, [turn])
    assert not torch.equal(made[0].latents, made[1].latents)
    assert not torch.equal(made[0].latents, made[2].latents)


def test_a_track_resumes_exactly(rollout):
    track, _ = run(rollout, 1)
    again = RolloutState.from_state(track.get_state())
    one, other = (extend(rollout, [t], [torch.Generator().manual_seed(7)])[0]
                  for t in (track, again))  # fmt: skip
    assert torch.equal(one.frames, other.frames)


def test_guidance_of_one_is_none_and_more_changes_the_clip(rollout):
    strong = Rollout(rollout.network, rollout.vae, rollout.text, steps=2, guidance=5.0)
    plain = Rollout(rollout.network, rollout.vae, rollout.text, steps=2)
    one, other = (extend(r, [start(r)], [torch.Generator().manual_seed(0)])[0]
                  for r in (strong, plain))  # fmt: skip
    assert one.frames.shape == other.frames.shape
    assert not torch.allclose(one.latents, other.latents, atol=1e-3)


@pytest.mark.parametrize("frames, width", [(56, 6), (57, 4), (40, 6)])
def test_actions_of_another_shape_are_refused_before_anything_is_made(rollout, frames, width):
    track, generator = start(rollout), torch.Generator().manual_seed(0)
    before = generator.get_state()
    with pytest.raises(InvalidActionError, match=r"\(57, 6\)"):
        rollout.extend([track], [torch.zeros(frames, width)], [torch.zeros(frames, 2)], [None],
                       [generator])  # fmt: skip
    assert torch.equal(generator.get_state(), before) and track.first


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_actions_that_are_not_finite_are_refused(rollout, number):
    keyboard, mouse = actions(57)
    mouse[30, 1] = number
    with pytest.raises(InvalidActionError, match=r"mouse: .*got \(57, 2\) with NaN or inf"):
        rollout.extend([start(rollout)], [keyboard], [mouse], [None], [torch.Generator()])


def test_pictures_have_sides_that_32_divides(rollout):
    with pytest.raises(InvalidOptionError, match="divisible by 32, got 64×100"):
        rollout.encode(torch.zeros(64, 100, 3, dtype=torch.uint8))


def test_poses_go_to_the_public_convention_and_back():
    poses = torch.tensor([[100.0, -50.0, 100.0, 20.0, -75.0], [0.0, 0.0, 0.0, 0.0, 170.0]])
    assert torch.allclose(to_public(from_public(poses)), poses, atol=1e-3)
    assert from_public(poses)[0, :3, 3].tolist() == pytest.approx([1.0, 0.5, 1.0])
    assert torch.det(from_public(poses)[:, :3, :3]) == pytest.approx(torch.ones(2))


def test_motions_become_keys_and_mouse():
    turn = torch.pi / 12
    motions = torch.tensor([[0.25, -0.25, 0, turn / 2, turn]]).expand(6, 5)
    keyboard, mouse = actions_of(motions, pitch=-20.0)
    assert keyboard.tolist() == [[1, 0, 0, 1, 0, 0]] * 6
    assert mouse[:, 1].tolist() == pytest.approx([-0.5] * 6)
    assert mouse[:, 0].tolist() == pytest.approx([-1, -1, 0, 0, 0, 0], abs=1e-6)  # 60° is the end
    with pytest.raises(InvalidActionError, match="up or down, got 0.100 m"):
        actions_of(torch.tensor([[0.25, 0, 0, 0, 0], [0.0, 0, -0.1, 0, 0]]))


def test_each_frame_has_keys_and_mouse_of_its_own():
    turn = torch.pi / 12
    motions = torch.tensor([[0.25, 0, 0, 0, 3 * turn], [-0.25, 0, 0, 0, 2 * turn],
                            [0, 0.25, 0, 0, turn], [0, 0, 0, turn, -turn]])  # fmt: skip
    keyboard, mouse = actions_of(motions)
    assert keyboard[:, :4].argmax(1).tolist() == [0, 1, 2, 0] and keyboard.sum() == 3
    assert mouse[:, 0].tolist() == pytest.approx([-3, 0, -1, 1])  # the second would look up 75°
    assert mouse[:, 1].tolist() == pytest.approx([0, 0, 0, -1])


def test_rays_are_the_golden_ones():
    golden = dict(open_weights(ROOT / "dit_golden.safetensors").read())
    poses, first = golden["poses_xyz_pitch_yaw"].float(), golden["plucker.first_clip"][0].float()
    assert relative_error(window_rays(poses[:57], (4, 6)), first) < 1e-3
    second = golden["second.plucker"][0].float()
    assert relative_error(window_rays(poses[41:], (4, 6)), second[:, 5:]) < 1e-3
    known = Recall(torch.zeros(10, 1, 1, 1), poses[1:41].unflatten(0, (10, 4)), torch.arange(1, 11))
    found = known.select(camera_to_world(poses[41:]), 11)
    assert found.index.tolist() == golden["second.memory_latent_idx"].tolist()
    assert relative_error(memory_rays(found.relative, (4, 6)), second[:, :5]) < 1e-3
    assert found.coverage == pytest.approx(float(golden["retrieval.overlap"].mean()), abs=1e-3)


def test_a_later_clip_is_what_a_direct_call_of_the_network_gives(rollout):
    short = Rollout(rollout.network, rollout.vae, rollout.text, steps=1)
    track, first = run(short, 1)
    before, recall = track.copy(), remembered(first).before(track.index, track.origin)
    clip = extend(short, [track], [torch.Generator().manual_seed(5)], [recall])[0]
    c2w = camera_to_world(poses_of_actions(*actions(97)))
    picked, queries = memory_frames(c2w, start=41, end=97)
    rows = [latent_index(frame) for frame in picked.tolist()]
    rays = plucker(
        c2w[window_pose_frames(41, 97)], 64, 96, (4, 6),
        c2w[[memory_pose_frame(frame) for frame in picked.tolist()]], c2w[queries],
    )  # fmt: skip
    noise = torch.randn(1, 48, 10, 4, 6, generator=torch.Generator().manual_seed(5))
    x = torch.cat([before.latents[None], noise], 2)
    sampler = FlowUniPC(1, 5.0)
    t = torch.tensor([[0.0] * 4 + [float(sampler.timesteps[0])] * 10])
    keyboard, mouse = (action[None] for action in actions(56))
    memory = first[0].latents[None][:, :, [row - 1 for row in rows]]
    velocity = short.network(
        x, t, [short.text], rays[None], keyboard, mouse, memory, rows, (11, 25)
    )  # fmt: skip
    expected = sampler.step(velocity[:, :, 4:], 0, noise)[0]
    assert relative_error(clip.latents, expected) < 1e-4


def test_neither_the_window_nor_the_first_picture_is_recalled():
    recall = Recall(torch.zeros(6, 1, 1, 1), torch.zeros(6, 4, 5), torch.arange(6), sink=1)
    old = recall.before(4, but=0)
    assert old is not None and old.index.tolist() == [1, 2, 3] and old.sink == 0
    assert recall.before(1, but=0) is None
    without = recall.before(4, but=1)
    assert without is not None and without.sink is None


def test_turns_too_small_to_turn_do_not_add_up():
    """0.2° a frame is within the mouse's dead zone: the camera still looks 50° down."""
    motions = torch.zeros(101, 5)
    motions[:100, PITCH], motions[100, PITCH] = -math.radians(0.2), -math.radians(5.0)
    _, mouse = actions_of(motions, pitch=50.0)
    assert float(mouse[100, 0]) * 15.0 == pytest.approx(5.0, abs=1e-4)
    poses = poses_of_actions(torch.zeros(102, 6), torch.cat([mouse, mouse[-1:]]))
    assert float(poses[101, 3]) == pytest.approx(5.0, abs=1e-3)
