-- The keys to accounts at venues, encrypted under a key that is never in the database; and the role of the one process
-- that may read them.

-- Roles belong to the whole server, so another database of it may have made this one already.
DO $$
BEGIN
    BEGIN
        CREATE ROLE oxbot_execution LOGIN;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    -- Whoever migrates must be able to act as any of the processes.
    IF NOT pg_has_role(current_user, 'oxbot_execution', 'MEMBER') THEN
        EXECUTE format('GRANT oxbot_execution TO %I', current_user);
    END IF;
    IF NOT pg_has_role('oxbot_execution', 'oxbot_writer', 'MEMBER') THEN
        GRANT oxbot_writer TO oxbot_execution;
    END IF;
    IF NOT pg_has_role('oxbot_execution', 'oxbot_reader', 'MEMBER') THEN
        GRANT oxbot_reader TO oxbot_execution;
    END IF;
END;
$$;

CREATE SCHEMA venue_accounts;

-- One row per account. The fingerprint is of the API key, so that people can tell which one it is; sealed_by is of the
-- key it is encrypted under. Replaced and removed rows are vacuumed soon, so that no dead version of them stays.
CREATE TABLE venue_accounts.credentials (
    account text COLLATE "C" PRIMARY KEY CHECK (account <> ''),
    venue text COLLATE "C" NOT NULL CHECK (venue <> ''),
    fingerprint text NOT NULL CHECK (fingerprint ~ '^[0-9a-f]{8}$'),
    sealed bytea NOT NULL CHECK (length(sealed) > 28),
    sealed_by text NOT NULL CHECK (sealed_by ~ '^[0-9a-f]{12}$'),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0);

-- The API and the operator set and remove what only the execution can read.
ALTER SCHEMA venue_accounts OWNER TO oxbot_owner;
ALTER TABLE venue_accounts.credentials OWNER TO oxbot_owner;
GRANT USAGE ON SCHEMA venue_accounts TO oxbot_execution, oxbot_api, oxbot_operator;
GRANT SELECT ON venue_accounts.credentials TO oxbot_execution;
GRANT UPDATE (venue, fingerprint, sealed, sealed_by, changed_at) ON venue_accounts.credentials TO oxbot_execution;
GRANT SELECT (account, venue, fingerprint, sealed_by, changed_at) ON venue_accounts.credentials
    TO oxbot_api, oxbot_operator;
GRANT INSERT, UPDATE, DELETE ON venue_accounts.credentials TO oxbot_api, oxbot_operator;
