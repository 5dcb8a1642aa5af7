-- The append-only log: streams of events with one global position, and the only function that may write them.

CREATE SCHEMA log;

-- One row per stream. `version` is not indexed and the page is not filled, so that an append updates it in place.
CREATE TABLE log.streams (
    stream_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream_id text NOT NULL UNIQUE CHECK (stream_id <> ''),
    version bigint NOT NULL CHECK (version > 0),
    last_position bigint NOT NULL CHECK (last_position > 0),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 70);

-- One row per event. Positions count from 1 without gaps in commit order; versions count from 1 without gaps in a stream.
-- No foreign key to streams: log.append is the only writer, and the check cost a third of an append of a hundred events.
CREATE TABLE log.events (
    position bigint PRIMARY KEY CHECK (position > 0),
    stream_no bigint NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    event_id uuid NOT NULL UNIQUE,
    event_type text NOT NULL CHECK (event_type <> ''),
    schema_version smallint NOT NULL CHECK (schema_version > 0),
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    payload bytea NOT NULL,
    metadata bytea NOT NULL,
    UNIQUE (stream_no, version)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05);

-- Statement triggers: what was recorded stays as it is, whoever asks.
CREATE FUNCTION log.refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'log.% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END;
$$;

-- A stream's row moves on with its events, so only log.append may update it.
CREATE FUNCTION log.refuse_update_outside_append() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    call_stack text;
BEGIN
    GET DIAGNOSTICS call_stack = PG_CONTEXT;
    IF call_stack NOT LIKE '%log.append(text[]%' THEN
        RAISE EXCEPTION 'log.streams is only updated by log.append: UPDATE refused' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END;
$$;

CREATE TRIGGER events_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON log.events
    FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change();
CREATE TRIGGER streams_are_kept BEFORE DELETE OR TRUNCATE ON log.streams
    FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change();
CREATE TRIGGER streams_follow_events BEFORE UPDATE ON log.streams
    FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_update_outside_append();
ALTER TABLE log.events ENABLE ALWAYS TRIGGER events_are_immutable;
ALTER TABLE log.streams ENABLE ALWAYS TRIGGER streams_are_kept;
ALTER TABLE log.streams ENABLE ALWAYS TRIGGER streams_follow_events;

-- Append many commands in one round trip; one row back per command, in order.
--
-- A command is a stream, an expected version (n exact, 0 no stream, -1 any) and a count of events; the event arrays hold
-- the events of all commands in order, `commands` naming each one's command, counted from 1. A stream may come once.
--
-- Outcomes: 'ok' (version and position of the last event), 'conflict' (the stream's actual version), 'duplicate' (all its
-- events are in the log already: their version and position), 'id_reused' (an event id is taken by another event).
CREATE FUNCTION log.append(
    streams text[], expected bigint[], counts integer[],
    commands integer[], event_ids uuid[], event_types text[], schema_versions smallint[],
    occurred timestamptz[], payloads bytea[], metadatas bytea[]
) RETURNS TABLE (outcome text, at_version bigint, at_position bigint, reused_id uuid)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- Every look-up is by index and the same for a log of any size, so one plan made on an empty log stays right.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    base bigint;
    recorded timestamptz;
    stream_numbers bigint[];
    version_shifts bigint[];
    position_shifts bigint[];
    outcomes text[];
    versions bigint[];
    positions bigint[];
    reused_ids uuid[];
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'log.append needs READ COMMITTED, not %', upper(current_setting('transaction_isolation'))
            USING ERRCODE = 'invalid_transaction_state';
    END IF;

    -- Held until the transaction ends, so positions are given in the order of commits and none is given twice. It must be
    -- a statement of its own: the next one then sees everything that earlier holders committed.
    PERFORM pg_advisory_xact_lock(6039475301852);
    SELECT coalesce(max(e.position), 0) INTO base FROM log.events AS e;
    recorded := clock_timestamp();

    WITH known AS (
        SELECT
            given.command,
            count(*) AS total,
            bool_and(
                s.stream_id = streams[given.command]
                AND e.event_type = given.event_type
                AND e.payload = given.payload
            ) AND max(e.version - given.n) = min(e.version - given.n) AS same,
            max(e.version) AS version,
            max(e.position) AS position,
            (array_agg(given.event_id ORDER BY given.n))[1] AS event_id
        FROM unnest(commands, event_ids, event_types, payloads)
            WITH ORDINALITY AS given (command, event_id, event_type, payload, n)
        JOIN log.events AS e ON e.event_id = given.event_id
        JOIN log.streams AS s ON s.stream_no = e.stream_no
        GROUP BY given.command
    ),
    verdict AS (
        SELECT
            c.n,
            c.count,
            s.stream_no,
            coalesce(s.version, 0) AS version,
            k.version AS known_version,
            k.position AS known_position,
            k.event_id AS known_id,
            CASE
                WHEN k.command IS NOT NULL AND k.same AND k.total = c.count THEN 'duplicate'
                WHEN k.command IS NOT NULL THEN 'id_reused'
                WHEN c.expected IN (-1, coalesce(s.version, 0)) THEN 'ok'
                ELSE 'conflict'
            END AS outcome
        FROM unnest(streams, expected, counts) WITH ORDINALITY AS c (stream_id, expected, count, n)
        LEFT JOIN log.streams AS s ON s.stream_id = c.stream_id
        LEFT JOIN known AS k ON k.command = c.n
    ),
    placed AS (
        SELECT
            v.*,
            v.outcome = 'ok' AS accepted,
            base + sum(CASE WHEN v.outcome = 'ok' THEN v.count ELSE 0 END) OVER (ORDER BY v.n) AS position,
            sum(v.count) OVER (ORDER BY v.n) AS events_through
        FROM verdict AS v
    )
    SELECT
        array_agg(p.outcome ORDER BY p.n),
        array_agg(p.stream_no ORDER BY p.n),
        array_agg(CASE WHEN p.accepted THEN p.version + p.count ELSE coalesce(p.known_version, p.version) END ORDER BY p.n),
        array_agg(CASE WHEN p.accepted THEN p.position ELSE coalesce(p.known_position, 0) END ORDER BY p.n),
        array_agg(CASE WHEN p.accepted THEN p.version + p.count - p.events_through END ORDER BY p.n),
        array_agg(CASE WHEN p.accepted THEN p.position - p.events_through END ORDER BY p.n),
        array_agg(CASE WHEN p.outcome = 'id_reused' THEN p.known_id END ORDER BY p.n)
    INTO outcomes, stream_numbers, versions, positions, version_shifts, position_shifts, reused_ids
    FROM placed AS p;

    UPDATE log.streams AS s
    SET version = a.version, last_position = a.position
    FROM unnest(stream_numbers, outcomes, versions, positions) AS a (stream_no, outcome, version, position)
    WHERE s.stream_no = a.stream_no AND a.outcome = 'ok';

    IF array_position(stream_numbers, NULL) IS NOT NULL THEN
        INSERT INTO log.streams (stream_id, version, last_position)
        SELECT a.stream_id, a.version, a.position
        FROM unnest(streams, stream_numbers, outcomes, versions, positions)
            WITH ORDINALITY AS a (stream_id, stream_no, outcome, version, position, n)
        WHERE a.stream_no IS NULL AND a.outcome = 'ok'
        ORDER BY a.n;

        SELECT array_agg(s.stream_no ORDER BY c.n) INTO stream_numbers
        FROM unnest(streams) WITH ORDINALITY AS c (stream_id, n)
        LEFT JOIN log.streams AS s ON s.stream_id = c.stream_id;
    END IF;

    INSERT INTO log.events (
        position, stream_no, version, event_id, event_type, schema_version, occurred_at, recorded_at, payload, metadata
    )
    SELECT
        position_shifts[given.command] + given.n, stream_numbers[given.command], version_shifts[given.command] + given.n,
        given.event_id, given.event_type, given.schema_version, given.occurred_at, recorded, given.payload, given.metadata
    FROM unnest(commands, event_ids, event_types, schema_versions, occurred, payloads, metadatas)
        WITH ORDINALITY AS given (
            command, event_id, event_type, schema_version, occurred_at, payload, metadata, n
        )
    WHERE position_shifts[given.command] IS NOT NULL
    ORDER BY given.n;

    RETURN QUERY
    SELECT r.outcome, r.at_version, r.at_position, r.reused_id
    FROM unnest(outcomes, versions, positions, reused_ids)
        WITH ORDINALITY AS r (outcome, at_version, at_position, reused_id, n)
    ORDER BY r.n;
END;
$$;

REVOKE ALL ON FUNCTION log.append(
    text[], bigint[], integer[], integer[], uuid[], text[], smallint[], timestamptz[], bytea[], bytea[]
) FROM PUBLIC;
