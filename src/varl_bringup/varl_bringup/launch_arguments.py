"""The launch arguments of each program."""

from varl_bringup.arguments import Argument, namespace, whole_number

BACKENDS = ("mujoco", "gazebo", "real")
ADVISORS = ("scripted", "transformers", "openai", "replay", "none")
LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
BOOLEANS = ("true", "false")

_NAMESPACE = Argument("namespace", "Namespace of every node and topic of this robot.", check=namespace)
_PARAMS_FILE = Argument("params_file", "YAML file of ROS parameters that override those in config/.")
_LOG_LEVEL = Argument("log_level", "Least severity of the messages shown.", "info", LOG_LEVELS)


def training_arguments(backend: str) -> tuple[Argument, ...]:
    return (
        Argument(
            "task", "What to learn: reach, push, lift (a file of config/tasks), or a YAML file of yours.", "reach"
        ),
        Argument("robot", "Which arm: varl_arm (a file of config/robots), or a YAML file of yours.", "varl_arm"),
        Argument("backend", "What moves the arm.", backend, BACKENDS),
        Argument(
            "advisor",
            "Who is asked for advice; scripted is a stand-in for a vision-language model, none is plain SAC.",
            "scripted",
            ADVISORS,
        ),
        _NAMESPACE,
        _PARAMS_FILE,
        Argument("rviz", "Show the robot in RViz.", "false", BOOLEANS),
        Argument("record", "Record every topic into the run's folder as a rosbag2 bag.", "false", BOOLEANS),
        _LOG_LEVEL,
        Argument("seed", "Seed of the networks, the exploration and the scenes.", "0", check=whole_number(0)),
        Argument("steps", "Environment steps to train for; empty: as config/agent.yaml says.", check=whole_number(1)),
        Argument("run_dir", "Folder of the run; empty: runs/<task>-<varl or sac>-s<seed>-<time>."),
        Argument("resume", "Continue the run in run_dir from its newest checkpoint.", "false", BOOLEANS),
    )


EVALUATE_ARGUMENTS = (
    Argument("run", "Folder of the run to evaluate.", "runs/latest"),
    Argument("episodes", "Episodes to play.", "50", check=whole_number(1)),
    Argument("seed", "Seed of the scenes.", "10000", check=whole_number(0)),
    _NAMESPACE,
    _PARAMS_FILE,
    _LOG_LEVEL,
)
