"""A small network with random weights, and a clip for it."""

import torch

from mgenv.matrix_game3 import ActionConfig, Transformer, TransformerConfig, build

SMALL = TransformerConfig(
    dim=24,
    ffn_dim=40,
    freq_dim=16,
    in_dim=6,
    out_dim=6,
    text_dim=10,
    text_len=5,
    num_heads=3,
    num_layers=2,
    sigma_theta=0.4,
    action_config=ActionConfig(
        blocks=(1,),
        img_hidden_size=24,
        hidden_size=4,
        keyboard_hidden_dim=16,
        mouse_hidden_dim=16,
        heads_num=2,
        rope_dim_list=(2, 2, 4),
        mouse_qk_dim_list=(4, 2, 2),
    ),
)


def relative_error(out: torch.Tensor, reference: torch.Tensor) -> float:
    return ((out - reference).norm() / reference.norm()).item()


def randomised(config: TransformerConfig, seed: int = 0) -> Transformer:
    network = build(config, "cpu")
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.copy_(1 + 0.5 * noise if "norm" in name else 0.2 * noise)
    return network


def a_clip(config: TransformerConfig, batch: int = 2, latents: int = 3, memory: int = 2) -> dict:
    """Random arguments of ``prepare``, with a memory and 4 T frames of actions."""
    generator = torch.Generator().manual_seed(7)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    return {
        "text": noise(batch, 4, config.text_dim),
        "plucker": noise(batch, 1536, memory + latents, 4, 6),
        "keyboard": noise(batch, 4 * latents, 6),
        "mouse": noise(batch, 4 * latents, 2),
        "memory": noise(batch, config.in_dim, memory, 4, 6) if memory else None,
        "memory_latent_idx": torch.arange(memory) * 3 if memory else None,
        "predict_latent_idx": (11, 11 + latents),
    }


def latents_and_times(config: TransformerConfig, batch: int = 2, latents: int = 3):
    x = torch.randn(batch, config.in_dim, latents, 4, 6, generator=torch.Generator().manual_seed(9))
    t = torch.tensor([[0.0] + [400.0] * (latents - 1), [0.0] + [800.0] * (latents - 1)])
    return x, t[:batch]
