"""What can go wrong with hardware, by name: the stand-ins do it when told."""

from __future__ import annotations

from enum import StrEnum


class DriverFault(StrEnum):
    """Of the arm and its driver."""

    NONE = "none"
    PROTECTIVE_STOP = "protective_stop"  # the arm stops and its program ends; wants unlocking, then the program
    PROGRAM_STOPPED = "program_stopped"  # somebody pressed stop on the pendant; wants the program
    CONTROLLER_INACTIVE = "controller_inactive"  # somebody deactivated it: it drops what comes, and says nothing
    SPEED_ZERO = "speed_zero"  # the speed slider is at zero, or the program is paused
    SILENT = "silent"  # no joint states
    LATE_COMMANDS = "late_commands"  # trajectories arrive half a second late
    LOST_COMMANDS = "lost_commands"  # every second trajectory is lost
    CONTACT = "contact"  # the arm presses on something: force and joint effort
    SLIP = "slip"  # the gripper loses what it holds
    NAN_VELOCITY = "nan_velocity"  # a joint's velocity is not a number
    NAN_EFFORT = "nan_effort"  # a joint's effort is not a number
    SHORT_POSITIONS = "short_positions"  # joint states name a joint more than they have positions
    ONE_JOINT_SILENT = "one_joint_silent"  # joint states without the last joint
    NAN_FORCE = "nan_force"  # the force sensor says nothing but NaN
    NO_FORCE = "no_force"  # the force sensor says nothing
    NO_PROGRAM = "no_program"  # so is that of robot_program_running


class CameraFault(StrEnum):
    """Of the camera."""

    NONE = "none"
    FREEZE = "freeze"  # the same picture again and again, with new stamps
    SILENT = "silent"  # no pictures
    DROP = "drop"  # every second picture is lost
    LAG = "lag"  # pictures are half a second old
