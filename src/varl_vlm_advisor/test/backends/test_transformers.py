"""A tiny random model through the unmodified transformers path: it knows nothing, but it holds to the form."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from varl_common.advice_status import AdviceStatus
from varl_common.env_description import EnvDescription
from varl_common.errors import VarlError
from varl_vlm_advisor.service.advisor import Advisor
from varl_vlm_advisor.testing.tiny_vlm import ARCHITECTURES, make_tiny_vlm
from varl_vlm_advisor.types import State

pytest.importorskip("transformers")
pytest.importorskip("llguidance")

Make = Callable[..., Advisor]
MakeTransition = Callable[..., State]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("vlm")
    return {name: make_tiny_vlm(folder / f"tiny-{name}", name) for name in ARCHITECTURES}


@pytest.fixture(scope="module")
def model(models: dict[str, Path]) -> Path:
    return models["gemma3"]


def settings(model: Path, **others: Any) -> dict[str, Any]:
    return {"backend": "transformers", "transformers": {"model": str(model), "max_tokens": 3000, **others}}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("strategy", ["direction", "plan", "point"])
def test_a_random_model_is_held_to_the_schema(
    advisor: Make,
    env: EnvDescription,
    transition: MakeTransition,
    models: dict[str, Path],
    strategy: str,
    architecture: str,
) -> None:
    asked = advisor(strategy=strategy, surface_height=0.0, **settings(models[architecture], temperature=1.0))
    answers = asked.ask(env, [transition(0), transition(1)], 60.0).result(70)
    assert answers.advisor == f"transformers (tiny-{architecture})"
    for advice in answers.advice:
        # It may say that it cannot tell, or point at the sky, but never break the form.
        assert advice.status in (AdviceStatus.OK, AdviceStatus.REFUSED) or "horizon" in advice.reason, advice
    assert asked.statistics.events["repairs"] == 0
    assert asked.statistics.tokens_in > 500


def test_the_same_question_gets_the_same_answer(
    advisor: Make, env: EnvDescription, transition: MakeTransition, model: Path
) -> None:
    told = [
        advisor(**settings(model, temperature=1.0)).ask(env, [transition(5)], 60.0).result(70).advice[0].reason
        for _ in range(2)
    ]
    assert told[0] == told[1]


def test_it_gives_way_at_the_deadline(
    advisor: Make, env: EnvDescription, transition: MakeTransition, model: Path
) -> None:
    asked = advisor(**settings(model, max_tokens=8000))
    answers = asked.ask(env, [transition(number) for number in range(30)], 0.5).result(20)
    assert AdviceStatus.TIMEOUT in [advice.status for advice in answers.advice]
    later = asked.ask(env, [transition(50)], 60.0).result(70)
    assert later.advice[0].status != AdviceStatus.TIMEOUT


def test_an_answer_cut_at_the_token_limit_is_invalid(
    advisor: Make, env: EnvDescription, transition: MakeTransition, model: Path
) -> None:
    answers = advisor(**settings(model, max_tokens=20)).ask(env, [transition()], 30.0).result(35)
    assert answers.advice[0].status == AdviceStatus.INVALID
    assert "cut off" in answers.advice[0].reason


@pytest.mark.parametrize(("name", "remedy"), [("", "is not set"), ("/no/such/model", "cannot be loaded")])
def test_a_model_that_is_not_there_is_one_sentence(advisor: Make, name: str, remedy: str) -> None:
    with pytest.raises(VarlError, match=remedy) as caught:
        advisor(backend="transformers", transformers={"model": name})
    assert "\n" not in str(caught.value)


def tiny_vlm_whose_template_begins(folder: Path, words: str) -> Path:
    model = make_tiny_vlm(folder / "tiny")
    template = model / "chat_template.jinja"
    template.write_text(words + template.read_text())
    return model


def test_a_chat_template_without_a_system_role_is_given_the_rules_in_the_users(
    advisor: Make, env: EnvDescription, transition: MakeTransition, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """vllm-project/guidellm#67: Gemma 2's template, and those of many others."""
    refusal = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    folder = tiny_vlm_whose_template_begins(tmp_path, refusal)
    answers = advisor(**settings(folder)).ask(env, [transition(0), transition(1)], 60.0).result(70)
    assert {advice.status for advice in answers.advice} <= {AdviceStatus.OK, AdviceStatus.REFUSED}, answers.advice
    assert len([record for record in caplog.records if "refuses the system's role" in record.getMessage()]) == 1
    (folder / "chat_template.jinja").write_text("{{ raise_exception('I take nothing') }}")
    answers = advisor(**settings(folder)).ask(env, [transition(0)], 60.0).result(70)
    assert answers.advice[0].status == AdviceStatus.UNAVAILABLE
    assert "I take nothing" in answers.advice[0].reason


def test_a_chat_template_that_passes_over_the_system_is_given_the_rules_in_the_users(
    advisor: Make, env: EnvDescription, transition: MakeTransition, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    users = "{% set messages = messages | rejectattr('role', 'equalto', 'system') | list %}"
    folder = tiny_vlm_whose_template_begins(tmp_path, users)
    answers = advisor(**settings(folder)).ask(env, [transition(0), transition(1)], 60.0).result(70)
    assert {advice.status for advice in answers.advice} <= {AdviceStatus.OK, AdviceStatus.REFUSED}, answers.advice
    assert len([record for record in caplog.records if "leaves out the system's words" in record.getMessage()]) == 1


def test_weights_that_overflow_in_half_precision_are_told(
    advisor: Make, env: EnvDescription, transition: MakeTransition, tmp_path: Path
) -> None:
    """huggingface/transformers#33294: logits that are NaN, which sampling would take for anything."""
    import torch
    from transformers import AutoModelForImageTextToText

    folder = make_tiny_vlm(tmp_path / "tiny")
    model = AutoModelForImageTextToText.from_pretrained(folder)
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(1e30)  # finite in bfloat16, infinite in float16
    model.save_pretrained(folder)
    answers = advisor(**settings(folder, dtype="float16")).ask(env, [transition()], 60.0).result(70)
    assert answers.advice[0].status == AdviceStatus.UNAVAILABLE
    assert "set transformers.dtype to bfloat16 or float32" in answers.advice[0].reason


def test_what_fails_within_the_model_is_told(
    advisor: Make,
    env: EnvDescription,
    transition: MakeTransition,
    models: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An operation that its device does not know in half precision; a question longer than its positions."""
    asked = advisor(**settings(models["idefics3"]))

    def fail(**_: Any) -> None:
        raise RuntimeError("\"slow_conv2d_cpu\" not implemented for 'Half'")

    monkeypatch.setattr(asked._backend._model, "generate", fail)  # type: ignore[attr-defined]
    (advice,) = asked.ask(env, [transition()], 60.0).result(70).advice
    assert advice.status == AdviceStatus.UNAVAILABLE
    assert "not implemented for 'Half'" in advice.reason


@pytest.mark.parametrize("logit", [float("nan"), float("inf"), float("-inf")])
def test_what_may_come_next_must_have_finite_logits(logit: float) -> None:
    """Of NaN and infinity sampling makes anything; where all that the schema allows is -inf, nothing is left."""
    import torch
    from varl_vlm_advisor.backends.constrained import SchemaProcessor
    from varl_vlm_advisor.types import NoAdvice

    class Stopped:
        def is_stopped(self) -> bool:
            return True

        def is_error(self) -> bool:
            return False

    held = SchemaProcessor(Stopped(), prompt=1, size=32, ends={2})
    ids, scores = torch.tensor([[1]]), torch.zeros(1, 32)
    assert held(ids, scores).argmax() == 2
    scores[0, 2] = logit
    with pytest.raises(NoAdvice, match="not finite"):
        held(ids, scores)


def test_other_weights_in_the_same_folder_are_another_model(
    advisor: Make, env: EnvDescription, transition: MakeTransition, tmp_path: Path
) -> None:
    """A folder that is trained again must not be answered for by what was recorded before."""
    folder = make_tiny_vlm(tmp_path / "tiny", seed=0)
    cache = {"mode": "auto", "folder": str(tmp_path / "kept")}
    advisor(**settings(folder), cache=cache).ask(env, [transition()], 60.0).result(70)
    again = advisor(**settings(folder), cache=cache)
    again.ask(env, [transition()], 60.0).result(70)
    assert again.statistics.events["calls"] == 0
    make_tiny_vlm(folder, seed=1)
    other = advisor(**settings(folder), cache=cache)
    other.ask(env, [transition()], 60.0).result(70)
    assert other.statistics.events["calls"] == 1
