"""The benchmark on a tiny network; run by torchrun."""

import sys
from pathlib import Path

import torch.distributed as dist

from mgenv.matrix_game3.benchmark import video_clip, video_parallel
from mgenv.matrix_game3.network.config import TransformerConfig
from mgenv.matrix_game3.vae.config import VaeConfig

CONFIG = Path(__file__).parents[2] / "fixtures" / "matrix_game3" / "dit_config.json"
TINY = VaeConfig(encoder_widths=(8, 8, 16, 16, 16), decoder_widths=(16, 16, 16, 16, 8))

if __name__ == "__main__":
    video_clip.REMEMBERED = 16
    sizes = TransformerConfig.from_json(CONFIG)
    report = video_parallel.run(sizes, TINY, (64, 64), ("int8", "fastest"), "cpu")
    if dist.get_rank() == 0:
        report.write_json(sys.argv[1])
    dist.destroy_process_group()
