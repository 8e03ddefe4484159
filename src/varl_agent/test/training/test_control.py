"""A stop that was asked for: what it explains, and what it interrupts."""

import os
import signal
import threading
import time

import pytest
from varl_agent.training.control import InterruptHandler, TrainingControl
from varl_common.errors import VarlError


def test_an_env_that_is_lost_just_before_a_stop_is_heard_of_is_explained_by_it() -> None:
    control = TrainingControl()
    threading.Timer(0.2, control.stop).start()
    assert control.explains(VarlError("/env/step gave no answer"))


def test_without_a_stop_a_lost_env_is_a_failure_and_ctrl_c_explains_itself() -> None:
    control = TrainingControl()
    assert not control.explains(VarlError("/env/step gave no answer"))
    assert control.explains(KeyboardInterrupt())


def test_a_callback_of_the_compiler_is_not_interrupted_what_comes_after_it_is() -> None:
    control, finished = TrainingControl(), []

    def _raw_object_cache_notify() -> None:
        time.sleep(1.0)
        finished.append(True)

    with InterruptHandler(control, patience=0.1):
        os.kill(os.getpid(), signal.SIGINT)
        _raw_object_cache_notify()
        with pytest.raises(KeyboardInterrupt):
            time.sleep(10.0)
    assert finished
    assert control.stopping.is_set()


def test_saving_is_not_interrupted() -> None:
    control = TrainingControl()
    with InterruptHandler(control, patience=0.1):
        control.leaving = True
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.8)
