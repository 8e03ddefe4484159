"""The bench's tasks of Meta-World."""

import pytest

environments = pytest.importorskip("benchmarks.advice.environments", reason="run from the repository's root")
pytest.importorskip("metaworld")

from benchmarks.advice.advisors import expert_of  # noqa: E402


@pytest.mark.parametrize("task", ["pick-place-v3", "sweep-into-v3"])
def test_what_is_gripped_is_what_meta_world_itself_says(task):
    from metaworld.sawyer_xyz_env import SawyerXYZEnv

    env = environments.make_env(task, 0)
    expert, inner, gripped = expert_of(task, env), env._env, []
    for _ in range(2):
        observation, ended = env.reset()[0], False
        while not ended:
            observation, _, terminated, truncated, _ = env.step(expert(observation[None])[0])
            ended = terminated or truncated
            for geom in {inner.data.geom("objGeom").id, *range(0, inner.model.ngeom, 9)}:
                said = SawyerXYZEnv.touching_object(inner, geom)
                assert environments.is_gripped(inner.data, geom) == said
                gripped.append(said)
    assert any(gripped)
    assert not all(gripped)
