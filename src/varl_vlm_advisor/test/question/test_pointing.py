"""How models point: by their family, in the picture as their own processor sees it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from varl_common.advice_status import AdviceStatus
from varl_common.env_description import EnvDescription
from varl_common.frame import Frame
from varl_common.image_codec import decode_image
from varl_vlm_advisor.answer.motion import lift
from varl_vlm_advisor.question.config import QuestionConfig
from varl_vlm_advisor.question.pointing import GRID, convention_of, picture_size
from varl_vlm_advisor.question.prompt import Prompter
from varl_vlm_advisor.types import NoAdvice, State

MakeTransition = Callable[..., State]

SIZES = [(320, 240), (640, 480), (1920, 1080), (64, 48), (56, 56), (4096, 3072), (1280, 720), (33, 500), (848, 480)]


@pytest.mark.parametrize(
    ("size", "resized"),
    [
        ((320, 240), (308, 252)),  # by hand: 320 / 28 = 11.4, 240 / 28 = 8.6
        ((640, 480), (644, 476)),
        ((64, 36), (84, 56)),  # 56 x 56 pixels at least
        ((1920, 1080), (1316, 728)),  # 28 * 28 * 1280 pixels at most
    ],
)
def test_worked_examples(size: tuple[int, int], resized: tuple[int, int]) -> None:
    assert picture_size(*size, "pixel28") == resized
    assert picture_size(*size, "pixel") == size


@pytest.mark.parametrize("size", SIZES)
def test_it_is_the_processors_own_resizing_which_then_has_nothing_left_to_do(size: tuple[int, int]) -> None:
    processing = pytest.importorskip("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl")
    width, height = size
    assert picture_size(width, height, "pixel28") == processing.smart_resize(height, width)[::-1]
    columns, rows = picture_size(width, height, "pixel28")
    assert processing.smart_resize(rows, columns) == (rows, columns)
    assert columns % GRID == rows % GRID == 0


@pytest.mark.parametrize(
    ("model", "convention"),
    [
        ("openai (Qwen/Qwen2.5-VL-7B-Instruct)", "pixel28"),
        ("openai (qwen2.5vl:7b)", "pixel28"),
        ("openai (qwen2_5-vl)", "pixel"),  # a name of one's own: not known
        ("transformers (Qwen/Qwen3-VL-4B-Instruct)", "thousand"),
        ("Qwen/Qwen2-VL-2B-Instruct", "thousand"),
        ("qwen3.5-plus", "thousand"),
        ("allenai/Molmo-7B-D-0924", "percent"),
        ("google/gemini-robotics-er-1.5-preview", "thousand_yx"),
        ("zai-org/GLM-4.5V", "thousand"),
        ("zai-org/GLM-4.1V-9B-Thinking", "thousand"),
        ("OpenGVLab/InternVL3-8B", "thousand"),
        ("gpt-4o", "pixel"),
        ("google/gemma-3-4b-it", "pixel"),
    ],
)
def test_a_family_is_known_by_its_name(model: str, convention: str) -> None:
    assert convention_of(model) == convention


def test_qwen25s_point_in_a_small_picture_is_where_it_saw_it(env: EnvDescription, transition: MakeTransition) -> None:
    """Its processor makes 308x252 of 320x240: taken for pixels of the latter, points are 4 to 5 % off."""
    config = QuestionConfig.from_dict({"strategy": "point", "picture": {"width": 320}}, "test")
    question = Prompter(config, sees=True, model="Qwen2.5-VL-3B").question(env, transition())
    assert decode_image(question.image).shape[:2] == (252, 308)
    assert "which is 308 wide and 252 high" in question.text
    place = np.array([0.4, 0.1, 0.02])
    full = replace(question, projection=None).frame
    assert full is not None
    assert full.k is not None
    assert full.camera_pose is not None
    optical = full.camera_pose[:3, :3].T @ (place - full.camera_pose[:3, 3])
    x, y, z = full.k @ optical
    seen = np.array([x / z / 640 * 308, y / z / 480 * 252])  # in the processor's picture
    assert lift(question, seen, surface_height=0.02) == pytest.approx(place, abs=1e-6)


def test_each_strategy_shows_its_camera(env: EnvDescription, transition: MakeTransition, frame: Frame) -> None:
    env = replace(env, cameras=["scene", "wrist"])
    state = replace(transition(), frames=(replace(frame, camera="scene"), replace(frame, camera="wrist")))
    camera = {"direction": "", "point": "wrist", "plan": "scene"}
    for strategy, shown in {"direction": "scene", "point": "wrist", "plan": "scene"}.items():
        config = QuestionConfig.from_dict({"strategy": strategy, "camera": camera}, "test")
        question = Prompter(config, sees=True).question(env, state)
        assert f'The picture (camera "{shown}")' in question.text
        assert question.frame is not None
        assert question.frame.camera == shown
    config = QuestionConfig.from_dict({"strategy": "plan", "camera": {"plan": "scene"}}, "test")
    without = Prompter(config, sees=True).question(env, replace(state, frames=state.frames[1:]))
    assert "There is no picture of this transition" in without.text


def test_a_camera_that_the_robot_lacks_is_told(env: EnvDescription, transition: MakeTransition) -> None:
    config = QuestionConfig.from_dict({"strategy": "plan", "camera": {"plan": "camra"}}, "test")
    with pytest.raises(NoAdvice, match="no camera 'camra'; did you mean 'camera'") as caught:
        Prompter(config, sees=True).question(env, transition())
    assert caught.value.status == AdviceStatus.REFUSED
