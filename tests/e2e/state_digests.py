"""Prints a digest of all rows and books after every hundred events of a log, folded in pages of a given size."""

import asyncio
import hashlib
import sys

from events.codec import Codec
from events.postgres import PostgresEventLog
from oxbot.adapters.database import open_pool
from oxbot.views.projections import PROJECTIONS

MARK = 100


async def main(dsn: str, page_size: int) -> None:
    """Fold the whole log; the pages end at the marks, and are otherwise as large as asked."""
    async with await open_pool(dsn, size=1, application_name="digests") as pool:
        log = PostgresEventLog(pool, Codec())
        folds = [(projection.name, projection.fold()) for projection in PROJECTIONS]
        rows: dict[tuple[str, str, str], bytes | None] = {}
        books: dict[tuple[str, str], bytes] = {}
        position, head = 0, await log.head()
        while position < head:
            mark = (position // MARK + 1) * MARK
            page = await log.read_all(after_position=position, limit=page_size, up_to=mark)
            for name, fold in folds:
                folded = fold.apply(page)
                rows.update({(change.view, change.owner, change.key): change.body for change in folded.changes})
                books.update({(name, owner): body for owner, body in folded.books.items()})
            position = page[-1].position
            if position in (mark, head):
                digest = hashlib.sha256()
                for key, body in (*sorted(rows.items()), *sorted(books.items())):
                    digest.update(repr((key, body)).encode())
                sys.stdout.write(f"{position} {digest.hexdigest()}\n")


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
