"""The cluster file is one that Ray itself accepts, and a safe one."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest
import ray.autoscaler
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())


@pytest.fixture
def cluster() -> dict[str, object]:
    loaded: dict[str, object] = yaml.safe_load((ROOT / "ray_cluster.yaml").read_text())
    return loaded


def test_the_file_fits_rays_own_schema(cluster: dict[str, object]) -> None:
    errors = [error.message for error in jsonschema.Draft7Validator(SCHEMA).iter_errors(cluster)]
    assert errors == []


def test_ray_up_would_take_the_file(cluster: dict[str, object]) -> None:
    validate_config(prepare_config(copy.deepcopy(cluster)))


def test_a_misspelt_key_would_be_found(cluster: dict[str, object]) -> None:
    errors = list(jsonschema.Draft7Validator(SCHEMA).iter_errors(cluster | {"max_worker": 2}))
    assert errors


@pytest.mark.parametrize("commands", ["head_start_ray_commands", "worker_start_ray_commands"])
def test_every_node_asks_for_the_token(cluster: dict[str, object], commands: str) -> None:
    assert "RAY_AUTH_MODE=token" in str(cluster[commands])


def test_the_dashboard_is_on_loopback_only(cluster: dict[str, object]) -> None:
    assert "--dashboard-host=127.0.0.1" in str(cluster["head_start_ray_commands"])
    assert "0.0.0.0" not in str(cluster)  # noqa: S104 - looked for, not bound to
