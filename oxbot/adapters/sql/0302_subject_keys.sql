-- The keys to what the log holds about people, outside the log so that they can be destroyed.

CREATE SCHEMA privacy;

-- One row per person. A key is stored only wrapped, under a key that is never in the database. A destroyed one leaves its
-- row, so that the person never gets another. The row is vacuumed soon after, so that no dead version of it stays.
CREATE TABLE privacy.subject_keys (
    subject text COLLATE "C" PRIMARY KEY CHECK (subject <> ''),
    key_id text,
    wrapped_key bytea,
    wrapped_by text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    destroyed_at timestamptz,
    CONSTRAINT key_or_destroyed CHECK (
        (destroyed_at IS NULL AND key_id IS NOT NULL AND wrapped_key IS NOT NULL AND wrapped_by IS NOT NULL)
        OR (destroyed_at IS NOT NULL AND wrapped_key IS NULL)
    )
) WITH (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0);

-- Up to which position every erasure that the log records is known to be carried out.
CREATE TABLE privacy.erased_through (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    "position" bigint NOT NULL CHECK ("position" >= 0)
);
INSERT INTO privacy.erased_through ("position") VALUES (0);

-- What is destroyed must not come back: not by an update, and a row is never deleted.
CREATE FUNCTION privacy.refuse_return() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'privacy.subject_keys keeps what was destroyed: % refused', TG_OP
        USING ERRCODE = 'restrict_violation';
END;
$$;
CREATE TRIGGER destroyed_keys_stay_destroyed BEFORE UPDATE ON privacy.subject_keys
    FOR EACH ROW WHEN (OLD.destroyed_at IS NOT NULL) EXECUTE FUNCTION privacy.refuse_return();
CREATE TRIGGER rows_stay BEFORE DELETE OR TRUNCATE ON privacy.subject_keys
    FOR EACH STATEMENT EXECUTE FUNCTION privacy.refuse_return();

-- Only the API and the operator know people; the other processes have no business here.
ALTER SCHEMA privacy OWNER TO oxbot_owner;
ALTER TABLE privacy.subject_keys OWNER TO oxbot_owner;
ALTER TABLE privacy.erased_through OWNER TO oxbot_owner;
ALTER FUNCTION privacy.refuse_return() OWNER TO oxbot_owner;
REVOKE ALL ON FUNCTION privacy.refuse_return() FROM PUBLIC;
GRANT USAGE ON SCHEMA privacy TO oxbot_api, oxbot_operator;
GRANT SELECT, INSERT, UPDATE ON privacy.subject_keys TO oxbot_api, oxbot_operator;
GRANT SELECT, UPDATE ON privacy.erased_through TO oxbot_api, oxbot_operator;
