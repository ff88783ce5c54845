"""Contrast of a query with its key against a queue of other clips' keys (METHOD_MTMC B6).

All vectors have length one. Keys and queue are constants: no gradient reaches them. Everything is computed in
float32, whatever the inputs are and under autocast too: bfloat16 rounds a cosine near 1 by up to 0.002, which
a temperature of 0.07 makes 0.03.
"""

import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional


def info_nce(
    query: Float[Tensor, "N D"],
    key: Float[Tensor, "N D"],
    queue: Float[Tensor, "Q D"],
    *,
    temperature: float,
    positives: Bool[Tensor, "N Q"] | None = None,
) -> Float[Tensor, ""]:
    """-log of the key's share among key and queue, mean over the batch.

    With `positives`, keys of the queue that count as the clip's own too, the mean over these and the key.
    """
    log_share = _log_shares(query, key, queue, temperature)
    own = log_share[:, 0]
    if positives is not None:
        own = own + torch.where(positives, log_share[:, 1:], 0.0).sum(dim=1)
        own = own / (1 + positives.sum(dim=1))
    return -own.mean()


def twin_error(
    first: Float[Tensor, "N D"],
    second: Float[Tensor, "N D"],
    queue: Float[Tensor, "Q D"] | None,
    *,
    temperature: float,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """-log of the twin's share among all other vectors of the batch and the queue, mean over both sides.

    With it, how often the twin is the nearest of them. Unlike keys, both sides get a gradient. Of one pair
    without a queue the error is 0.
    """
    vectors = torch.cat([first, second]).float()
    count = len(first)
    with torch.autocast(vectors.device.type, enabled=False):
        similarity = einsum(vectors, vectors, "N D, K D -> N K")
    similarity = similarity.masked_fill(
        torch.eye(2 * count, dtype=torch.bool, device=first.device), -torch.inf
    )
    if queue is not None:
        similarity = torch.cat([similarity, _similarities(vectors, queue)], dim=1)
    twin = torch.arange(2 * count, device=first.device).roll(count)
    error = functional.cross_entropy(similarity / temperature, twin)
    return error, (similarity.detach().argmax(dim=1) == twin).float().mean()


@torch.no_grad()
def nearest_in_queue(
    query: Float[Tensor, "N D"], queue: Float[Tensor, "Q D"], *, top: int
) -> Bool[Tensor, "N Q"]:
    """True at the `top` keys of the queue that are most similar to the query, exactly so many a row."""
    similarity = _similarities(query, queue)
    nearest = similarity.topk(top, dim=1, sorted=False).indices
    return torch.zeros_like(similarity, dtype=torch.bool).scatter_(1, nearest, True)


def distribution_error(
    student: Float[Tensor, "N D"],
    teacher: Float[Tensor, "N D"],
    key: Float[Tensor, "N D"],
    queue: Float[Tensor, "Q D"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """Cross-entropy of the student's shares of key and queue with those of a gentler view (L_ddm).

    `teacher` is the query of the view that teaches; no gradient reaches it.
    """
    taught = _log_shares(teacher.detach(), key, queue, temperature).exp()
    return -(taught * _log_shares(student, key, queue, temperature)).sum(dim=1).mean()


def similarity_error(
    query: Float[Tensor, "N D"],
    key: Float[Tensor, "N D"],
    queue: Float[Tensor, "Q D"],
    *,
    student_temperature: float,
    teacher_temperature: float,
    top: int | None,
) -> Float[Tensor, ""]:
    """KL divergence of the query's similarities to the queue from the key's (L_sim), mean over the batch.

    `top`: both are taken over the keys of the queue that are most similar to the key; None: over all.
    """
    student, teacher = _similarities(query, queue), _similarities(key.detach(), queue)
    if top is not None:
        kept = teacher.topk(top, dim=1, sorted=False).indices
        student, teacher = student.gather(1, kept), teacher.gather(1, kept)
    student = functional.log_softmax(student / student_temperature, dim=1)
    teacher = functional.log_softmax(teacher / teacher_temperature, dim=1)
    return (teacher.exp() * (teacher - student)).sum(dim=1).mean()


def mixed_key(
    key: Float[Tensor, "N D"], partner: Float[Tensor, "N D"], share: Float[Tensor, " N"]
) -> Float[Tensor, "N D"]:
    """The key of two clips in one, of length one; `share` of it is the partner's."""
    weight = rearrange(share.float(), "N -> N 1")
    return functional.normalize(key.float() * (1 - weight) + partner.float() * weight, dim=1)


def _log_shares(query: Tensor, key: Tensor, queue: Tensor, temperature: float) -> Float[Tensor, "N K"]:
    """Log of the softmax over the key (first) and the queue, finite unlike log(softmax(x)) (trap E9)."""
    own = (query.float() * key.detach().float()).sum(dim=1, keepdim=True)
    logits = torch.cat([own, _similarities(query, queue)], dim=1) / temperature
    return functional.log_softmax(logits, dim=1)


def _similarities(vectors: Tensor, queue: Tensor) -> Float[Tensor, "N Q"]:
    with torch.autocast(vectors.device.type, enabled=False):  # it would multiply matrices in bfloat16
        return einsum(vectors.float(), queue.detach().float(), "N D, Q D -> N Q")
