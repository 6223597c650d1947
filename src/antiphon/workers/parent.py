"""No engine outlives the gateway, however the gateway ends."""

from __future__ import annotations

import os
import signal
import threading
import time

_PERIOD = 0.25


def exit_with_parent(*, group: bool = False) -> None:
    """End this process within half a second of its parent's end, even by SIGKILL; returns at once.

    `group`: and with it all others of the group that it leads, if it leads one.

    An orphan is given another parent, which shows on every Unix, without the file descriptors or the
    Linux-only calls that other ways need. `PARENT_PID` says who the parent was, in case it is gone already.
    """
    parent = int(os.environ.get("PARENT_PID") or os.getppid())
    threading.Thread(target=_watch, args=(parent, group), name="exit-with-parent", daemon=True).start()


def _watch(parent: int, group: bool) -> None:
    while os.getppid() == parent:
        time.sleep(_PERIOD)
    if group and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)
