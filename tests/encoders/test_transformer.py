"""What METHOD_JMM_TGT sections 1, 3 and 6 say of the encoder as a whole."""

import copy
import json
import math
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from torch.testing import assert_close

from kinemask.encoders import TransformerConfig, build_encoder
from kinemask.encoders.precision import set_precision
from kinemask.encoders.tokens import person_rows, to_tokens
from kinemask.encoders.transformer import TransformerEncoder
from kinemask.skeleton.batch import Batch
from kinemask.skeleton.layout import KINECT25
from tests.conftest import generator, make_batch

PUBLISHED = {
    "name": "transformer", "width": 256, "depth": 8, "heads": 8, "mlp_ratio": 4, "frames_per_token": 4,
    "topology": "off", "max_hops": 8,
}  # fmt: skip
SMALL = PUBLISHED | {"width": 12, "depth": 3, "heads": 2, "mlp_ratio": 2, "frames_per_token": 2}
TOPOLOGIES = ("off", "hops", "adjacency")


def build(num_frames=8, num_persons=2, hops=KINECT25.hops, **changes):
    torch.manual_seed(0)
    config = TransformerConfig.model_validate_json(json.dumps(SMALL | changes))
    return build_encoder(config, num_persons=num_persons, num_joints=25, num_frames=num_frames, hops=hops)


def excited(**changes):
    """An encoder whose topology has learned something."""
    encoder = build(**changes)
    for block in encoder.blocks:
        if block.hop_bias is not None:
            torch.nn.init.normal_(block.hop_bias.table, std=1.0)
    return encoder.eval()


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_published_encoder_has_the_published_size():  # section 1
    with torch.device("meta"):
        off, hops = (
            build(num_frames=120, **(PUBLISHED | {"topology": topology})) for topology in ("off", "hops")
        )
    assert count(off) == 6_336_000
    assert [count(block) for block in off.blocks] == [789_760] * 8
    assert (count(off.token_map), count(off.norm)) == (3_328, 512)
    assert (off.time_positions.numel(), off.joint_positions.numel()) == (7_680, 6_400)
    assert count(hops) - count(off) == 576  # 8 layers x 8 heads x 9 numbers of hops
    assert (off.pooled_width("mean"), off.pooled_width("max"), off.pooled_width("joints")) == (256, 256, 6400)


def test_weights_start_as_section_1_says():
    encoder = build(num_frames=120, width=64, heads=4, topology="hops")
    for table in (encoder.time_positions, encoder.joint_positions):
        assert 0.016 < table.std() < 0.019  # a normal of 0.02, cut off at two of them, has 0.0176
        assert 0.035 < table.abs().max() <= 0.04
    for name, layer in encoder.named_modules():
        if isinstance(layer, torch.nn.Linear):
            assert layer.weight.abs().max() <= math.sqrt(6 / sum(layer.weight.shape)), name
            assert layer.weight.abs().max() > 0.97 * math.sqrt(6 / sum(layer.weight.shape)), name
            assert not layer.bias.any(), name
    assert not any(block.hop_bias.table.any() for block in encoder.blocks)


def test_no_topology_and_one_that_has_learned_nothing_are_the_same():  # section 3
    off, hops = build(topology="off"), build(topology="hops")
    missing, unexpected = hops.load_state_dict(off.state_dict(), strict=False)
    assert not unexpected
    assert missing == [f"blocks.{number}.hop_bias.table" for number in range(3)]
    tokens = off.embed_rows(person_rows(make_batch(), frames=2)).detach()
    every = torch.ones(tokens.shape[:2], dtype=torch.bool)
    with torch.no_grad():  # the same kernel for both
        masked = [encoder.encode_tokens(tokens, None, present_keys=every) for encoder in (off, hops)]
    assert torch.equal(*masked)
    assert_close(hops(make_batch()).tokens, off(make_batch()).tokens, atol=1e-5, rtol=0)


def test_topology_changes_the_output_once_it_has_learned():
    batch = make_batch()
    off, hops, adjacency = (excited(topology=topology)(batch).tokens for topology in TOPOLOGIES)
    assert (hops - off).abs().max() > 0.01
    assert (adjacency - off).abs().max() > 0.01


def test_the_topology_is_that_of_the_body_it_is_built_for():
    straight = tuple(tuple(abs(joint - other) for other in range(25)) for joint in range(25))
    for topology in ("hops", "adjacency"):
        kinect, chain = excited(topology=topology), excited(topology=topology, hops=straight)
        assert (kinect(make_batch()).tokens - chain(make_batch()).tokens).abs().max() > 0.01


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_all_places_in_order_are_the_whole(topology):
    encoder = excited(topology=topology)
    tokens = encoder.embed_rows(person_rows(make_batch(), frames=2))
    places = torch.arange(100).expand(len(tokens), -1)
    assert_close(
        encoder.encode_tokens(tokens, places), encoder.encode_tokens(tokens, None), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_visible_tokens_are_as_if_all_others_were_hidden_keys(topology):
    encoder = excited(topology=topology)
    tokens = encoder.embed_rows(person_rows(make_batch(), frames=2))
    places = torch.rand(len(tokens), 100, generator=generator()).argsort(dim=1)[:, :11].sort(dim=1).values
    keys = torch.zeros(len(tokens), 100, dtype=torch.bool).scatter(1, places, True)
    index = places[..., None].expand(-1, -1, 12)
    found = encoder.encode_tokens(tokens.gather(1, index), places)
    whole = encoder.encode_tokens(tokens, None, present_keys=keys)
    assert_close(found, whole.gather(1, index), atol=1e-5, rtol=0)


def test_a_token_is_mapped_and_told_its_time_and_joint():
    encoder, rows = build(), person_rows(make_batch(), frames=2)
    tokens = encoder.embed_rows(rows)
    fed = to_tokens(rows.joints, frames=2)[1, 3, 7]
    expected = encoder.token_map.weight @ fed + encoder.time_positions[3] + encoder.joint_positions[7]
    assert_close(tokens[1, 3 * 25 + 7], expected)


def masked_and_left_out(batch, monkeypatch, encoder):
    """The features with absent persons as masked rows, as on a GPU, and without those rows."""
    left_out = encoder(batch)

    def all_rows(batch, *, frames):
        rows = person_rows(Batch(batch.joints, torch.ones_like(batch.present)), frames=frames)
        present = batch.present.unflatten(1, (-1, frames)).any(dim=2).permute(0, 2, 1).flatten(0, 1)
        return replace(rows, present=present)

    monkeypatch.setattr("kinemask.encoders.transformer.person_rows", all_rows)
    return encoder(batch), left_out


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_absent_persons_as_masked_rows_or_left_out_give_the_same_features(topology, monkeypatch):
    encoder = excited(topology=topology)
    masked, left_out = masked_and_left_out(make_batch(), monkeypatch, encoder)
    assert (len(masked.tokens), len(left_out.tokens)) == (8, 7)
    assert masked.tokens.isfinite().all()
    assert torch.equal(masked.seen, left_out.seen)
    assert_close(masked.sequence, left_out.sequence, atol=1e-6, rtol=0)
    for pooling in encoder.poolings:
        found, expected = (encoder.pool(one, pooling) for one in (masked, left_out))
        assert_close(found, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_rows_of_absent_persons_leave_no_trace_in_gradients(topology, monkeypatch):
    gradients = []
    for way in (0, 1):
        encoder = excited(topology=topology)
        with monkeypatch.context() as patch:
            encoded = masked_and_left_out(make_batch(), patch, encoder)[way]
        encoder.pool(encoded, "mean")[:, 0].sum().backward()
        gradients.append([parameter.grad for parameter in encoder.parameters()])
    for masked, left_out in zip(*gradients, strict=True):
        assert_close(masked, left_out, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_persons_never_attend_to_each_other(topology):
    encoder, batch = excited(topology=topology), make_batch()
    other = batch.joints.clone()
    other[:, :, 1] += batch.present[:, :, 1, None, None] * 3.0
    before, after = encoder(batch), encoder(Batch(other, batch.present))
    first = before.rows.index % 2 == 0
    assert torch.equal(before.tokens[first], after.tokens[first])
    assert not torch.equal(before.tokens[~first], after.tokens[~first])


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_absent_times_are_attended_to_by_none(topology):
    # What an absent frame is told to hold cannot matter: here it is changed against the rules.
    encoder, batch = excited(topology=topology), make_batch()
    spoilt = torch.where(batch.present[..., None, None], batch.joints, 100.0)
    before, after = encoder(batch), encoder(Batch(spoilt, batch.present))
    present = before.rows.present
    assert torch.equal(before.tokens[present], after.tokens[present])
    assert torch.equal(encoder.pool(before, "joints"), encoder.pool(after, "joints"))


def test_poolings_by_hand():
    encoder = build(num_frames=4)
    present = torch.tensor([[[True, True], [True, True], [True, False], [True, False]]])
    encoded = encoder(Batch(torch.randn(1, 4, 2, 25, 3) * present[..., None, None], present))
    tokens = torch.zeros(2, 2, 25, 12)
    tokens[0, 0, :, 0], tokens[0, 1, :, 0], tokens[1, 0, :, 0], tokens[1, 1, :, 0] = 2.0, 4.0, 10.0, 1e6
    encoded = encoder._encoded(tokens.flatten(1, 2), encoded.rows)
    assert encoded.sequence[0, :, 0].tolist() == [6.0, 4.0]  # (2 + 10) / 2; only the first is there then
    assert encoder.pool(encoded, "mean")[0, 0] == 5.0  # (6 + 4) / 2
    assert encoder.pool(encoded, "max")[0, 0] == 6.0
    joints = encoder.pool(encoded, "joints").reshape(25, 12)
    assert (joints[:, 0] == 6.5).all()  # ((2 + 4) / 2 + 10) / 2
    assert not joints[:, 1:].any()


def test_joints_stay_apart_where_they_are_not_averaged():
    encoder = build()
    encoded = encoder(make_batch(num_clips=2, num_persons=1))
    expected = encoded.tokens[0].mean(dim=0).flatten()
    assert_close(encoder.pool(encoded, "joints")[0], expected)


def test_tokens_that_are_lost_or_poolings_that_do_not_exist_are_named():
    encoder, encoded = build(), build()(make_batch())
    plain = type(encoded).__mro__[1](encoded.sequence, encoded.seen)
    assert torch.equal(encoder.pool(plain, "mean"), encoder.pool(encoded, "mean"))
    with pytest.raises(ValueError, match="'joints' needs the tokens"):
        encoder.pool(plain, "joints")
    with pytest.raises(ValueError, match="no pooling 'last'; it has mean, joints, max"):
        encoder.pool(encoded, "last")


def test_a_batch_without_anyone_gives_zeros_and_a_gradient():
    encoder = build(topology="hops")
    nobody = torch.zeros(2, 8, 2, dtype=torch.bool)
    encoded = encoder(Batch(torch.zeros(2, 8, 2, 25, 3), nobody))
    for pooling in encoder.poolings:
        pooled = encoder.pool(encoded, pooling)
        assert pooled.shape == (2, encoder.pooled_width(pooling))
        assert not pooled.any()
    encoder.pool(encoded, "mean").sum().backward()


def test_a_topology_that_learns_from_whole_sequences_learns_what_it_does_from_shown_tokens():
    encoder, batch = excited(topology="hops"), make_batch()
    rows = person_rows(batch, frames=encoder.frames_per_token)
    tokens, present = encoder.embed_rows(rows).detach(), rows.present.repeat_interleave(25, dim=1)
    assert not present.all()
    tables = [block.hop_bias.table for block in encoder.blocks]
    found = []
    for places in (None, torch.arange(tokens.shape[1]).expand(len(tokens), -1)):
        encoded = encoder.encode_tokens(tokens, places, present_keys=present)[present]
        found.append([encoded, *torch.autograd.grad(encoded.pow(3).sum(), tables)])
    assert_close(found[0], found[1], atol=1e-3, rtol=1e-4)
    assert found[0][1].abs().max() > 1


def test_views_of_several_sizes_are_as_if_each_were_encoded_alone():
    encoder = excited(topology="hops")
    views = [make_batch(), make_batch(num_clips=3, num_persons=1, seed=1), make_batch(seed=2)]
    for view, encoded in zip(views, encoder.encode_views(views, prompts=[None] * 3, clean=0), strict=True):
        alone = encoder(view)
        assert torch.equal(encoded.rows.index, alone.rows.index)
        assert_close(
            encoded.tokens[encoded.rows.present], alone.tokens[alone.rows.present], atol=1e-5, rtol=0
        )
        assert_close(encoded.sequence, alone.sequence, atol=1e-5, rtol=0)
        assert torch.equal(encoded.seen, alone.seen)
    with pytest.raises(ValueError, match="TransformerEncoder takes no prompts"):
        encoder.encode_views(views[:1], prompts=[torch.zeros(2, 25, 3)], clean=0)


def test_clips_of_another_length_are_refused_and_so_are_their_weights():
    with pytest.raises(ValueError, match="takes clips of 8 frames, these have 16"):
        build()(make_batch(num_frames=16))
    with pytest.raises(RuntimeError, match="time_positions"):
        build(num_frames=16).load_state_dict(build().state_dict(), strict=True)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_bfloat16_is_inside_only_and_close_to_float32(topology):
    encoder, batch = excited(topology=topology), make_batch()
    whole = encoder(batch)
    set_precision(encoder, torch.bfloat16)
    half = encoder(batch)
    assert half.tokens.dtype == half.sequence.dtype == torch.float32
    assert not torch.equal(half.sequence, whole.sequence)
    assert_close(half.sequence, whole.sequence, atol=0.1, rtol=0)
    half.sequence.square().sum().backward()
    assert all(weight.grad.dtype == weight.dtype == torch.float32 for weight in encoder.parameters())


def test_positions_and_metres_are_not_rounded():
    encoder, rows = build(), person_rows(make_batch(), frames=2)
    whole = encoder.embed_rows(rows)
    set_precision(encoder, torch.bfloat16)
    assert torch.equal(encoder.embed_rows(rows), whole)


def test_drop_path_grows_over_the_blocks():
    encoder = build(depth=4)
    encoder.set_drop_path(0.3)
    assert_close([block.drop_path for block in encoder.blocks], [0.0, 0.1, 0.2, 0.3])
    whole = build(depth=4).eval()(make_batch()).tokens
    torch.manual_seed(0)
    assert not torch.equal(encoder(make_batch()).tokens, whole)
    assert torch.equal(encoder.eval()(make_batch()).tokens, whole)
    with pytest.raises(ValueError, match=r"in \[0, 1\): found 1"):
        encoder.set_drop_path(1.0)


def test_copies_and_moves_keep_the_hops_out_of_the_weights():
    encoder = excited(topology="hops")
    assert not [name for name in encoder.state_dict() if name.endswith("hops")]
    twin = copy.deepcopy(encoder)
    assert torch.equal(twin(make_batch()).tokens, encoder(make_batch()).tokens)
    assert [type(one) for one in twin.parameters()] == [type(one) for one in encoder.parameters()]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_frames": 9}, "num_frames 9 is no multiple of encoder.frames_per_token 2"),
        ({"topology": "hops", "hops": None}, "'hops' wants the hops between 25 joints: found none"),
        ({"topology": "adjacency", "hops": ((0,),)}, "'adjacency' wants .* 25 joints: found those of 1"),
    ],
)
def test_what_does_not_fit_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        build(**changes)


def test_no_topology_asks_for_no_hops():
    assert isinstance(build(topology="off", hops=None), TransformerEncoder)


def test_heads_that_do_not_divide_the_width_are_refused_by_the_section():
    with pytest.raises(ValidationError, match="5 heads do not divide a width of 12"):
        TransformerConfig.model_validate(SMALL | {"heads": 5})


def test_layers_are_the_embedding_and_the_blocks_and_the_norm_is_behind_them():
    encoder = build()
    groups = encoder.layer_groups()
    assert len(groups) == 1 + len(encoder.blocks)
    assert {id(one) for one in groups[0]} == {
        id(one) for name, one in encoder.named_parameters() if name.startswith(("token_map", "time", "joint"))
    }
    assert [id(one) for one in groups[2]] == [id(one) for one in encoder.blocks[1].parameters()]
    grouped = {id(one) for group in groups for one in group}
    behind = {name for name, one in encoder.named_parameters() if id(one) not in grouped}
    assert behind == {"norm.weight", "norm.bias"}
