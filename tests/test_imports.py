"""One module alone may import litellm, and it does so only when a model has to be called."""

import json
import re
import subprocess
import sys
from importlib.metadata import files
from pathlib import Path

ROOT = Path(__file__).parents[1]
TRANSPORT = "oxbot/adapters/litellm_transport.py"
IMPORTING = re.compile(r"""^\s*(import|from) litellm\b|(import_module|__import__)\(["']litellm\b""", re.MULTILINE)

IMPORT_ALL = """
import importlib, json, pkgutil, sys
names = []
for package in ("events", "oxbot", "actors"):
    names += [found.name for found in pkgutil.walk_packages([package], f"{package}.")]
for name in names:
    importlib.import_module(name)
print(json.dumps([len(names), sorted({"litellm", "openai", "tiktoken", "tokenizers"} & set(sys.modules))]))
"""


def test_importing_everything_of_ours_imports_no_litellm() -> None:
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IMPORT_ALL],
        capture_output=True, text=True, timeout=120, check=False, cwd=ROOT,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr[-2000:]
    count, loaded = json.loads(finished.stdout)
    assert count > 200
    assert loaded == []


def test_one_module_names_litellm_as_something_to_import() -> None:
    naming = [
        str(path.relative_to(ROOT))
        for package in ("events", "oxbot", "actors")
        for path in (ROOT / package).rglob("*.py")
        if IMPORTING.search(path.read_text())
    ]
    assert naming == [TRANSPORT]


def test_the_litellm_that_is_installed_runs_nothing_at_the_start_of_python() -> None:
    """Two releases of it did, from a ``.pth`` file, before they were taken down."""
    installed = files("litellm") or []
    assert installed
    assert [str(path) for path in installed if str(path).endswith(".pth")] == []
