"""config/advisor.yaml as a strict model: the advisor's own settings, and a section per installed backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, create_model, field_validator
from varl_common.config import Config
from varl_common.errors import VarlError
from varl_common.yaml_file import load_yaml

from varl_vlm_advisor.backends import Backend, backend_class, installed
from varl_vlm_advisor.question.config import QuestionConfig


class CacheConfig(Config):
    """Recorded replies, found again by the content of their question."""

    mode: Literal["off", "record", "replay", "auto"] = Field(
        default="auto", description="record: write only; replay: read only, ask nobody; auto: read, else ask and write"
    )
    folder: str = Field(default="~/.cache/varl/advice", description="where the replies are kept")

    @field_validator("mode", mode="before")
    @classmethod
    def _off(cls, mode: Any) -> Any:
        return "off" if mode is False else mode  # YAML reads a bare off as false


class BudgetConfig(Config):
    """What one run may spend. 0: no limit."""

    calls: int = Field(default=0, ge=0, description="calls of the model")
    tokens: int = Field(default=0, ge=0, description="tokens in and out")
    money: float = Field(default=0.0, ge=0.0, description="in the currency of the prices")
    price_in: float = Field(default=0.0, ge=0.0, description="money per million tokens sent")
    price_out: float = Field(default=0.0, ge=0.0, description="money per million tokens received")


class RetryConfig(Config):
    """Asking again after a failure that may pass."""

    attempts: int = Field(default=3, ge=1, le=10, description="tries per question, the first included")
    backoff: float = Field(
        default=0.5, gt=0.0, le=60.0, description="s before the second try, doubled before each further one"
    )


class BreakerConfig(Config):
    """Leaving a backend alone that has failed several times in a row."""

    failures: int = Field(default=5, ge=1, description="failures in a row that open the breaker")
    rest: float = Field(default=10.0, gt=0.0, description="s until one question is let through as a probe")


class AdvisorConfig(QuestionConfig):
    """The advisor's own settings."""

    backend: str = Field(
        default="scripted", description="scripted | sight | transformers | openai | replay | none, or one installed"
    )
    surface_height: float | None = Field(
        default=None, description="m in base_frame: where a point lies that has no depth; none: such a point is refused"
    )
    behind: float = Field(
        default=0.02, ge=0.0, le=1.0, description="m from what is seen of a thing to its middle, in strategy point"
    )
    votes: int = Field(default=3, ge=1, le=25, description="samples per state; their agreement is the confidence")
    in_flight: int = Field(default=8, ge=1, le=256, description="questions before the model at once")
    run_dir: str = Field(default="", description="folder of the run, which keeps its spending; empty: memory only")
    cache: CacheConfig = CacheConfig()
    budget: BudgetConfig = BudgetConfig()
    retry: RetryConfig = RetryConfig()
    breaker: BreakerConfig = BreakerConfig()


def config_model() -> type[AdvisorConfig]:
    """AdvisorConfig with a section for each installed backend; one that cannot be imported has none."""
    sections: dict[str, Any] = {}
    for name in installed():
        try:
            settings = backend_class(name).Settings
        except VarlError:
            continue
        sections[name] = (settings, Field(default_factory=settings))
    return create_model("AdvisorConfig", __base__=AdvisorConfig, **sections)


def make_backend(config: AdvisorConfig) -> Backend:
    """The backend that ``config`` (of :func:`config_model`) names, made ready.

    Raises:
        VarlError: it is unknown, or lacks something to run.
    """
    return backend_class(config.backend)(getattr(config, config.backend))


def load_config(path: str | Path, **overrides: Any) -> AdvisorConfig:
    """Read the advisor's section of a ROS parameter file, as the node would; ``overrides`` replace top-level fields.

    Raises:
        VarlError: the file has no such section, or a value in it is wrong.
    """
    sections = load_yaml(path)
    for key in ("/**/advisor", "advisor"):
        if isinstance(sections.get(key), dict) and isinstance(sections[key].get("ros__parameters"), dict):
            return config_model().from_dict(sections[key]["ros__parameters"] | overrides, str(path))
    raise VarlError(f"{path} has no section '/**/advisor: ros__parameters:'; add it")
