"""A motion a frame, or one held, in the public model's world; action chunks in environments."""

import gymnasium as gym
import numpy as np
import pytest
import torch

import mgenv
from mgenv.errors import InvalidActionError, InvalidOptionError
from mgenv.matrix_game3.memory.camera import poses_of_actions
from mgenv.matrix_game3.network.conventions import actions_of, to_public
from mgenv.robots import make_robot
from tests.matrix_game3.public_network import AHEAD, POSE, ROOT, env, make, walk
from tests.same import assert_same

pytestmark = pytest.mark.usefixtures("noise_source")
LEFT = [0.0, 0.25, 0.0, 0.0, 0.1]


def begun(count=1, **options):
    world = make(count, **options)
    world.begin(range(count), range(count))
    return world


def wander(frames, seed=0):
    """Motions (frames, 5), each another."""
    generator = np.random.default_rng(seed)
    motions = np.zeros((frames, 5), np.float32)
    motions[:, :2] = generator.choice([-0.25, 0.0, 0.25], (frames, 2))
    motions[:, 3:] = generator.uniform(-0.1, 0.1, (frames, 2))
    return motions


def shown_poses(world):
    """Public poses of every frame that was made, from memory: (frames, 5)."""
    return world.memory.recall(0).poses[1:].flatten(0, 1)


def test_a_motion_repeated_for_each_frame_is_the_motion_held():
    held, each = begun(), begun()
    for motion in (AHEAD, AHEAD, LEFT):
        frames = each.motions_needed()[0]
        one, other = held.step([motion]), each.step(np.tile(motion, (1, frames, 1)))
        assert_same(vars(one), vars(other))
        assert np.array_equal(held.chunks[0], each.chunks[0])
    assert_same(held.get_state(), each.get_state())


def test_each_motion_leads_to_the_frame_of_its_own():
    world, made = begun(frames_per_step=20), []
    for _ in range(3):
        made.append(wander(world.motions_needed()[0], seed=len(made)))
        frame = world.step(made[-1][None])
    motions = torch.from_numpy(np.concatenate([*made, made[-1][-1:]])).double()
    start = to_public(torch.from_numpy(POSE))
    expected = poses_of_actions(*actions_of(motions), start)
    assert [len(one) for one in made] == [36, 20, 20]
    torch.testing.assert_close(shown_poses(world), expected[1:], atol=2e-2, rtol=0)
    torch.testing.assert_close(to_public(torch.from_numpy(frame.pose[0])), expected[-1])


def test_a_motion_moves_the_step_that_it_is_given_to():
    world = begun()
    ahead = world.step([[0.25, 0, 0, 0, 0]]).pose[0, :3, 3]
    side = world.step([[0, 0.25, 0, 0, 0]]).pose[0, :3, 3]
    assert side - ahead == pytest.approx([0, 16 * 0.1235, 0], abs=1e-3)


def test_the_pixels_follow_the_motions_of_frames():
    one, other = begun(), begun()
    motions = wander(32)[None]
    turned = motions.copy()
    turned[0, 20:, 3] = 0.26
    frames = [world.step(given).rgb for world, given in ((one, motions), (other, turned))]
    assert not np.array_equal(*frames)


def test_a_first_clip_holds_the_last_motion_of_a_shorter_chunk():
    short, long = begun(), begun()
    motions = wander(short.frames_per_step)
    whole = np.concatenate([motions, np.repeat(motions[-1:], 16, 0)])
    assert_same(vars(short.step(motions[None])), vars(long.step(whole[None])))
    motions = wander(16, seed=1)[None]
    assert_same(vars(short.step(motions)), vars(long.step(motions)))


def test_slots_of_different_ages_take_motions_of_different_lengths():
    world = begun(2)
    walk(world, 1, slots=[1])
    assert world.motions_needed() == [32, 16] and world.motions_needed([1]) == [16]
    world.step([wander(32), wander(16)])
    assert [len(chunk) for chunk in world.chunks] == [33, 16]
    world.step([AHEAD, wander(16)])
    assert world.motions_needed() == [16, 16]


@pytest.mark.parametrize(
    "motion, match",
    [
        ([wander(31)], r"or \(32, 5\), one a frame of the next clip; got shape \(31, 5\)"),
        (wander(33)[None], r"\(32, 5\).*got shape \(33, 5\)"),
        ([wander(32)[:, :4]], r"\(32, 5\).*got shape \(32, 4\)"),
        (wander(32), "1 slots, got 32"),
        ([np.full((32, 5), np.nan)], "NaN"),
        ([wander(32) + np.array([0, 0, 0.1, 0, 0])], "up or down"),
        (3.0, r"got shape \(\)"),
        ([["ahead"] * 5], "expected numbers"),
        ([[0.0, [1.0], 0.0, 0.0, 0.0]], "expected numbers"),
    ],
)
def test_motions_of_another_length_are_refused_before_anything_is_made(motion, match):
    world = begun()
    before = world.get_state()
    with pytest.raises(InvalidActionError, match=match):
        world.step(motion)
    assert_same(world.get_state(), before)


def test_after_the_first_clip_the_expected_length_is_another():
    world = begun()
    walk(world, 1)
    before = world.get_state()
    with pytest.raises(InvalidActionError, match=r"\(16, 5\).*got shape \(32, 5\)"):
        world.step(wander(32)[None])
    assert_same(world.get_state(), before)


# -- in environments -----------------------------------------------------------------------------


def test_an_environment_takes_chunks_of_actions():
    envs = env(num_envs=2, action_chunks=True)
    assert envs.single_action_space.shape == (16, 2) and envs.action_space.shape == (2, 16, 2)
    envs.action_space.seed(0)
    _, infos = envs.reset(seed=0)
    assert [len(frames) for frames in infos["frames"]] == [1, 1]
    for frames in (33, 16):
        observation, *_, infos = envs.step(envs.action_space.sample())
        assert envs.observation_space.contains(observation) and infos["_frames"].all()
        assert [len(chunk) for chunk in infos["frames"]] == [frames] * 2
        assert np.array_equal(infos["frames"][1][-1], observation["pixels"][1])
        infos["frames"][1][:] = 0  # theirs to change
        assert envs.unwrapped.world.chunks[1].any()
    envs.close()


def test_a_chunk_of_one_action_is_the_action_held():
    held, chunks = env(), env(action_chunks=True)
    action = np.array([[1.0, 0.1]], np.float32)
    assert_same(held.reset(seed=0), chunks.reset(seed=0))
    for _ in range(2):
        assert_same(held.step(action), chunks.step(np.repeat(action[:, None], 16, 1)))


def test_actions_of_a_chunk_move_their_own_frames():
    envs = env(action_chunks=True, robot="keyboard_mouse")
    envs.reset(seed=0)
    space = envs.single_action_space
    assert space["keyboard"].shape == (16, 4) and space["mouse"].shape == (16, 2)
    keyboard = np.zeros((1, 16, 4), np.int8)
    keyboard[0, :5, 0] = 1  # five frames ahead, then still
    *_, infos = envs.step({"keyboard": keyboard, "mouse": np.zeros((1, 16, 2), np.float32)})
    assert infos["pose"][0, :3, 3] == pytest.approx([1 + 5 * 0.1235, 2, 1], abs=1e-3)


@pytest.mark.parametrize("shape", [(1, 2), (1, 15, 2), (1, 32, 2), (16, 2)])
def test_chunks_of_another_length_are_refused(shape):
    envs = env(action_chunks=True)
    envs.reset(seed=0)
    with pytest.raises(InvalidActionError, match=r"shape \(1, 16, 2\)"):
        envs.step(np.zeros(shape, np.float32))


def test_one_robot_and_many_take_chunks_too():
    options = {"world": "matrix-game-3", "weights": str(ROOT)}
    options |= {"sampling_steps": 1, "world_options": {"vae": "light_v2", "frames_per_step": 16}}
    single = gym.make("mgenv/Explore-v0", action_chunks=True, **options)
    single.reset(seed=0)
    assert single.step(np.ones((16, 2), np.float32))[4]["frames"].shape == (33, 64, 96, 3)
    many = mgenv.parallel_env("explore", num_agents=2, action_chunks=True, **options)
    many.reset(seed=0)
    infos = many.step({agent: np.ones((16, 2), np.float32) for agent in many.agents})[4]
    assert infos["robot_1"]["frames"].shape == (33, 64, 96, 3)


def test_final_infos_hold_the_last_clip():
    envs = env(num_envs=2, max_episode_steps=1, autoreset_mode="same_step")
    envs.reset(seed=0)
    *_, infos = envs.step(np.ones((2, 2), np.float32))
    assert [len(frames) for frames in infos["final_info"]["frames"]] == [33, 33]
    assert [len(frames) for frames in infos["frames"]] == [1, 1]


def test_worlds_of_single_frames_refuse_chunks(make_tiny):
    with pytest.raises(InvalidOptionError, match="action_chunks: expected a world whose step"):
        make_tiny(1, action_chunks=True)
    robot = make_robot("differential")
    assert make_tiny(1).single_action_space == robot.action_space
