"""A frozen vision tower: any backbone of transformers, or that of a vision-language model, by name or folder."""

from __future__ import annotations

import inspect
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from varl_common.errors import VarlError
from varl_common.vision.in_the_box import IN_THE_BOX, in_the_box

# Where a vision-language model of transformers has its vision part.
_PARTS = ("vision_model", "vision_tower", "visual", "image_encoder")
# What transformers calls the approximation of GELU by tanh.
_TANH_GELUS = ("GELUTanh", "NewGELUActivation", "FastGELUActivation")


class Tower:
    """Maps of pictures, by weights that do not change.

    Attributes:
        name: as it was asked for.
        fingerprint: a number that other weights do not have.
    """

    def __init__(self, name: str, layers: int = 0, device: str = "cpu") -> None:
        """Load it: ``varl-sight``, the name of a model of transformers, or its folder.

        ``layers``: look through so many of a transformer's first layers alone; 0: through all.

        Raises:
            VarlError: transformers is not installed, it has no vision model of that name, or that has no such layers.
        """
        self.name, self._device = name, device
        self._net, self._form = _load(str(in_the_box()) if name == IN_THE_BOX else name)
        if layers:
            _shorten(self._net, layers, name)
        _with_exact_gelu(self._net)
        self._net.to(device).eval().requires_grad_(False)
        self.fingerprint = 0
        for key, weight in self._net.state_dict().items():
            if _is_pooler(key):  # what it sums a picture up in is not looked at
                continue
            self.fingerprint = zlib.crc32(weight.cpu().contiguous().numpy().tobytes(), self.fingerprint)
        self._dtype = torch.bfloat16 if device == "cpu" and _multiplies_bfloat16() else torch.float32
        self._net.to(self._dtype)  # twice as fast there; features of another processor differ by 2e-3 on average
        side = getattr(self._net.config, "image_size", None)
        self._side = side if isinstance(side, int) else None

    def __call__(self, pictures: NDArray[np.uint8]) -> torch.Tensor:
        """(n, channels, height, width) float32 of ``pictures`` (n, side, side, 3) uint8 RGB."""
        with torch.inference_mode():
            images = normalized(torch.from_numpy(pictures).to(self._device), *self._form)
            if self._side and images.shape[-1] != self._side:
                images = functional.interpolate(
                    images, (self._side, self._side), mode="bilinear", antialias=True, align_corners=False
                )
            found: torch.Tensor = self._net(pixel_values=images.to(self._dtype)).last_hidden_state
            return (found if found.dim() == 4 else _as_map(found)).float()


def normalized(pictures: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """(n, 3, side, side) float32 as a tower takes it, of (n, side, side, 3) uint8."""
    shift, scale = (torch.tensor(values, device=pictures.device)[:, None, None] for values in (mean, std))
    return pictures.permute(0, 3, 1, 2).float().div_(255.0 * scale).sub_(shift / scale)


def _as_map(tokens: torch.Tensor) -> torch.Tensor:
    """A transformer's tokens (n, tokens, channels) as a square map; what comes before the patches (a class) is left."""
    n, count, channels = tokens.shape
    side = math.isqrt(count)
    return tokens[:, count - side * side :].transpose(1, 2).reshape(n, channels, side, side)


def _multiplies_bfloat16() -> bool:
    """Whether the processor has units for that (AMX); without, bfloat16 is slower than float32."""
    supported: bool = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
    return supported


def _is_pooler(key: str) -> bool:
    return "pooler" in key.split(".")


def _shorten(net: Any, layers: int, name: str) -> None:
    """Leave the first ``layers`` of a transformer's; those near the end are about words more than about places."""
    encoder = getattr(net, "encoder", None)
    part = next((part for part in ("layers", "layer") if isinstance(getattr(encoder, part, None), nn.ModuleList)), "")
    if not part:
        raise VarlError(f"{name!r} is no transformer of which layers could be left out; set layers to 0")
    there = getattr(encoder, part)
    if layers > len(there):
        raise VarlError(f"{name!r} has {len(there)} layers, fewer than {layers}; set layers to 0 for all of them")
    setattr(encoder, part, there[:layers])


def _with_exact_gelu(net: Any) -> None:
    """In place of its approximation by tanh, from which it differs by 5e-4 at most: torch has that one vectorised."""
    for module in net.modules():
        for name, child in module.named_children():
            if type(child).__name__ in _TANH_GELUS:
                setattr(module, name, nn.GELU())


def _load(name: str) -> tuple[Any, tuple[list[float], list[float]]]:
    try:
        from transformers import AutoModel
        from transformers.image_processing_base import ImageProcessingMixin
        from transformers.utils import logging
    except ImportError as error:
        raise VarlError(f"a frozen encoder needs {error.name}; pip install transformers") from None
    remedy = "name a vision model of transformers, or a folder that its save_pretrained wrote"
    if Path(name).is_absolute() and not Path(name).is_dir():
        raise VarlError(f"there is no vision tower in {name}; {remedy}")
    said, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # what is missing is told below
    logging.disable_progress_bar()
    try:
        net, report = AutoModel.from_pretrained(
            name, trust_remote_code=False, output_loading_info=True, dtype=torch.float32
        )
    except (OSError, ValueError) as error:
        raise VarlError(f"{name!r} cannot be loaded ({str(error).splitlines()[0]}); {remedy}") from None
    finally:
        logging.set_verbosity(said)
        if bars:
            logging.enable_progress_bar()
    if missing := sorted(key for key in report["missing_keys"] if not _is_pooler(key)):
        raise VarlError(f"{name!r} lacks weights, {missing[0]} for one; {remedy}")
    for part in _PARTS:
        net = getattr(net, part, net)
    if "pixel_values" not in inspect.signature(net.forward).parameters:
        raise VarlError(f"{name!r} is a {type(net).__name__}, which looks at no pictures; {remedy}")
    try:
        form, _ = ImageProcessingMixin.get_image_processor_dict(name)
    except OSError:  # saved without one
        form = {}
    half = [0.5] * 3
    return net, (list(form.get("image_mean") or half), list(form.get("image_std") or half))
