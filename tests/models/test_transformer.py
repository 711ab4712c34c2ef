"""Keys and values of history are computed once, and that changes nothing."""

import pytest
import torch

from mgenv.camera import Pose
from mgenv.memory.reprojection import Canvas
from mgenv.models.history import History
from mgenv.models.sampler import add_noise, clean_estimate, noise_levels, sample
from mgenv.models.transformer import (
    Transformer,
    TransformerConfig,
    canvas_features,
    history_windows,
    pose_features,
)

CONFIG = TransformerConfig(width=32, depth=2, heads=2, latent_channels=4, side=4)


@pytest.fixture
def network() -> Transformer:
    torch.manual_seed(0)
    network = Transformer(CONFIG).eval()
    for parameter in network.parameters():  # zero-initialised layers would hide everything
        torch.nn.init.normal_(parameter, std=0.3)
    return network.requires_grad_(False)


def walk(frames: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents (1, F, C, h, w) and poses (1, F, 4, 4) along an arc."""
    torch.manual_seed(1)
    yaw = torch.arange(frames) * 0.2
    position = torch.stack([yaw.cos(), yaw.sin(), torch.ones(frames)], -1)
    return torch.randn(1, frames, 4, 4, 4), Pose.create(position, yaw).matrix[None]


def cached_velocity(network, latents, pose, target, noisy, sigma, features):
    """As an environment does it: frame by frame, then one target."""
    history = History.empty(CONFIG, 1, "cpu")
    for frame in range(target):
        history = history.append(network, latents[:, frame], pose[:, frame])
    motion = pose_features(pose[:, target], history.pose, history.present[:, -1])
    context = network.memory(features, motion, history.time, history.keys_values(), history.present)
    return network.velocity(noisy, sigma, features, motion, history.time, context, history.present)


def clip_velocity(network, latents, pose, noisy, sigma, features):
    """As training does it: every target of a clip at once."""
    frames = latents.shape[1]
    n = frames - CONFIG.history
    known = torch.ones(1, frames, dtype=torch.bool)
    known[:, 0] = False
    previous = torch.cat([pose[:, :1], pose[:, :-1]], 1)
    motion = pose_features(pose, previous, known)
    time = torch.arange(frames)[None]
    present = torch.ones(1, frames + CONFIG.history - 1, dtype=torch.bool)
    present[:, : CONFIG.history - 1] = False
    window = history_windows(
        network.history(latents, motion, time, present, None), CONFIG.history, CONFIG.tokens
    )
    seen = torch.ones(n, CONFIG.history, dtype=torch.bool)
    at = time[:, CONFIG.history :].flatten()
    motion = motion[:, CONFIG.history :].flatten(0, 1)
    joined = network.memory(features, motion, at, window, seen)
    return network.velocity(noisy, sigma, features, motion, at, joined, seen)


def test_cached_history_equals_whole_clip(network):
    latents, pose = walk(7)
    torch.manual_seed(2)
    noisy, sigma = torch.randn(3, 4, 4, 4), torch.tensor([0.3, 0.7, 1.0])
    features = torch.randn(3, 32, 4, 4)
    together = clip_velocity(network, latents, pose, noisy, sigma, features)
    for index in range(3):
        alone = cached_velocity(
            network,
            latents,
            pose,
            CONFIG.history + index,
            noisy[index : index + 1],
            sigma[index : index + 1],
            features[index : index + 1],
        )
        # Within a clip, history reaches back to the clip's start on both paths.
        torch.testing.assert_close(together[index : index + 1], alone, rtol=1e-4, atol=1e-4)


def test_history_never_sees_later_frames(network):
    latents, pose = walk(6)
    changed = latents.clone()
    changed[:, -1] += 1
    histories = []
    for frames in (latents, changed):
        history = History.empty(CONFIG, 1, "cpu")
        for frame in range(5):
            history = history.append(network, frames[:, frame], pose[:, frame])
        histories.append(history.cache)
    torch.testing.assert_close(histories[0], histories[1])


def test_absent_history_has_no_influence(network):
    latents, pose = walk(2)
    features, noisy = torch.randn(1, 32, 4, 4), torch.randn(1, 4, 4, 4)
    results = []
    for junk in (0.0, 5.0):
        history = History.empty(CONFIG, 1, "cpu")
        history.cache += junk
        history = history.append(network, latents[:, 0], pose[:, 0])
        motion = pose_features(pose[:, 1], history.pose, history.present[:, -1])
        context = network.memory(
            features, motion, history.time, history.keys_values(), history.present
        )
        results.append(
            network.velocity(
                noisy, torch.ones(1), features, motion, history.time, context, history.present
            )
        )
    torch.testing.assert_close(results[0], results[1])


def test_memory_and_history_reach_the_velocity(network):
    latents, pose = walk(5)
    noisy, sigma, features = torch.randn(1, 4, 4, 4), torch.ones(1), torch.randn(1, 32, 4, 4)
    base = cached_velocity(network, latents, pose, 4, noisy, sigma, features)
    other = cached_velocity(network, latents + 1, pose, 4, noisy, sigma, features)
    blind = cached_velocity(network, latents, pose, 4, noisy, sigma, features * 0)
    assert (base - other).abs().max() > 1e-3
    assert (base - blind).abs().max() > 1e-3


def test_positions_stay_exact_in_old_worlds(network):
    """Attention depends on relative time: a history a million steps old works the same."""
    latents, pose = walk(5)
    features, noisy = torch.randn(1, 32, 4, 4), torch.randn(1, 4, 4, 4)
    results = []
    for start in (0, 1_000_000):
        history = History.empty(CONFIG, 1, "cpu")
        history.time += start
        for frame in range(4):
            history = history.append(network, latents[:, frame], pose[:, frame])
        motion = pose_features(pose[:, 4], history.pose, history.present[:, -1])
        context = network.memory(
            features, motion, history.time, history.keys_values(), history.present
        )
        results.append(
            network.velocity(
                noisy, torch.ones(1), features, motion, history.time, context, history.present
            )
        )
    torch.testing.assert_close(results[0], results[1], rtol=1e-3, atol=1e-3)


def test_sampler_recovers_a_point_from_its_own_velocity():
    target = torch.randn(2, 4, 2, 2)

    def velocity(noisy, sigma):
        return (noisy - target) / sigma[:, None, None, None]

    for steps in (1, 2, 4):
        drawn = sample(velocity, lambda: torch.randn(2, 4, 2, 2), steps)
        torch.testing.assert_close(drawn, target, rtol=1e-4, atol=1e-4)


def test_noise_path_and_estimate_are_inverse():
    clean, noise = torch.randn(2, 3), torch.randn(2, 3)
    noisy = add_noise(clean, noise, 0.4)
    torch.testing.assert_close(clean_estimate(noisy, noise - clean, 0.4), clean)
    assert noise_levels(4) == sorted(noise_levels(4), reverse=True)


def test_canvas_features_keep_the_mask_in_place():
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., :8, :8] = 1
    evidence = torch.stack([mask, 0.5 * mask, 1 - mask], 1).squeeze(2)
    features = canvas_features(torch.zeros(1, 4, 2, 2), mask, evidence)
    assert features.shape == (1, 32, 2, 2)
    assert features[0, 4:20, 0, 0].min() == 1 and features[0, 4:20, 1, 1].max() == -1
    assert features[0, 20:, 0, 0].tolist() == [1.0] * 4 + [0.5] * 4 + [0.0] * 4
    assert features[0, 20:, 1, 1].tolist() == [0.0] * 8 + [1.0] * 4
    canvas = Canvas(torch.zeros(1, 3, 16, 16), mask, mask, evidence)
    assert canvas.coverage.item() == pytest.approx(0.25)
