"""Real parents that die, and a child that must notice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

CHILD = (
    "import os, sys, time\n"
    "from antiphon.workers.parent import exit_with_parent\n"
    "exit_with_parent()\n"
    "print('watching', flush=True)\n"
    "time.sleep(600)"
)
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CHILD!r}])"


def test_a_child_ends_with_a_killed_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "watching\n"
        parent.send_signal(signal.SIGKILL)
        # The pipe ends when its last holder, the child, has ended.
        assert parent.stdout.read() == ""


def test_a_child_whose_parent_is_gone_already_ends() -> None:
    environment = os.environ | {"PARENT_PID": "2147483646"}
    ended = subprocess.run([sys.executable, "-c", CHILD], env=environment, timeout=10, check=False)
    assert ended.returncode == 1


def test_a_child_stays_while_its_parent_lives() -> None:
    environment = os.environ | {"PARENT_PID": str(os.getpid())}
    with subprocess.Popen([sys.executable, "-c", CHILD], env=environment) as child:
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(1.0)
        child.kill()


def test_a_group_ends_with_the_one_that_leads_it() -> None:
    """A child of the child, which knows nothing of this, holds the pipe as well."""
    leads = (
        "import subprocess, sys, time\n"
        "from antiphon.workers.parent import exit_with_parent\n"
        "exit_with_parent(group=True)\n"
        "with subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']):\n"
        "    print('watching', flush=True)"
    )
    parent_code = PARENT.replace(repr(CHILD) + "]", repr(leads) + "], start_new_session=True")
    with subprocess.Popen([sys.executable, "-c", parent_code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "watching\n"
        parent.send_signal(signal.SIGKILL)
        assert parent.stdout.read() == ""
