"""The files of the dashboard: read once, named by their content, kept small for the way to the browser."""

import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).with_name("page")
INDEX = "index.html"
FOREVER = "public, max-age=31536000, immutable"
AGAIN = "no-cache"
MEDIA_TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class PageFile(NamedTuple):
    """What one path of the page is answered with."""

    body: bytes
    packed: bytes
    media_type: str
    etag: str
    cache_control: str


class ChartLibrary(NamedTuple):
    """Where the charts' library lies in its package, and the path that names its version; read when first wanted."""

    path: str
    source: Path

    def file(self) -> PageFile:
        """The library. Packing its megabytes takes a moment: call this off the event loop."""
        return _packed(self.source)


@cache
def page_files() -> Mapping[str, PageFile]:
    """Every file of the page but the charts' library, by its path; but for ``/`` a path changes with any content."""
    sources = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in MEDIA_TYPES}
    digest = hashlib.sha256(b"".join(name.encode() + b"\0" + body for name, body in sources.items())).hexdigest()[:16]
    folder = f"/page/{digest}"
    index = sources.pop(INDEX)
    modules = [name for name in sources if name.endswith(".js")]
    preloads = "\n".join(f'<link rel="modulepreload" href="{folder}/{name}">' for name in modules)
    filled = index.replace(b"{{modules}}", preloads.encode()).replace(b"{{folder}}", folder.encode())
    filled = filled.replace(b"{{charts}}", chart_library().path.encode())
    files = {f"{folder}/{name}": _file(body, Path(name).suffix, FOREVER) for name, body in sources.items()}
    return {"/": _file(filled, ".html", AGAIN), **files}


@cache
def chart_library() -> ChartLibrary:
    """Where the charts' library is, found without importing its package, which would take longer than all the rest."""
    spec = find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the package plotly is not installed")
    source = Path(spec.submodule_search_locations[0]) / "package_data" / "plotly.min.js"
    return ChartLibrary(f"/page/plotly-{version('plotly')}/plotly.min.js", source)


@cache
def _packed(source: Path) -> PageFile:
    return _file(source.read_bytes(), source.suffix, FOREVER)


def _file(body: bytes, suffix: str, cache_control: str) -> PageFile:
    etag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
    return PageFile(body, gzip.compress(body, mtime=0), MEDIA_TYPES[suffix], etag, cache_control)
