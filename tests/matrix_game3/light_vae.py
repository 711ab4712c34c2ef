"""Sizes of the public autoencoders: whole and with pruned decoders."""

from dataclasses import replace

from mgenv.matrix_game3.vae.config import VaeConfig

PUBLIC_VAE = VaeConfig()
PUBLIC_LIGHT_50 = replace(PUBLIC_VAE, decoder_widths=(512, 512, 512, 256, 128))
PUBLIC_LIGHT_75 = replace(PUBLIC_VAE, decoder_widths=(256, 256, 256, 128, 64))
