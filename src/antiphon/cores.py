"""How many processors this process may keep busy."""

from __future__ import annotations

import math
import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cores(quota: Path = _QUOTA) -> int:
    """Those that it may run on, or fewer where a container's share of their time is less.

    `quota` is a control group's `cpu.max` (Linux, version 2): microseconds in each period, or `max`.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        time, period = quota.read_text().split()
        return min(allowed, max(1, math.ceil(int(time) / int(period))))
    except (OSError, ValueError):  # no control groups, no quota (`max`), or a file of another shape
        return allowed
