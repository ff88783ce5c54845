import pytest

from kinemask.run_key import PACKAGE, TRAINING_CODE, code_digest, run_key

PARTS = {
    "params": '{"lr": 0.1}',
    "data": "ab12",
    "code": "cd34",
    "seed": "0",
    "device": "cpu",
    "threads": "1",
}


def test_key_changes_with_every_part():
    keys = {run_key(PARTS), *(run_key({**PARTS, name: text + "1"}) for name, text in PARTS.items())}
    keys |= {run_key({name: text for name, text in PARTS.items() if name != left_out}) for left_out in PARTS}
    assert len(keys) == 1 + 2 * len(PARTS)


def test_key_does_not_depend_on_the_order_and_parts_do_not_run_into_one_another():
    assert run_key(PARTS) == run_key(dict(reversed(PARTS.items())))
    assert run_key({"a": "b", "c": "d"}) != run_key({"a": "bcd"})
    assert run_key({"a": "1", "b": "2"}) != run_key({"a": "2", "b": "1"})


def test_code_digest_sees_content_names_and_new_files(tmp_path):
    (tmp_path / "masking").mkdir()
    (tmp_path / "masking" / "parts.py").write_text("A = 1\n")
    (tmp_path / "seeding.py").write_text("B = 1\n")
    (tmp_path / "record.py").write_text("C = 1\n")
    names = ("masking", "seeding.py")
    digests = [code_digest(names, root=tmp_path)]
    (tmp_path / "masking" / "parts.py").write_text("A = 2\n")
    digests.append(code_digest(names, root=tmp_path))
    (tmp_path / "seeding.py").write_text("B = 2\n")
    digests.append(code_digest(names, root=tmp_path))
    (tmp_path / "masking" / "parts.py").rename(tmp_path / "masking" / "motion.py")
    digests.append(code_digest(names, root=tmp_path))
    assert len(set(digests)) == 4
    (tmp_path / "record.py").write_text("C = 2\n")
    assert code_digest(names, root=tmp_path) == digests[-1]


def test_code_digest_refuses_a_name_without_sources(tmp_path):
    with pytest.raises(FileNotFoundError, match="maskings"):
        code_digest(("maskings",), root=tmp_path)


def test_training_code_names_what_is_there():
    assert all((PACKAGE / name).exists() for name in TRAINING_CODE)
    assert len(code_digest()) == 64
