"""The block against a slow one that is written out head by head, query by query."""

import math
import subprocess
import sys

import pytest
import torch
from torch.testing import assert_close

from kinemask.encoders.attention import Attention, Block, SplitBias, init_linear
from tests.conftest import generator

HEADS, WIDTH, ROWS, TOKENS = 2, 8, 3, 5


def block():
    torch.manual_seed(0)
    made = Block(width=WIDTH, heads=HEADS, mlp_ratio=2)
    init_linear(made)
    for parameter in made.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter)  # norms and biases that are not what they start as
    return made


def tokens():
    return torch.randn(ROWS, TOKENS, WIDTH, generator=generator())


def normed(vector, norm):
    centred = vector - vector.mean()
    return centred / (centred.square().mean() + 1e-5).sqrt() * norm.weight + norm.bias


def slow_attention(attention, fed, bias, factor):
    size = WIDTH // HEADS
    weights = attention.queries_keys_values.weight.split(WIDTH)
    biases = attention.queries_keys_values.bias.split(WIDTH)
    out = torch.zeros_like(fed)
    for row in range(ROWS):
        query, key, value = (fed[row] @ weight.T + own for weight, own in zip(weights, biases, strict=True))
        for head in range(HEADS):
            part = slice(head * size, (head + 1) * size)
            for place in range(TOKENS):
                logits = [
                    query[place, part].dot(key[other, part])
                    / math.sqrt(size)
                    * factor[row, head, place, other]
                    + bias[row, head, place, other]
                    for other in range(TOKENS)
                ]
                shares = torch.stack(logits).exp()
                out[row, place, part] = (shares[:, None] / shares.sum() * value[:, part]).sum(dim=0)
    return out @ attention.out.weight.T + attention.out.bias


def slow_block(made, fed, bias, factor):
    each = [[normed(token, made.attention_norm) for token in row] for row in fed]
    fed = fed + slow_attention(made.attention, torch.stack([torch.stack(row) for row in each]), bias, factor)
    first, _, second = made.mlp
    wide = torch.stack([torch.stack([normed(token, made.mlp_norm) for token in row]) for row in fed])
    wide = wide @ first.weight.T + first.bias
    wide = wide * 0.5 * (1 + torch.erf(wide / math.sqrt(2)))  # the exact GELU
    return fed + wide @ second.weight.T + second.bias


@pytest.mark.parametrize("kind", ["none", "bias", "hidden", "factor", "both"])
def test_a_block_is_the_slow_one(kind):
    shape = (ROWS, HEADS, TOKENS, TOKENS)
    bias, factor = torch.zeros(shape), torch.ones(shape)
    if kind in ("bias", "both"):
        bias = torch.randn(shape, generator=generator(1)) * 3
    if kind == "hidden":
        bias[:, :, :, 2] = -torch.inf
    if kind in ("factor", "both"):
        factor = torch.randint(2, shape, generator=generator(2)).float()
    made = block()
    found = made(
        tokens(), None if kind in ("none", "factor") else bias, factor if kind in ("factor", "both") else None
    )
    assert_close(found, slow_block(made, tokens(), bias, factor), atol=1e-5, rtol=0)


@pytest.mark.parametrize("with_factor", [False, True], ids=["fused", "factor"])
@pytest.mark.parametrize("with_bias", [False, True], ids=["plain", "bias"])
def test_values_mixed_by_the_shares_are_what_attention_gives(with_bias, with_factor):
    attention, fed = block().attention, tokens()
    bias = torch.randn(ROWS, HEADS, TOKENS, TOKENS, generator=generator(1)) * 3
    bias[:, :, :, 2] = -torch.inf
    factor = torch.randint(2, (1, HEADS, TOKENS, TOKENS), generator=generator(2)).float()
    said = (bias if with_bias else None, factor if with_factor else None)
    shares = attention.shares(fed, *said)
    assert_close(shares.sum(dim=-1), torch.ones(ROWS, HEADS, TOKENS))
    assert bool((shares[..., 2] == 0).all()) is with_bias
    value = attention.queries_keys_values(fed)[..., 2 * WIDTH :].reshape(ROWS, TOKENS, HEADS, -1)
    mixed = torch.einsum("rhqk,rkhw->rqhw", shares, value).reshape(ROWS, TOKENS, WIDTH)
    assert_close(attention.out(mixed), attention(fed, *said), atol=1e-5, rtol=0)


@pytest.mark.parametrize("factor", [None, torch.ones(1, 1, TOKENS, TOKENS)])
def test_a_hidden_key_changes_nothing(factor):
    made, changed = block(), tokens()
    changed[:, 2] += 5.0
    bias = torch.zeros(1, 1, 1, TOKENS)
    bias[..., 2] = -torch.inf
    others = [0, 1, 3, 4]
    assert torch.equal(made(tokens(), bias, factor)[:, others], made(changed, bias, factor)[:, others])
    assert not torch.equal(made(tokens())[:, others], made(changed)[:, others])


@pytest.mark.parametrize("keys_hidden", [False, True])
def test_a_split_bias_is_the_product_of_its_parts_and_learns_as_much(keys_hidden):
    made = block()
    queries = torch.randn(1, HEADS, TOKENS, 3, generator=generator(1)).requires_grad_()
    keys = torch.randn(ROWS, 1, TOKENS, 3, generator=generator(2)).requires_grad_()
    hidden = torch.zeros(1, 1, 1, TOKENS)
    hidden[..., 2] = -torch.inf if keys_hidden else 0.0
    losses, gradients = [], []
    for split in (False, True):
        bias = hidden if split else hidden + queries @ keys.mT
        out = made(tokens(), bias, None, SplitBias(queries, keys) if split else None)
        losses.append(out.pow(3).sum())
        gradients.append(torch.autograd.grad(losses[-1], [queries, keys, *made.parameters()]))
    assert_close(losses[1], losses[0])
    assert_close(gradients[1], gradients[0], atol=1e-4, rtol=1e-4)
    assert min(gradient.abs().max() for gradient in gradients[1][:2]) > 1


def test_the_published_block_has_the_published_size():  # METHOD_JMM_TGT section 1
    made = Block(width=256, heads=8, mlp_ratio=4)
    assert sum(parameter.numel() for parameter in made.parameters()) == 789_760


def test_linear_layers_start_xavier_uniform_with_zero_bias():
    torch.manual_seed(0)
    made = Block(width=64, heads=4, mlp_ratio=4)
    init_linear(made)
    layers = [made.attention.queries_keys_values, made.attention.out, made.mlp[0], made.mlp[2]]
    for layer in layers:
        bound = math.sqrt(6 / sum(layer.weight.shape))
        assert 0.98 * bound < layer.weight.abs().max() <= bound
        assert not layer.bias.any()


def test_drop_path_leaves_parts_out_for_whole_rows_and_scales_the_others():
    made = block()
    made.drop_path = 0.25
    fed = torch.randn(1, TOKENS, WIDTH, generator=generator()).expand(4000, -1, -1)
    torch.manual_seed(1)
    attended = fed[:1] + made.attention(made.attention_norm(fed[:1])) / 0.75
    alone = fed[:1] + made.mlp(made.mlp_norm(fed[:1])) / 0.75
    both = attended + made.mlp(made.mlp_norm(attended)) / 0.75
    found, count = made(fed), {}
    for name, kind in {"none": fed[:1], "attention": attended, "mlp": alone, "both": both}.items():
        count[name] = (found - kind).abs().amax(dim=(1, 2)).lt(1e-5).sum().item()
    assert sum(count.values()) == 4000
    # Of 4000: 1/16, 3/16, 3/16, 9/16; a standard deviation is at most 32.
    for name, expected in {"none": 250, "attention": 750, "mlp": 750, "both": 2250}.items():
        assert abs(count[name] - expected) < 150


def test_drop_path_is_of_training_only_and_repeats_with_the_seed():
    made = block()
    whole = made(tokens())
    made.drop_path = 0.5
    torch.manual_seed(3)
    first = made(tokens())
    torch.manual_seed(3)
    assert torch.equal(made(tokens()), first)
    assert not torch.equal(first, whole)
    assert torch.equal(made.eval()(tokens()), whole)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="3 heads do not divide a width of 8"):
        Attention(width=8, heads=3)


COMPILED = """
import torch
from torch.testing import assert_close
from kinemask.encoders.attention import Block, compile_blocks
from torch._dynamo.utils import counters

both = torch.nn.ModuleList([Block(width=8, heads=2, mlp_ratio=2) for _ in range(2)])
fed, names = torch.randn(3, 5, 8), list(both.state_dict())
expected = both[1](both[0](fed))
compile_blocks(both, backend="eager")
assert_close(both[1](both[0](fed)), expected)
assert counters["stats"]["unique_graphs"] > 0 and not counters["graph_break"], counters
assert list(both.state_dict()) == names
"""


def test_compiled_blocks_keep_their_weights_and_what_they_compute():
    # In a process of its own, as torch cannot look through the checks of shapes that tests add; with what it
    # makes of a block before the C compiler, which takes minutes.
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
