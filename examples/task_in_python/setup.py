"""A task that a file alone cannot say, as a package of one's own: `pip install -e examples/task_in_python`."""

from setuptools import setup

setup(
    name="varl-example-task",
    version="0.1.0",
    packages=["stop_at"],
    install_requires=[],  # of VARL's own varl_robot_env
    entry_points={"varl.tasks": ["stop_at = stop_at:StopAt"]},
)
