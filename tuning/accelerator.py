"""What this machine computes with: its GPUs, the memory that is free, whether it multiplies bf16, and whether it can tune in four bits."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import psutil


@lru_cache(maxsize=1)
def gpus() -> int:
    """How many CUDA devices torch may use. It is asked only where there is a driver: it takes seconds to import."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def processes(pairs: int) -> int:
    """How many processes train together here: a GPU each, as many as can share the pairs of a step evenly."""
    return max(count for count in range(1, max(1, gpus()) + 1) if pairs % count == 0)


def free_bytes() -> int:
    """Free memory where a model would lie: of the fullest GPU, or of the machine where there is none."""
    if not gpus():
        return psutil.virtual_memory().available
    import torch

    return min(torch.cuda.mem_get_info(number)[0] for number in range(gpus()))


def give_back() -> None:
    """Leave a GPU's memory to others: torch keeps what it has once taken, though nothing lies in it any more."""
    if gpus():
        import torch

        torch.cuda.empty_cache()


@lru_cache(maxsize=1)
def has_bf16() -> bool:
    """Whether GPU or processor multiplies bf16 numbers itself; where it does not, bf16 would only be slower."""
    if gpus():
        import torch

        return torch.cuda.is_bf16_supported(including_emulation=False)
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags)


def no_qlora() -> str:
    """Why a model cannot be tuned in four bits on this machine, in a sentence; "" where it can."""
    if not gpus():
        return "QLoRA needs an NVIDIA GPU, and this machine has none that torch can use."
    if not find_spec("bitsandbytes"):
        return "QLoRA needs the library bitsandbytes, which is not installed (pip install bitsandbytes)."
    return ""
