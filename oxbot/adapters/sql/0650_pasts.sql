-- Bots as they were at some positions of the log, so that a question about the past is answered by a short fold. A cache:
-- any row may be deleted at any time, and a fold that finds none, or one that is not right, begins earlier.

-- The event says which history the position belongs to, the fingerprint which program folded, the digest that the state is
-- what was written.
CREATE TABLE caches.pasts (
    stream_id text COLLATE "C",
    "position" bigint,
    version bigint NOT NULL,
    event_id uuid NOT NULL,
    fingerprint text NOT NULL,
    decisions bigint NOT NULL,
    state bytea NOT NULL,
    sha256 bytea NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (stream_id, "position")
);

-- Whoever answers questions about the past keeps them, and the projector, which goes along with the log.
ALTER TABLE caches.pasts OWNER TO oxbot_owner;
GRANT USAGE ON SCHEMA caches TO oxbot_projector;
GRANT SELECT, INSERT, UPDATE, DELETE ON caches.pasts TO oxbot_api, oxbot_operator, oxbot_projector;
