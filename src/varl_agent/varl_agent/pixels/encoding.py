"""How a run learns from pictures: by features of a frozen tower, or by convolutions of its own."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, NonNegativeInt
from varl_common.config import Config
from varl_common.errors import VarlError

from varl_agent.pixels.extractors import DrqExtractor, SpatialEmbeddings
from varl_agent.pixels.pictured_env import EncodedEnv, FilmedEnv

_HEADS = {"softmax": "softmax", "embeddings": "maps"}  # what the encoder gives to each


class EncoderSettings(Config):
    """Of a run whose env node observes pictures."""

    kind: Literal["frozen", "drq"] = Field(description="a tower whose weights stay, or convolutions that are learned")
    tower: str = Field(
        description="frozen: varl-sight, the model in the box; or a vision model of transformers, by name or folder"
    )
    layers: NonNegativeInt = Field(0, description="frozen: so many of its first layers alone; 0: all")
    head: Literal["softmax", "embeddings"] = Field(
        description="frozen: the place of each channel, or learned sums over places (by autograd)"
    )
    keep_pictures: bool = Field(description="frozen: keep the pictures beside the replay's rows as well")


def encoded(env: Any, settings: EncoderSettings) -> Any:
    """``env`` as it is learned from; as it is where it observes no pictures.

    Raises:
        VarlError: the tower is not to be had.
    """
    description = env.get_wrapper_attr("description")
    if description.observation == "state":
        return env
    if settings.kind == "drq":
        return FilmedEnv(env)
    if not settings.tower:
        raise VarlError(
            "a frozen encoder needs a tower: encoder.tower names varl-sight, a vision model of transformers or its "
            "folder; or set encoder.kind to drq, on a GPU"
        )
    from varl_common.vision.encoder import FrozenEncoder  # here: transformers takes seconds to load
    from varl_common.vision.tower import Tower

    sides = set(description.picture_sides)
    if len(sides) > 1:
        raise VarlError(f"views of {sorted(sides)} pixels a side cannot be encoded at once; give all one side")
    encoder = FrozenEncoder(
        Tower(settings.tower, settings.layers), description.picture_cameras, sides.pop(), _HEADS[settings.head]
    )
    return EncodedEnv(env, encoder)


def policy_of(env: Any, settings: EncoderSettings, scaled: bool = True) -> tuple[str, dict[str, Any]]:
    """The policy's name for an environment of :func:`encoded`, and its arguments.

    ``scaled``: the state is scaled by its bounds.
    """
    if not isinstance(env, FilmedEnv | EncodedEnv):
        return "MlpPolicy", {}
    kwargs = {"hidden": env.hidden, "scaled": scaled}
    if isinstance(env, FilmedEnv):
        return "MultiInputPolicy", {"features_extractor_class": DrqExtractor, "features_extractor_kwargs": kwargs}
    if settings.head == "embeddings":
        kwargs["shape"] = env.encoder.shape
        return "MlpPolicy", {"features_extractor_class": SpatialEmbeddings, "features_extractor_kwargs": kwargs}
    return "MlpPolicy", {"features_extractor_kwargs": kwargs}


def kept_pictures(env: Any, settings: EncoderSettings) -> dict[str, tuple[int, ...]]:
    """Shape of each camera's pictures that are kept beside the replay's rows."""
    if not isinstance(env, EncodedEnv) or not settings.keep_pictures:
        return {}
    description = env.description
    return {c: (s, s, 3) for c, s in zip(description.picture_cameras, description.picture_sides, strict=True)}
