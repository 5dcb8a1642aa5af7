-- Sessions, API tokens and what keeps strangers from guessing passwords, beside the log: what is secret is here as its
-- SHA-256 only, what is personal goes with the account. The log says which sessions and tokens are good.

-- How often an account's credential was changed, and which of the changes set its password: what the log is behind.
ALTER TABLE accounts.credentials
    ADD COLUMN disabled boolean NOT NULL DEFAULT false,
    ADD COLUMN generation bigint NOT NULL DEFAULT 0,
    ADD COLUMN password_generation bigint NOT NULL DEFAULT 0;

-- One row per session that can be refreshed: a family of refresh tokens. `generation` is that of the newest of them, made
-- at `rotated_at`. Once `reused_at` is set, a token came back that had long been exchanged, and none is good any more.
CREATE TABLE accounts.sessions (
    session_id text COLLATE "C" PRIMARY KEY CHECK (session_id <> ''),
    user_id text COLLATE "C" NOT NULL REFERENCES accounts.credentials ON DELETE CASCADE,
    device text NOT NULL CHECK (length(device) <= 120),
    begun_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    rotated_at timestamptz NOT NULL,
    generation bigint NOT NULL DEFAULT 0,
    siblings integer NOT NULL DEFAULT 1,
    reused_at timestamptz
);
CREATE INDEX sessions_by_user ON accounts.sessions (user_id);
CREATE INDEX sessions_by_expiry ON accounts.sessions (expires_at);

-- Every refresh token of a living session, so that one that comes back is known.
CREATE TABLE accounts.refresh_tokens (
    token_sha256 bytea PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
    session_id text COLLATE "C" NOT NULL REFERENCES accounts.sessions ON DELETE CASCADE,
    generation bigint NOT NULL
);
CREATE INDEX refresh_tokens_by_session ON accounts.refresh_tokens (session_id);

-- One row per API token; what it may be used for is in the log.
CREATE TABLE accounts.api_tokens (
    token_id text COLLATE "C" PRIMARY KEY CHECK (token_id <> ''),
    token_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
    user_id text COLLATE "C" NOT NULL REFERENCES accounts.credentials ON DELETE CASCADE,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    issued_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    last_used_at timestamptz
);
CREATE INDEX api_tokens_by_user ON accounts.api_tokens (user_id);

-- When the next attempt of a kind is due at its allowance's steady pace. A row whose time has come says nothing, and may
-- be deleted; all of them are lost when the server crashes, which costs nobody anything.
CREATE UNLOGGED TABLE accounts.allowances (
    key bytea PRIMARY KEY CHECK (octet_length(key) = 16),
    due timestamptz NOT NULL
);
CREATE INDEX allowances_by_due ON accounts.allowances (due);

-- From where somebody has signed in to an account, as a digest that is another for each account.
CREATE TABLE accounts.known_addresses (
    user_id text COLLATE "C" NOT NULL REFERENCES accounts.credentials ON DELETE CASCADE,
    address_sha256 bytea NOT NULL CHECK (octet_length(address_sha256) = 32),
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, address_sha256)
);

ALTER TABLE accounts.sessions OWNER TO oxbot_owner;
ALTER TABLE accounts.refresh_tokens OWNER TO oxbot_owner;
ALTER TABLE accounts.api_tokens OWNER TO oxbot_owner;
ALTER TABLE accounts.allowances OWNER TO oxbot_owner;
ALTER TABLE accounts.known_addresses OWNER TO oxbot_owner;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON accounts.sessions, accounts.refresh_tokens, accounts.api_tokens, accounts.allowances, accounts.known_addresses
    TO oxbot_api, oxbot_operator;
