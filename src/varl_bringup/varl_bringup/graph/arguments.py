"""The launch arguments of each program."""

from importlib.metadata import entry_points

from varl_common.arguments import Argument, namespace, positive_number, whole_number

BACKENDS = ("mujoco", "gazebo", "real")
# Those that a package of the user's brings are as good as our own.
ADVISORS = tuple(sorted(point.name for point in entry_points(group="varl_vlm_advisor.backends")))
OBSERVATIONS = ("state", "pixels", "both")
RECIPES = ("varl", "paper", "sac")
LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
JOYSTICKS = ("gamepad", "spacemouse", "none")
BOOLEANS = ("true", "false")

_NAMESPACE = Argument("namespace", "Namespace of every node and topic of this robot.", check=namespace)
_PARAMS_FILE = Argument("params_file", "YAML file of ROS parameters that override those in config/.")
_LOG_LEVEL = Argument("log_level", "Least severity of the messages shown.", "info", LOG_LEVELS)
_TASK = Argument("task", "The task: reach, push, lift (a file of config/tasks), or a YAML file of yours.", "reach")
_ROBOT = Argument("robot", "Which arm: varl_arm (a file of config/robots), or a YAML file of yours.", "varl_arm")
_OBSERVATION = Argument(
    "observation",
    "What a policy sees: the state, pixels (pictures and what the arm feels of itself) or both.",
    "state",
    OBSERVATIONS,
)
_RVIZ = Argument("rviz", "Show the robot in RViz.", "false", BOOLEANS)
_VIEWER = Argument(
    "viewer",
    "Show the run in Rerun (pip install rerun-sdk): in a window, served to a browser, or as a file.",
    "none",
    ("none", "rerun", "rerun-web", "rerun-file"),
)
_RECORD = Argument("record", "Record every topic into the run's folder as a rosbag2 bag.", "false", BOOLEANS)

_MOMENTS = Argument("moments", "Folder in which labelled moments are kept for varl train-classifier; empty: none are.")

_WATCHED = (_NAMESPACE, _PARAMS_FILE, _RVIZ, _VIEWER, _RECORD, _LOG_LEVEL)
"""Of a graph in which an arm moves: where it is, and who looks on."""


def _backend(default: str) -> Argument:
    return Argument("backend", "What moves the arm.", default, BACKENDS)


def _joystick(default: str) -> Argument:
    return Argument(
        "joystick",
        "With what a person takes the arm over (config/joystick); its driver is started where it is installed.",
        default,
        JOYSTICKS,
    )


def training_arguments(backend: str, advisor: str) -> tuple[Argument, ...]:
    """``backend``, ``advisor``: what moves and who advises where nobody says otherwise."""
    return (
        _TASK,
        _ROBOT,
        _backend(backend),
        _OBSERVATION,
        Argument(
            "advisor",
            "Who is asked for advice; sight: the small model in the box, scripted: a stand-in for one, none: nobody.",
            advisor,
            ADVISORS,
        ),
        Argument(
            "recipe",
            "How it learns: varl as config/agent.yaml says, paper as published, sac as plain SAC, which asks nobody.",
            "varl",
            RECIPES,
        ),
        _joystick("none"),
        Argument("start_from", "Run whose policy and replay this one begins with, such as one in simulation."),
        Argument("demonstrations", "Dataset to start the replay with, as teleop leaves it."),
        _MOMENTS,
        *_WATCHED,
        Argument("seed", "Seed of the networks, the exploration and the scenes.", "0", check=whole_number(0)),
        Argument("steps", "Environment steps to train for; empty: as config/agent.yaml says.", check=whole_number(1)),
        Argument("run_dir", "Folder of the run; empty: runs/<task>-<recipe>-s<seed>-<time>."),
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

DEPLOY_ARGUMENTS = (
    Argument("run", "Folder of the run whose policy acts.", "runs/latest"),
    Argument("episodes", "Episodes to play; 0: any number, until Ctrl-C.", "0", check=whole_number(0)),
    Argument("seconds", "No episode begins after so long; empty: any time.", check=positive_number),
    Argument("start", "When it acts: now, or on each goal of the action deploy/run_policy.", "now", ("now", "goal")),
    Argument("robot", "Which arm; empty: the one that it was trained on."),
    Argument("backend", "What moves the arm; empty: what moved it in training.", choices=BACKENDS),
    _joystick("none"),
    _MOMENTS,
    Argument("seed", "Seed of the scenes.", "0", check=whole_number(0)),
    *_WATCHED,
)

TELEOP_ARGUMENTS = (
    _TASK,
    _ROBOT,
    _backend("mujoco"),
    _joystick("gamepad"),
    Argument("episodes", "Successful episodes to record.", "10", check=whole_number(1)),
    Argument("episode_steps", "Control periods that an episode may take.", "400", check=whole_number(1)),
    Argument("run_dir", "Folder of the demonstrations; empty: runs/<task>-demonstrations-<time>."),
    _MOMENTS,
    Argument("seed", "Seed of the scenes.", "0", check=whole_number(0)),
    *_WATCHED,
)

COLLECT_ARGUMENTS = (
    _TASK,
    _ROBOT,
    _backend("mujoco"),
    _joystick("none"),
    Argument("moments", "Folder of the moments, which are added to; empty: moments/<task>."),
    Argument("episodes", "Episodes to play.", "40", check=whole_number(1)),
    Argument(
        "held", "Control periods for which success must hold before an episode ends.", "10", check=whole_number(1)
    ),
    Argument("seed", "Seed of the scenes.", "0", check=whole_number(0)),
    *_WATCHED,
)

ENV_ARGUMENTS = (
    _TASK,
    _ROBOT,
    _backend("mujoco"),
    _joystick("none"),
    _NAMESPACE,
    _PARAMS_FILE,
    _RVIZ,
    _VIEWER,
    _LOG_LEVEL,
)

CALIBRATE_ARGUMENTS = (
    _ROBOT,
    Argument("camera", "Name of the camera in the robot's file; empty: its first."),
    Argument("mount", "What it is fixed to; with base, the gripper holds the marker.", "base", ("base", "tool")),
    Argument("marker_id", "Number of the AprilTag (family 36h11).", "0", check=whole_number(0)),
    Argument("marker_size", "Edge of its black square as measured on the print, m.", check=positive_number),
    Argument("calibration_file", "File to write.", "calibrations/camera.yaml"),
    Argument("realsense", "Start our RealSense node; false: the camera's own driver runs.", "false", BOOLEANS),
    _NAMESPACE,
    _PARAMS_FILE,
    _LOG_LEVEL,
)

CHECK_ARGUMENTS = (_TASK, _ROBOT, _NAMESPACE, _PARAMS_FILE, _LOG_LEVEL)

FIND_LIMITS_ARGUMENTS = (
    _ROBOT,
    _joystick("none"),
    Argument(
        "beyond", "By joystick: how far beyond its present workspace the tool may go, m.", "0.15", check=positive_number
    ),
    Argument("out", "File to write; empty: the robot's own, where that is a file of yours."),
    _NAMESPACE,
    _PARAMS_FILE,
    _LOG_LEVEL,
)
