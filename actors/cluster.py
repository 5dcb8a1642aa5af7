"""Starts Ray, private to this machine or as part of a cluster. ``prepare_embedded`` must have come first."""

import logging
import signal

import ray

from actors.options import NAMESPACE
from oxbot.config import Settings

OBJECT_STORE_BYTES = 100 * 1024 * 1024


def start_ray(settings: Settings) -> None:
    """Connect to the configured cluster, or start a local Ray that dies with this process."""
    terminate = signal.getsignal(signal.SIGTERM)
    _start(settings)
    # Ray would have a request to terminate end the process without unwinding it.
    signal.signal(signal.SIGTERM, terminate)


def _start(settings: Settings) -> None:
    if settings.ray_address is not None:
        ray.init(address=settings.ray_address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
        return
    ray.init(
        namespace=NAMESPACE,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=OBJECT_STORE_BYTES,
    )


def stop_ray() -> None:
    """Leave the cluster; a local one ends."""
    ray.shutdown()
