import pytest
import torch
from torch.testing import assert_close

from kinemask.encoders.precision import set_precision
from kinemask.methods.decoder import DecoderConfig, FrameDecoder

SEEN = torch.ones(4, 6, dtype=torch.bool)
SEEN[1, 3:] = False


def build(norm="batch", depth=2):
    torch.manual_seed(0)
    return FrameDecoder(width=12, config=DecoderConfig(hidden=8, depth=depth, norm=norm), num_outputs=10)


def features():
    return torch.randn(4, 6, 12, generator=torch.Generator().manual_seed(0))


def test_the_published_decoder_has_the_published_size():  # METHOD_MTMC B4
    config = DecoderConfig(hidden=512, depth=2, norm="batch")
    with torch.device("meta"):
        decoder = FrameDecoder(width=2048, config=config, num_outputs=150)
    assert sum(weight.numel() for weight in decoder.parameters()) == 4_541_590


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_every_weight_gets_a_gradient(norm):
    decoder = build(norm)
    predicted = decoder(features(), SEEN)
    assert predicted.shape == (4, 6, 10)
    predicted.square().sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in decoder.parameters())


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_it_never_looks_ahead(norm):
    decoder = build(norm).eval()
    later = features()
    later[:, 4:] += 1.0
    before, after = decoder(features(), SEEN), decoder(later, SEEN)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.equal(before[0, 4:], after[0, 4:])


def test_frames_without_anyone_do_not_enter_the_norm():
    spoilt = features()
    spoilt[~SEEN] = 1e6
    assert_close(build()(spoilt, SEEN)[SEEN], build()(features(), SEEN)[SEEN])


def test_the_norm_stands_between_the_two_layers_before_the_relu():
    decoder = build()
    squeezed = decoder.squeeze(features())
    mean, variance = squeezed[SEEN].mean(dim=0), squeezed[SEEN].var(dim=0, unbiased=False)
    normed = (squeezed - mean) / (variance + 1e-5).sqrt() * SEEN[..., None]
    expected = decoder.head(decoder.gru(decoder.mix(normed.relu()))[0])
    assert_close(decoder(features(), SEEN), expected, atol=1e-5, rtol=0)


def test_bfloat16_is_inside_only():
    decoder = build()
    whole = decoder(features(), SEEN)
    set_precision(decoder, torch.bfloat16)
    half = decoder(features(), SEEN)
    assert half.dtype == torch.float32
    assert not torch.equal(half, whole)
    assert_close(half, whole, atol=0.05, rtol=0)
