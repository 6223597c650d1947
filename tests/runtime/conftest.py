"""A Ray cluster for the tests of runtimes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import ray_cluster as clusters


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[clusters.RayCluster]:
    """One with a single node; tests that lose nodes add others."""
    with clusters.ray_cluster() as started:
        started.add(cpus=4)
        yield started
