import pytest
import torch
from torch import nn
from torch.testing import assert_close

from kinemask.encoders import GRUConfig, build_encoder
from kinemask.encoders.precision import set_precision
from kinemask.methods.ema import make_teacher, move_teacher
from tests.conftest import make_batch

NORMED = GRUConfig(name="gru", form="bigru", hidden=4, depth=1, input_norm="batch", norm_statistics="clean")


def encoder():
    torch.manual_seed(0)
    return build_encoder(NORMED, num_persons=2, num_joints=25, num_frames=8)


def test_weights_move_by_one_minus_momentum_of_the_way():
    student = nn.Linear(2, 1)
    teacher = make_teacher(student)
    before = teacher.weight.clone()
    with torch.no_grad():
        student.weight += 4.0
    move_teacher(teacher, student, momentum=0.75)
    assert_close(teacher.weight, before + 1.0)  # (1 - 0.75) x 4


def test_a_teacher_shares_nothing_with_its_student_and_takes_no_gradient():
    student = nn.Linear(2, 1)
    teacher = make_teacher(student)
    with torch.no_grad():
        student.weight += 1.0
    assert not torch.equal(teacher.weight, student.weight)
    assert not any(weight.requires_grad for weight in teacher.parameters())
    assert all(weight.requires_grad for weight in student.parameters())


@pytest.mark.parametrize("momentum", [0.75, 0.999])
def test_running_statistics_follow_by_the_same_momentum(momentum):  # trap E2
    student = encoder()
    teacher = make_teacher(student)
    student(make_batch())
    assert (student.norm.mean != 0).any()
    move_teacher(teacher, student, momentum=momentum)
    assert_close(teacher.norm.mean, (1 - momentum) * student.norm.mean)
    assert_close(teacher.norm.variance, momentum + (1 - momentum) * student.norm.variance)


def test_buffers_that_are_no_floats_are_copied():
    student = nn.BatchNorm1d(2)
    teacher = make_teacher(student)
    student.num_batches_tracked.fill_(7)
    move_teacher(teacher, student, momentum=0.75)
    assert teacher.num_batches_tracked == 7


def test_a_pass_of_the_teacher_leaves_its_statistics_alone():  # trap E2: not by its own batches
    teacher = make_teacher(encoder()).train()
    teacher.encode_views([make_batch()], prompts=[None], clean=-1)
    assert (teacher.norm.mean == 0).all()
    assert (teacher.norm.variance == 1).all()


def test_after_enough_moves_the_teacher_is_the_student():
    student = encoder()
    teacher = make_teacher(student)
    student(make_batch())
    with torch.no_grad():
        for weight in student.parameters():
            weight += 1.0
    for _ in range(200):
        move_teacher(teacher, student, momentum=0.5)
    for name, value in student.state_dict().items():
        assert_close(teacher.state_dict()[name], value)


def test_a_method_in_bfloat16_has_a_teacher_in_bfloat16():
    method = nn.ModuleDict({"encoder": encoder()})
    method["teacher"] = make_teacher(method["encoder"])
    set_precision(method, torch.bfloat16)
    assert method["teacher"].precision is torch.bfloat16
