"""Muon with equal shapes orthogonalised together: a few large products instead of hundreds of small ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Keller Jordan's quintic; five rounds bring singular values near 1
ROUNDS = 5


class BatchedMuon(torch.optim.Optimizer):
    """`torch.optim.Muon` (momentum 0.95, Nesterov, decoupled weight decay) for 2-D parameters, batched by shape.

    Where threads or kernel launches are dear, the many small products of the original cost more than the model's own.
    """

    def __init__(
        self, params: Iterable[dict[str, Any]], lr: float, weight_decay: float = 0.0, momentum: float = 0.95
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            wide: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
            for one in group["params"]:
                if one.grad is not None:
                    wide[min(one.shape), max(one.shape)].append(one)
            for alike in wide.values():
                updates = orthogonal(torch.stack([_flat(self._momentum(one, group["momentum"])) for one in alike]))
                for one, update in zip(alike, updates, strict=True):
                    one.mul_(1 - group["lr"] * group["weight_decay"])
                    one.add_(_as(update, one), alpha=-group["lr"] * max(1.0, one.shape[0] / one.shape[1]) ** 0.5)

    def _momentum(self, one: Tensor, momentum: float) -> Tensor:
        assert one.grad is not None
        buffer = self.state[one].setdefault("momentum_buffer", torch.zeros_like(one))
        buffer.lerp_(one.grad, 1 - momentum)
        return one.grad.lerp(buffer, momentum)


def orthogonal(matrices: Tensor) -> Tensor:
    """`(n, rows, columns)` with rows <= columns: each matrix with its singular values brought near 1, in bf16."""
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16()
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(ROUNDS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x


def _flat(matrix: Tensor) -> Tensor:
    return matrix.T if matrix.shape[0] > matrix.shape[1] else matrix


def _as(update: Tensor, parameter: Tensor) -> Tensor:
    return (update.T if update.shape != parameter.shape else update).to(parameter.dtype)
