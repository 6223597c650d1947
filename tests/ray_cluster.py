"""A real Ray cluster on this machine: a head, on which nothing is placed, and nodes of a few CPUs each.

It asks for a token, and takes no part in Ray's statistics.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

STORE_BYTES = 80 << 20
"""For objects, of which engines have none; the smallest that Ray takes is 75 MiB."""
ATTEMPTS = 3
ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "0123456789abcdef0123456789abcdef",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_METRICS_COLLECTION": "0",
    "RAY_DISABLE_DOCKER_CPU_WARNING": "1",
}


class RayCluster:
    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self.address: str = cluster.address

    def add(self, cpus: int) -> Any:
        """Another node; it is there on return."""
        return _added(self._cluster, num_cpus=cpus, memory=4 << 30)

    def kill(self, node: Any) -> None:
        """End a node at once, as if its machine were lost."""
        self._cluster.remove_node(node, allow_graceful=False)

    def kill_head(self) -> None:
        self._cluster.remove_node(self._cluster.head_node, allow_graceful=False)


def _added(cluster: Any, **given: Any) -> Any:
    """A new node. Ray waits 30 s for one, which is not enough on a machine that is very busy."""
    for attempt in range(ATTEMPTS):
        try:
            return cluster.add_node(object_store_memory=STORE_BYTES, **given)
        except Exception:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("there is at least one attempt")


@contextmanager
def ray_cluster() -> Iterator[RayCluster]:
    """A cluster for as long as the block runs. Nodes are to be added."""
    folder = tempfile.mkdtemp(prefix="ray-")
    with patch.dict(os.environ, ENVIRONMENT | {"TMPDIR": folder}), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.cluster_utils import Cluster  # slow to import, and it reads the environment

        cluster = Cluster()
        try:
            _added(cluster, num_cpus=0, include_dashboard=False, temp_dir=f"{folder}/ray")  # the head
            yield RayCluster(cluster)
        finally:
            cluster.shutdown()
            shutil.rmtree(folder, ignore_errors=True)
