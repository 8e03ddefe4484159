"""Plans that solve the project's own tasks: what perfect advice would be, and proof that each task can be solved."""

from varl_common.plan import Phase, Plan

# Metres. The block of the project's own tasks is a 4 cm cube, and the fingers are 2 cm wide.
_ABOVE = 0.10
_BEHIND = 0.05
_NEAR, _AT = 0.02, 0.012
_PRESSED = 0.010  # the fingertips are 14 mm below the tool: they follow the cap 4 mm ahead of it
# The tool holds the peg by its upper end, 5 cm above the lower one; the socket's rim is 3.5 cm above the table.
# Up to 6 mm beside the hole it still comes down into it; asked for less, a policy that is nearly right hovers above.
_ABOVE_RIM, _IN_HOLE, _OVER_HOLE = 0.10, 0.05, 0.005
_OPEN, _CLOSE = -1.0, 1.0

_BY_ITS_HANDLE = (
    Phase("handle", (0.0, 0.0, _ABOVE), _OPEN, _NEAR),
    Phase("handle", (0.0, 0.0, 0.0), _OPEN, _AT),
    Phase("handle", (0.0, 0.0, 0.0), _CLOSE, _AT),
    Phase("target", (0.0, 0.0, 0.0), _CLOSE, _AT),
)

PLANS: dict[str, Plan] = {
    "reach": Plan((Phase("target", gripper=0.0, tolerance=_AT),), "Go to the target."),
    "reach-pose": Plan(
        (Phase("target", gripper=0.0, tolerance=_AT, align="target"),), "Go to the target, and turn as it is turned."
    ),
    "insert": Plan(
        (
            Phase("socket", (0.0, 0.0, _ABOVE_RIM), _CLOSE, _OVER_HOLE, align="socket"),
            Phase("socket", (0.0, 0.0, _IN_HOLE), _CLOSE, _OVER_HOLE, align="socket"),
        ),
        "Come from above, turn the peg as the socket is turned, and lower it straight down.",
    ),
    "push": Plan(
        (
            Phase("block", (0.0, 0.0, _ABOVE), _CLOSE, _NEAR, opposite="target", standoff=_BEHIND),
            Phase("block", (0.0, 0.0, 0.0), _CLOSE, _AT, opposite="target", standoff=_BEHIND),
            Phase("target", (0.0, 0.0, 0.0), _CLOSE, _AT, opposite="block", standoff=-_BEHIND / 2),
        ),
        "Get behind the block, seen from the target, and push.",
    ),
    "clear": Plan(
        (
            Phase("block", (0.0, 0.0, _ABOVE), _CLOSE, _NEAR, opposite="spot", standoff=-_BEHIND),
            Phase("block", (0.0, 0.0, 0.0), _CLOSE, _AT, opposite="spot", standoff=-_BEHIND),
            Phase("block", (0.0, 0.0, 0.0), _CLOSE, _AT),
        ),
        "Get between the spot and the block, and push it off.",
    ),
    "lift": Plan(
        (
            Phase("block", (0.0, 0.0, _ABOVE), _OPEN, _NEAR),
            Phase("block", (0.0, 0.0, 0.0), _OPEN, _AT),
            Phase("block", (0.0, 0.0, 0.0), _CLOSE, _AT),
            Phase("target", (0.0, 0.0, 0.0), _CLOSE, _AT),
        ),
        "Come from above, close on the block, rise.",
    ),
    "pick-place": Plan(
        (
            Phase("block", (0.0, 0.0, _ABOVE), _OPEN, _NEAR),
            Phase("block", (0.0, 0.0, 0.0), _OPEN, _AT),
            Phase("block", (0.0, 0.0, 0.0), _CLOSE, _AT),
            Phase("tray", (0.0, 0.0, _ABOVE), _CLOSE, _NEAR),
            Phase("tray", (0.0, 0.0, 0.03), _CLOSE, _AT),
            Phase("tray", (0.0, 0.0, 0.03), _OPEN, _AT),
        ),
        "Come from above, close on the block, carry it over the tray, lower it and let go.",
    ),
    "button": Plan(
        (
            Phase("button", (0.0, 0.0, _ABOVE), _CLOSE, _NEAR),
            Phase("button", (0.0, 0.0, _PRESSED), _CLOSE, _AT),
        ),
        "Come from above and press on.",
    ),
    "drawer": Plan(_BY_ITS_HANDLE, "Come from above, close on the handle, pull."),
    "drawer-close": Plan(_BY_ITS_HANDLE, "Come from above, close on the handle, push."),
}


def no_plan_for(task: str) -> str:
    """Why neither ``advisor:=sight`` nor ``scripted`` advises on ``task``, and the remedy; empty where one does.

    They know tasks by their name: what has another has no plan here.
    """
    if task in PLANS:
        return ""
    return (
        f"neither advisor:=sight nor scripted knows the task {task!r}; where a plan of {', '.join(PLANS)} solves it, "
        "keep that name in your file (task: reach), else see docs/tasks.md, 'Who advises on it'"
    )
