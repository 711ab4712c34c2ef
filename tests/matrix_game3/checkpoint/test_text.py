"""Prompts are embedded once; the encoder and its packages may then be absent."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mgenv.errors import CheckpointError, MissingExtraError
from mgenv.matrix_game3.checkpoint import text
from mgenv.matrix_game3.checkpoint.loader import materialise, open_weights
from mgenv.matrix_game3.checkpoint.renaming import _TEXT_LAYERS, text_encoder_key


class Fake:
    """Embeds a prompt of n letters as n rows of its length."""

    def __init__(self):
        self.asked = []

    def __call__(self, prompts):
        self.asked += prompts
        return [torch.full((len(p), 4), float(len(p)), dtype=torch.bfloat16) for p in prompts]


def test_a_prompt_is_encoded_once(tmp_path):
    file, encoder = tmp_path / "texts.safetensors", Fake()
    first = text.TextCache(file).embed(["a cave", "sea", "a cave"], encoder)
    assert encoder.asked == ["a cave", "sea"]
    again = text.TextCache(file).embed(["sea", "a cave"])
    assert torch.equal(again[1], first[0]) and again[0].shape == (3, 4)
    assert again[0].dtype == torch.bfloat16
    cache = text.TextCache(file)
    cache.embed(["sea", "sky!"], encoder)
    assert encoder.asked == ["a cave", "sea", "sky!"] and len(text.TextCache(file)) == 3


def test_an_encoder_is_loaded_only_when_needed(tmp_path):
    def load():
        loads.append(1)
        return Fake()

    loads, cache = [], text.TextCache(tmp_path / "texts.safetensors")
    encoder = text.lazily(load)
    cache.embed([], encoder)
    assert not loads
    cache.embed(["a"], encoder)
    cache.embed(["b"], encoder)
    assert loads == [1]


def test_an_unknown_prompt_without_encoder_is_told(tmp_path):
    with pytest.raises(CheckpointError, match="'a cave'.*no encoder"):
        text.TextCache(tmp_path / "texts.safetensors").embed(["a cave"])


def test_another_file_is_no_cache(tmp_path):
    save_file({"weight": torch.zeros(1)}, tmp_path / "texts.safetensors")
    with pytest.raises(CheckpointError, match="expected cached texts; got weight"):
        text.TextCache(tmp_path / "texts.safetensors")
    (tmp_path / "texts.safetensors").write_bytes(b"hello")
    with pytest.raises(CheckpointError, match="expected cached texts"):
        text.TextCache(tmp_path / "texts.safetensors")


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.setitem(sys.modules, "ftfy", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mgenv\[text\]'"):
        text.TextEncoder.from_folder(tmp_path)
    with pytest.raises(MissingExtraError, match=r"mgenv\[text\]"):
        text.cleaned("a cave")


class FakeModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(9, 4)

    def forward(self, input_ids, attention_mask):
        return SimpleNamespace(last_hidden_state=self.table(input_ids))


def fake_tokenizer(prompts, *, padding, truncation, max_length, return_tensors):
    assert padding and truncation and return_tensors == "pt"
    ids = [[len(word) for word in prompt.split()][: max_length - 1] + [1] for prompt in prompts]
    longest = max(map(len, ids))
    mask = torch.tensor([[1] * len(own) + [0] * (longest - len(own)) for own in ids])
    return {
        "input_ids": torch.tensor([own + [0] * (longest - len(own)) for own in ids]),
        "attention_mask": mask,
    }


def test_padding_is_cut_off_and_prompts_are_cleaned(monkeypatch):
    monkeypatch.setitem(sys.modules, "ftfy", SimpleNamespace(fix_text=lambda prompt: prompt))
    encoder = text.TextEncoder(FakeModel(), fake_tokenizer, length=4)
    short, long = encoder(["a  cave\n", "one &amp; two three four"])
    assert short.shape == (3, 4) and long.shape == (4, 4)
    assert torch.equal(short, encoder(["a cave"])[0])


def test_marks_of_web_pages_and_broken_encodings_go():
    pytest.importorskip("ftfy")
    assert text.cleaned(" a caf\u00c3\u00a9 &amp;amp;\n  bar ") == "a caf\u00e9 & bar"


@pytest.fixture
def encoder(tmp_path):
    """A small encoder, its weights in the public names in a folder."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.UMT5Config(
        vocab_size=64, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4
    )
    own = transformers.UMT5EncoderModel(config).eval()
    state = own.state_dict()
    public = {
        f"blocks.{i}.{name}.weight": state[f"encoder.block.{i}.{theirs}.weight"]
        for i in range(2)
        for name, theirs in _TEXT_LAYERS.items()
    }
    public["token_embedding.weight"] = state["shared.weight"]
    public["norm.weight"] = state["encoder.final_layer_norm.weight"]
    torch.save(public, tmp_path / f"{text.ENCODER_FILE}.pth")
    return own


def test_public_weights_compute_the_same(encoder, tmp_path):
    weights = open_weights(tmp_path / f"{text.ENCODER_FILE}.pth", text_encoder_key)
    loaded = materialise(text.empty_encoder(weights), weights)
    ids = torch.arange(18).view(2, 9)
    with torch.inference_mode():
        expected = encoder(input_ids=ids).last_hidden_state
        torch.testing.assert_close(loaded(input_ids=ids).last_hidden_state, expected)


def test_a_folder_with_encoder_and_tokenizer_embeds_prompts(encoder, tmp_path):
    tokenizers, transformers = (pytest.importorskip(n) for n in ("tokenizers", "transformers"))
    words = tokenizers.models.WordLevel({"<pad>": 0, "<unk>": 1, "a": 2, "cave": 3}, "<unk>")
    plain = tokenizers.Tokenizer(words)
    plain.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="<pad>")
    with pytest.raises(CheckpointError, match="expected a tokenizer"):
        text.TextEncoder.from_folder(tmp_path)
    tokenizer.save_pretrained(tmp_path / text.TOKENIZER_FOLDER)
    both = text.TextEncoder.from_folder(tmp_path, dtype=torch.float32)(["a cave", "a"])
    with torch.inference_mode():
        expected = encoder(input_ids=torch.tensor([[2, 3]])).last_hidden_state[0]
    assert [tuple(one.shape) for one in both] == [(2, 32), (1, 32)]
    torch.testing.assert_close(both[0], expected)
