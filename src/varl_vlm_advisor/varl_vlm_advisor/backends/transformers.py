"""The backend ``transformers``: any image-text-to-text model of that library, in this process, held to the schema."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field
from varl_common.advice_status import AdviceStatus
from varl_common.config import Config
from varl_common.errors import VarlError
from varl_common.vision.in_the_box import IN_THE_BOX, in_the_box

from varl_vlm_advisor.backends import Reply
from varl_vlm_advisor.question.chat import messages
from varl_vlm_advisor.question.question import Question
from varl_vlm_advisor.types import NoAdvice

log = logging.getLogger(__name__)


class TransformersBackend:
    """One model, one generation at a time, in a thread of its own.

    Weights come as safetensors only and no code comes with them: a model can't run anything on this machine.
    """

    class Settings(Config):
        """Section ``transformers``."""

        model: str = Field(
            default=IN_THE_BOX, description="varl-sight, the small model in the box; a name on the hub; or a folder"
        )
        device: str = Field(default="cpu", description="torch device: cpu, cuda, cuda:1")
        dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(default="auto", description="of the weights")
        max_tokens: int = Field(default=2000, ge=16, le=8192, description="tokens of an answer, at most")
        temperature: float = Field(default=0.7, ge=0.0, le=2.0, description="0 takes the likeliest token")

    sees: ClassVar[bool] = True

    def __init__(self, settings: Settings) -> None:
        if not settings.model:
            raise VarlError("advisor: transformers.model is not set; name a model of the hub, or a folder")
        try:
            import torch

            from varl_vlm_advisor.backends.constrained import Constraint
        except ImportError as error:
            raise VarlError(f"advisor: the backend transformers needs {error.name}; pip install {error.name}") from None
        self._settings = settings
        self._torch = torch
        name = str(in_the_box()) if settings.model == IN_THE_BOX else settings.model
        self._processor, self._model = _load(name, settings)
        self._constraint = Constraint(self._processor.tokenizer, self._model)
        folder = Path(name).expanduser()
        self.label = f"transformers ({folder.name if folder.is_dir() else settings.model})"
        # Not the device: it should not decide what is said. The weights do, and a folder may be trained again.
        self.identity = settings.model_dump_json(exclude={"device"}) + _weights(folder, self._model)
        self._system_role = True
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="advisor-model")

    async def reply(self, question: Question, sample: int) -> Reply:
        """Generate in the model's thread; when cancelled, generation ends with the next token."""
        stop = threading.Event()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self._generate, question, sample, stop)
        finally:
            stop.set()

    async def close(self) -> None:
        """End the thread once its generation has ended."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _generate(self, question: Question, sample: int, stop: threading.Event) -> Reply:
        from transformers import StoppingCriteriaList

        torch, settings = self._torch, self._settings
        inputs = self._inputs(question)
        sampling: dict[str, Any] = {"do_sample": False}
        if settings.temperature > 0:
            sampling = {"do_sample": True, "temperature": settings.temperature}
        torch.manual_seed(int(question.key(sample)[:8], 16))  # the same question and vote, the same answer
        prompt = inputs["input_ids"].shape[1]
        try:
            with torch.inference_mode():
                output = self._model.generate(
                    **inputs,
                    **sampling,
                    max_new_tokens=settings.max_tokens,
                    logits_processor=[self._constraint.processor(json.dumps(question.schema), prompt)],
                    stopping_criteria=StoppingCriteriaList([lambda ids, scores, **_: _stopped(torch, ids, stop)]),
                )
        except (torch.OutOfMemoryError, MemoryError):
            remedy = "set a smaller picture.width, transformers.dtype to bfloat16, or take a smaller model"
            raise NoAdvice(
                AdviceStatus.UNAVAILABLE, f"the model ran out of memory on {settings.device}; {remedy}"
            ) from None
        except (RuntimeError, IndexError, ValueError) as error:
            # An operation that a device lacks in half precision, a question longer than the model's positions
            line = " ".join(str(error).split())[:300]
            problem = f"the model fails on {settings.device} in {self._model.dtype}: {line}"
            raise NoAdvice(AdviceStatus.UNAVAILABLE, problem) from None
        tokens = output[0, prompt:].tolist()
        ended = any(token in self._constraint.ends for token in tokens[-1:])
        text = self._processor.tokenizer.decode(tokens, skip_special_tokens=True)
        return Reply(text, truncated=not ended, tokens_in=prompt, tokens_out=len(tokens))

    def _inputs(self, question: Question) -> Any:
        """Tokens and pixels; a chat template that refuses the system's role is given the rules in the user's."""
        from jinja2 import TemplateError
        from PIL import Image

        def picture(jpeg: bytes) -> dict[str, Any]:
            return {"type": "image", "image": Image.open(BytesIO(jpeg)).convert("RGB")}

        while True:
            try:
                chat = messages(question, picture, system=self._system_role)
                if self._system_role and not self._shows(question.system, chat):
                    log.warning("the model's chat template leaves out the system's words; the user's holds them now")
                    self._system_role = False
                    continue
                return self._processor.apply_chat_template(
                    chat,
                    add_generation_prompt=True,
                    tokenize=True,
                    return_dict=True,
                    return_tensors="pt",
                ).to(self._model.device, dtype=self._model.dtype)
            except (ValueError, TypeError, KeyError, TemplateError) as error:
                if not (isinstance(error, TemplateError) and self._system_role):
                    problem = f"the model's chat template does not take the question: {error}"
                    raise NoAdvice(AdviceStatus.UNAVAILABLE, problem) from None
                log.warning("the model's chat template refuses the system's role (%s); the user's holds it now", error)
                self._system_role = False

    def _shows(self, words: str, chat: list[dict[str, Any]]) -> bool:
        """Whether the chat template writes ``words``, spaces aside: some know but two roles and pass over the third."""
        written = self._processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        return "".join(words.split()) in "".join(written.split())


def _load(name: str, settings: TransformersBackend.Settings) -> tuple[Any, Any]:
    from transformers import AutoModelForImageTextToText, AutoProcessor
    from transformers.utils.logging import disable_progress_bar

    if settings.model == IN_THE_BOX:
        disable_progress_bar()  # it is there within milliseconds
    try:
        processor = AutoProcessor.from_pretrained(name, trust_remote_code=False)
        model: Any = AutoModelForImageTextToText.from_pretrained(
            name, dtype=settings.dtype, use_safetensors=True, trust_remote_code=False
        )
        model.to(settings.device).eval()
    except (OSError, ValueError, ImportError, RuntimeError, KeyError) as error:
        line = " ".join(str(error).split())[:300]
        raise VarlError(f"advisor: transformers.model {settings.model!r} cannot be loaded: {line}") from None
    if getattr(processor, "tokenizer", None) is None or not getattr(processor, "chat_template", None):
        raise VarlError(
            f"advisor: transformers.model {settings.model!r} has no chat template; take its instruct variant"
        )
    return processor, model


def _weights(folder: Path, model: Any) -> str:
    """What the weights are: the commit of a model of the hub, the contents of a folder's files."""
    if not folder.is_dir():
        return str(getattr(model.config, "_commit_hash", None))
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in (".safetensors", ".json", ".jinja", ".model", ".txt"):
            with path.open("rb") as file:  # half a GB a second and more
                digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _stopped(torch: Any, ids: Any, stop: threading.Event) -> Any:
    return torch.full((ids.shape[0],), stop.is_set(), dtype=torch.bool, device=ids.device)
