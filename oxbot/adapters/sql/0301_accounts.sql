-- Credentials, beside the log: a password can be changed and its every trace destroyed, which no fact can be.

CREATE SCHEMA accounts;

-- One row per account. Names are stored in lower case, the form in which they are unique.
CREATE TABLE accounts.credentials (
    user_id text COLLATE "C" PRIMARY KEY CHECK (user_id <> ''),
    username text COLLATE "C" NOT NULL UNIQUE CHECK (username ~ '^[a-z0-9][a-z0-9._-]{0,31}$'),
    role text NOT NULL CHECK (role IN ('viewer', 'trader', 'admin')),
    password_hash text NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
    changed_at timestamptz NOT NULL
);
