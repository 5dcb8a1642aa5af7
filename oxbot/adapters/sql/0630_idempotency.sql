-- Requests that name themselves by a key: a repeat gets the first's answer, whichever process it comes to.

-- One row per user and key, for a day. ``status`` is null until the request is done; ``leased_until`` is until when it
-- is taken to be under way. ``body`` is null where the answer held a secret. The digest is of method, path and content.
CREATE TABLE accounts.idempotency_keys (
    user_id text COLLATE "C" NOT NULL CHECK (user_id <> ''),
    key text COLLATE "C" NOT NULL CHECK (length(key) BETWEEN 1 AND 128),
    digest bytea NOT NULL CHECK (length(digest) = 32),
    deed uuid NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    leased_until timestamptz NOT NULL,
    status integer,
    headers jsonb,
    body bytea,
    PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_keys_begun_at ON accounts.idempotency_keys (begun_at);

ALTER TABLE accounts.idempotency_keys OWNER TO oxbot_owner;
GRANT SELECT, INSERT, UPDATE, DELETE ON accounts.idempotency_keys TO oxbot_api, oxbot_operator;
