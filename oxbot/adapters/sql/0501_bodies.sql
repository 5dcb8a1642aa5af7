-- Bodies beside the log: prompts, the models' answers and the texts of news, which facts name by their SHA-256; and the
-- role of the one process that calls models.

DO $$
BEGIN
    BEGIN
        CREATE ROLE oxbot_models LOGIN;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    -- Whoever migrates must be able to act as any of the processes.
    IF NOT pg_has_role(current_user, 'oxbot_models', 'MEMBER') THEN
        EXECUTE format('GRANT oxbot_models TO %I', current_user);
    END IF;
    IF NOT pg_has_role('oxbot_models', 'oxbot_writer', 'MEMBER') THEN
        GRANT oxbot_writer TO oxbot_models;
    END IF;
    IF NOT pg_has_role('oxbot_models', 'oxbot_reader', 'MEMBER') THEN
        GRANT oxbot_reader TO oxbot_models;
    END IF;
END;
$$;

-- A row per content. The database computes the hash again, so that nobody can keep one text under another's hash, and
-- compresses what is long. A copy of the database is a copy of these.
CREATE TABLE log.bodies (
    sha256 bytea PRIMARY KEY,
    body bytea NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT body_is_its_hash CHECK (sha256 = pg_catalog.sha256(body)),
    CONSTRAINT body_is_not_too_long CHECK (octet_length(body) <= 4194304)
);

CREATE TRIGGER bodies_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON log.bodies
    FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change();
ALTER TABLE log.bodies ENABLE ALWAYS TRIGGER bodies_are_immutable;

-- Whoever may read the log may read what its facts stand for; only the models' process, and who imports news, adds.
ALTER TABLE log.bodies OWNER TO oxbot_owner;
GRANT SELECT ON log.bodies TO oxbot_reader;
GRANT INSERT ON log.bodies TO oxbot_models, oxbot_operator;

-- The models' process folds the streams of the bots that ask, and begins where a snapshot lets it.
GRANT USAGE ON SCHEMA caches TO oxbot_models;
GRANT SELECT, INSERT, UPDATE, DELETE ON caches.snapshots TO oxbot_models;
