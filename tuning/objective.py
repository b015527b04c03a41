"""The loss of a T5 on a batch, equal to the model's own forward and computed with fewer, larger operations."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from transformers import T5ForConditionalGeneration
from transformers.activations import NewGELUActivation

NO_LOSS = -100  # transformers' mark for a label that is padding
HIDDEN = -30_000.0  # added to the score of what must not be looked at; finite, so that a row of padding stays a number
ROWS = 512  # labels whose scores over the vocabulary are held at once: what a processor's cache can keep
GPU_ROWS = 4096


class _Norm(torch.autograd.Function):
    """T5's layer norm (no mean, no bias); its backward reuses the normalised values."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        scale = torch.rsqrt((values * values).mean(-1, keepdim=True, dtype=torch.float32) + epsilon).to(values.dtype)
        normal = values * scale
        ctx.save_for_backward(normal, scale, weight)
        return normal * weight

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        normal, scale, weight = ctx.saved_tensors
        weighted = grad * weight
        along = (weighted * normal).mean(-1, keepdim=True)
        return (weighted - normal * along) * scale, (grad * normal).flatten(0, -2).sum(0), None


class _CrossEntropy(torch.autograd.Function):
    """Mean cross-entropy of `hidden @ weight.T` with `labels`; scores exist for some labels at a time, gradients at once."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
        hidden_grad, weight_grad = torch.empty_like(hidden), torch.zeros(weight.shape, device=weight.device)
        total, held = torch.zeros((), device=hidden.device), ROWS if hidden.is_cpu else GPU_ROWS
        for start in range(0, len(labels), held):
            rows, truth = hidden[start : start + held], labels[start : start + held, None]
            scores = rows @ weight.T
            top = scores.amax(-1, keepdim=True)
            right = scores.gather(1, truth).float()
            scores.sub_(top).exp_()
            mass = scores.sum(-1, keepdim=True, dtype=torch.float32)
            total += (mass.log() + top.float() - right).sum()
            if not any(ctx.needs_input_grad):
                continue
            scores.mul_((1 / mass).to(scores.dtype)).scatter_add_(1, truth, scores.new_full(truth.shape, -1.0))
            hidden_grad[start : start + held] = scores @ weight
            if ctx.needs_input_grad[1]:  # not where the output layer is frozen, as under an adapter
                weight_grad += scores.T @ rows
        ctx.save_for_backward(hidden_grad, weight_grad)
        ctx.count = max(1, len(labels))
        return total / ctx.count

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        hidden_grad, weight_grad = ctx.saved_tensors
        share = grad / ctx.count
        return hidden_grad * share.to(hidden_grad.dtype), (weight_grad * share).to(hidden_grad.dtype), None


def loss(model: T5ForConditionalGeneration, batch: dict[str, Tensor], dtype: torch.dtype) -> Tensor:
    """The mean cross-entropy in nats over the labels that are not padding.

    `batch` holds `input_ids` and `attention_mask` (rows, source) and `labels` (rows, target). With `dtype` float32 it is
    `model(**batch).loss` to rounding; with bfloat16, call it under autocast. The model's modules are called one by one, so
    adapters on its linear layers work; `covers` says for which models all this holds.
    """
    decoded = hidden_states(model, batch["input_ids"], batch["attention_mask"], batch["labels"], dtype)
    counted = batch["labels"] != NO_LOSS
    hidden = decoded[counted]
    if model.config.scale_decoder_outputs:
        hidden = hidden * model.config.d_model**-0.5
    weight = model.lm_head.weight.to(dtype)
    return _CrossEntropy.apply(hidden, weight if torch.is_grad_enabled() else weight.detach(), batch["labels"][counted])


def covers(model: Any) -> bool:
    """Whether `loss` may stand in for `model`'s own forward: a plain T5, any feed-forward, nothing recomputed or wrapped."""
    return type(model) is T5ForConditionalGeneration and not model.is_activation_checkpointing


def hidden_states(
    model: T5ForConditionalGeneration, input_ids: Tensor, attention_mask: Tensor, labels: Tensor, dtype: torch.dtype
) -> Tensor:
    """What the decoder's last layer says before each label, `(rows, target, width)`."""
    share = model.config.dropout_rate if model.training else 0.0
    unseen = (1 - attention_mask[:, None, None, :]).to(dtype) * HIDDEN
    seen = _encoded(model, input_ids, unseen, share, dtype)
    shifted = torch.cat([torch.full_like(labels[:, :1], model.config.decoder_start_token_id), labels[:, :-1]], 1)
    values = _dropped(F.embedding(shifted.clamp(min=0), model.shared.weight).to(dtype), share)
    length = labels.shape[1]
    bias = _position_bias(model.decoder, length, dtype) + torch.full((length, length), HIDDEN, dtype=dtype, device=values.device).triu(1)  # fmt: skip
    for block in model.decoder.block:
        own, cross, forward = block.layer
        normal = _norm(values, own.layer_norm)
        values = values + _dropped(_attention(own.SelfAttention, normal, normal, bias, share), share)
        values = values + _dropped(
            _attention(cross.EncDecAttention, _norm(values, cross.layer_norm), seen, unseen, share), share
        )
        values = values + _dropped(_feed_forward(forward, values, share), share)
    return _dropped(_norm(values, model.decoder.final_layer_norm), share)


def _encoded(
    model: T5ForConditionalGeneration, ids: Tensor, unseen: Tensor, share: float, dtype: torch.dtype
) -> Tensor:
    values = _dropped(F.embedding(ids, model.shared.weight).to(dtype), share)
    bias = _position_bias(model.encoder, ids.shape[1], dtype) + unseen
    for block in model.encoder.block:
        own, forward = block.layer
        normal = _norm(values, own.layer_norm)
        values = values + _dropped(_attention(own.SelfAttention, normal, normal, bias, share), share)
        values = values + _dropped(_feed_forward(forward, values, share), share)
    return _dropped(_norm(values, model.encoder.final_layer_norm), share)


def _position_bias(stack: Any, length: int, dtype: torch.dtype) -> Tensor:
    first = stack.block[0].layer[0].SelfAttention
    return first.compute_bias(length, length, device=first.relative_attention_bias.weight.device).to(dtype)


def _norm(values: Tensor, norm: Any) -> Tensor:
    return _Norm.apply(values, norm.weight.to(values.dtype), norm.variance_epsilon)


def _attention(attention: Any, values: Tensor, memory: Tensor, bias: Tensor, share: float) -> Tensor:
    """T5 attention: no scaling of the scores. `values` ask `(rows, target, width)`, `memory` answers `(rows, source, width)`."""
    rows, length, _ = values.shape
    heads = attention.n_heads
    asked = attention.q(values).view(rows, length, heads, -1).transpose(1, 2)
    keys = attention.k(memory).view(rows, memory.shape[1], heads, -1).permute(0, 2, 3, 1)
    told = attention.v(memory).view(rows, memory.shape[1], heads, -1).transpose(1, 2)
    weights = _dropped((asked @ keys + bias).softmax(-1), share)
    return attention.o((weights @ told).transpose(1, 2).flatten(2))


def _dropped(values: Tensor, share: float) -> Tensor:
    """Dropout. On a CPU, where drawing is what it costs, four 16-bit numbers come of one draw: `share` to 1/65,536."""
    if not share or values.device.type != "cpu":
        return F.dropout(values, share)
    drawn = torch.empty((values.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    kept = drawn.view(torch.int16)[: values.numel()].view(values.shape) >= round(share * 65_536) - 32_768
    return values * kept.to(values.dtype).mul_(1 / (1 - share))


def _feed_forward(layer: Any, values: Tensor, share: float) -> Tensor:
    inner, values = layer.DenseReluDense, _norm(values, layer.layer_norm)
    gated = hasattr(inner, "wi_1")  # T5 1.1 and FLAN-T5; T5 1.0 has one matrix and relu
    widened = inner.wi_0(values) if gated else inner.wi(values)
    active = F.gelu(widened, approximate="tanh") if isinstance(inner.act, NewGELUActivation) else inner.act(widened)
    return inner.wo(_dropped(active * inner.wi_1(values) if gated else active, share))
