-- States folded before, so that the next fold of a long stream begins near its end. A cache: any row may be deleted at any
-- time, and a fold that finds none, or one that is not right, begins at the stream's first event.

CREATE SCHEMA caches;

-- The newest snapshot of a stream. The event says which history the version belongs to, the fingerprint which program
-- folded, the digest that the state is what was written.
CREATE TABLE caches.snapshots (
    stream_id text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    event_id uuid NOT NULL,
    fingerprint text NOT NULL,
    state bytea NOT NULL,
    sha256 bytea NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Those who decide keep them; what proves or shows the log never reads them.
ALTER SCHEMA caches OWNER TO oxbot_owner;
ALTER TABLE caches.snapshots OWNER TO oxbot_owner;
GRANT USAGE ON SCHEMA caches TO oxbot_host, oxbot_api, oxbot_operator;
GRANT SELECT, INSERT, UPDATE, DELETE ON caches.snapshots TO oxbot_host, oxbot_api, oxbot_operator;
