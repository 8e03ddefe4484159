"""Each rule of success and each reset is used by a task that ships."""

from pathlib import Path

import pytest
from varl_robot_env.config.paths import config_file, config_folder
from varl_robot_env.tasks.predicates import KINDS
from varl_robot_env.tasks.task import load_task

TASKS = {path.stem: load_task(path) for path in sorted((config_folder() / "tasks").glob("*.yaml"))}


@pytest.mark.parametrize("word", [*KINDS, "held"])
def test_each_rule_of_success_is_used(word: str) -> None:
    rules = [rule for task in TASKS.values() for rule in task.config.success.all_rules()]
    assert any(rule.held > 1 if word == "held" else type(rule) is KINDS[word] for rule in rules)


@pytest.mark.parametrize("word", ["path", "task", "person"])
def test_each_reset_is_used(word: str) -> None:
    assert any(getattr(task.config.reset, word) for task in TASKS.values())


def test_a_classifier_is_looked_for_beside_the_task_and_then_where_the_program_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def named() -> Path:
        rules = load_task(config_file("tasks", "push-seen")).config.success.all_rules()
        return next(Path(rule.classifier) for rule in rules if hasattr(rule, "classifier"))

    monkeypatch.chdir(tmp_path)
    assert named() == config_folder().absolute() / "tasks/classifiers/push", "where it would be"
    (tmp_path / "classifiers/push").mkdir(parents=True)
    assert named() == tmp_path / "classifiers/push"
