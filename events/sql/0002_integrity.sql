-- The log beyond 10^8 events and beyond doubt: partitions by position, a hash chain in each stream, roles that can do no
-- more than they must. What was recorded before this migration is chained by it.

-- Roles. They belong to the whole server, so another database of it may have made them already.
-- oxbot_owner owns everything and is nobody's login; oxbot_writer may call log.append and do nothing else; oxbot_reader
-- may select. The others are the logins of one kind of process each, and of the operator at the keyboard.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['oxbot_owner', 'oxbot_writer', 'oxbot_reader'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END LOOP;
    FOREACH name IN ARRAY ARRAY[
        'oxbot_host', 'oxbot_market', 'oxbot_projector', 'oxbot_api', 'oxbot_sealer', 'oxbot_archiver', 'oxbot_operator'
    ] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I LOGIN', name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END LOOP;
    -- Whoever migrates must be able to hand objects to the owner, and to act as any of the processes.
    FOREACH name IN ARRAY ARRAY[
        'oxbot_owner', 'oxbot_writer', 'oxbot_reader',
        'oxbot_host', 'oxbot_market', 'oxbot_projector', 'oxbot_api', 'oxbot_sealer', 'oxbot_archiver', 'oxbot_operator'
    ] LOOP
        IF NOT pg_has_role(current_user, name, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO %I', name, current_user);
        END IF;
    END LOOP;
    FOREACH name IN ARRAY ARRAY[
        'oxbot_host', 'oxbot_projector', 'oxbot_api', 'oxbot_sealer', 'oxbot_archiver', 'oxbot_operator'
    ] LOOP
        IF NOT pg_has_role(name, 'oxbot_writer', 'MEMBER') THEN
            EXECUTE format('GRANT oxbot_writer TO %I', name);
        END IF;
    END LOOP;
    FOREACH name IN ARRAY ARRAY[
        'oxbot_host', 'oxbot_market', 'oxbot_projector', 'oxbot_api', 'oxbot_sealer', 'oxbot_archiver', 'oxbot_operator'
    ] LOOP
        IF NOT pg_has_role(name, 'oxbot_reader', 'MEMBER') THEN
            EXECUTE format('GRANT oxbot_reader TO %I', name);
        END IF;
    END LOOP;
END;
$$;

-- Which log this is, for ever: the origin of its checkpoints. A restored copy is the same log.
CREATE TABLE log.identity (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    log_id uuid NOT NULL DEFAULT gen_random_uuid(),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO log.identity DEFAULT VALUES;

-- As in 0001, but by the outermost caller alone: the lines above it quote statements, and a statement may say anything.
CREATE OR REPLACE FUNCTION log.refuse_update_outside_append() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    call_stack text;
BEGIN
    GET DIAGNOSTICS call_stack = PG_CONTEXT;
    IF call_stack !~ '(^|\n)PL/pgSQL function log\.append\([][a-z ,]*\) line [0-9]+ at [A-Za-z ]+$' THEN
        RAISE EXCEPTION 'log.streams is only updated by log.append: UPDATE refused' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END;
$$;

-- A stream that has ended takes no more events; `last_hash` is the leaf hash of its newest event.
ALTER TABLE log.streams
    ADD COLUMN last_hash bytea,
    ADD COLUMN ended_at timestamptz,
    ADD CONSTRAINT streams_name_fits CHECK (octet_length(stream_id) <= 512);

-- Every event id ever taken, with the event's position. A table of its own, because a partitioned table can only keep
-- unique what contains its partition key; it outlives the archiving of old partitions.
CREATE TABLE log.event_ids (
    event_id uuid PRIMARY KEY,
    position bigint NOT NULL
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05);

-- How many positions a partition holds: 3 * 2^24. Fifty million rows of about 0.7 kB are 35 GB: indexes that stay
-- shallow, and a piece that can be archived in one evening; a multiple of 2^24, so that a partition ends where subtrees of
-- the Merkle tree do. Not to be changed in a log that holds events.
CREATE FUNCTION log.partition_size() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 50331648::bigint';

-- The partitions that exist, hot ones only.
CREATE TABLE log.partitions (
    first_position bigint PRIMARY KEY,
    last_position bigint NOT NULL CHECK (last_position >= first_position)
);

-- What has left the database for an archive. The positions below the last of them are read from there.
CREATE TABLE log.archives (
    first_position bigint PRIMARY KEY,
    last_position bigint NOT NULL CHECK (last_position >= first_position),
    manifest_sha256 text NOT NULL,
    archived_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The Merkle tree's inner nodes at heights 8, 16, 24 ...: number `index` of `level` is the root of the complete subtree
-- over 256^level leaves. A cache: the leaves alone decide.
CREATE TABLE log.subtrees (
    level smallint NOT NULL CHECK (level > 0),
    index bigint NOT NULL CHECK (index >= 0),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (level, index)
);

-- One step of a stream's chain. A link is the predecessor's leaf hash and one's own: the RFC 6962 leaf hash of an entry,
-- which begins with the predecessor's. The aggregate over a stream's events in order of version gives each event's link;
-- `head` is the stream's newest leaf hash before them.
CREATE FUNCTION log.link(before bytea, head bytea, rest bytea) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    prev_hash bytea := coalesce(substr(before, 33), head);
BEGIN
    RETURN prev_hash || sha256('\x00'::bytea || prev_hash || rest);
END;
$$;
CREATE AGGREGATE log.chain(head bytea, rest bytea) (SFUNC = log.link, STYPE = bytea);

-- The bytes of an event that its leaf hash covers after its predecessor's hash: the row in Postgres' binary form, which
-- gives each field its type and length (see events/entry.py). Texts are sent in the client's encoding, so it must be UTF8.
CREATE FUNCTION log.entry(
    "position" bigint, stream_id text, version bigint, event_id uuid, event_type text, schema_version smallint,
    occurred_at timestamptz, recorded_at timestamptz, payload bytea, metadata bytea
) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT record_send(ROW(
        "position", stream_id, version, event_id, event_type, schema_version, occurred_at, recorded_at, payload, metadata
    ))
$$;

-- The partitioned table takes the old one's place and rows.
ALTER TABLE log.events RENAME TO events_before;
ALTER TABLE log.events_before RENAME CONSTRAINT events_pkey TO events_before_pkey;
CREATE TABLE log.events (
    position bigint PRIMARY KEY CHECK (position > 0),
    stream_no bigint NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    event_id uuid NOT NULL,
    event_type text NOT NULL CHECK (event_type <> '' AND octet_length(event_type) <= 512),
    schema_version smallint NOT NULL CHECK (schema_version > 0),
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    prev_hash bytea NOT NULL,
    leaf_hash bytea NOT NULL,
    payload bytea NOT NULL,
    metadata bytea NOT NULL
) PARTITION BY RANGE (position);

-- Make partitions until one holds `position`. Statement triggers are not inherited, so each partition carries its own;
-- no role has any right on a partition itself.
CREATE FUNCTION log.add_partitions(up_to bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first bigint;
    last bigint;
    name text;
BEGIN
    LOOP
        SELECT coalesce(max(x.last_position), 0) + 1 INTO first
        FROM (SELECT last_position FROM log.partitions UNION ALL SELECT last_position FROM log.archives) AS x;
        EXIT WHEN first > up_to;
        last := first + log.partition_size() - 1;
        name := format('events_p%s', first);
        EXECUTE format('CREATE TABLE log.%I (LIKE log.events INCLUDING CONSTRAINTS)', name);
        EXECUTE format(
            'ALTER TABLE log.%I ADD PRIMARY KEY (position), ADD UNIQUE (stream_no, version),'
            ' ADD CONSTRAINT positions CHECK (position >= %s AND position <= %s),'
            ' SET (autovacuum_vacuum_insert_scale_factor = 0.05)', name, first, last);
        EXECUTE format(
            'CREATE TRIGGER events_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON log.%I'
            ' FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change()', name);
        EXECUTE format('ALTER TABLE log.%I ENABLE ALWAYS TRIGGER events_are_immutable', name);
        EXECUTE format(
            'ALTER TABLE log.events ATTACH PARTITION log.%I FOR VALUES FROM (%s) TO (%s)', name, first, last + 1);
        INSERT INTO log.partitions (first_position, last_position) VALUES (first, last);
    END LOOP;
END;
$$;

SELECT log.add_partitions(greatest(1, (SELECT max(position) FROM log.events_before) + log.partition_size() / 2));

INSERT INTO log.events (
    position, stream_no, version, event_id, event_type, schema_version, occurred_at, recorded_at,
    prev_hash, leaf_hash, payload, metadata
)
SELECT
    c.position, c.stream_no, c.version, c.event_id, c.event_type, c.schema_version, c.occurred_at, c.recorded_at,
    substr(c.link, 1, 32), substr(c.link, 33), c.payload, c.metadata
FROM (
    SELECT e.*, log.chain(
        decode(repeat('00', 32), 'hex'),
        log.entry(
            e.position, s.stream_id, e.version, e.event_id, e.event_type, e.schema_version,
            e.occurred_at, e.recorded_at, e.payload, e.metadata
        )
    ) OVER (PARTITION BY e.stream_no ORDER BY e.version ROWS UNBOUNDED PRECEDING) AS link
    FROM log.events_before AS e
    JOIN log.streams AS s USING (stream_no)
) AS c
ORDER BY c.position;

INSERT INTO log.event_ids (event_id, position)
SELECT event_id, position FROM log.events_before ORDER BY position;

ALTER TABLE log.streams DISABLE TRIGGER streams_follow_events;
UPDATE log.streams AS s SET last_hash = e.leaf_hash
FROM log.events AS e WHERE e.stream_no = s.stream_no AND e.version = s.version;
ALTER TABLE log.streams ENABLE ALWAYS TRIGGER streams_follow_events;
ALTER TABLE log.streams ALTER COLUMN last_hash SET NOT NULL;
DROP TABLE log.events_before;

CREATE TRIGGER events_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON log.events
    FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change();
CREATE TRIGGER event_ids_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON log.event_ids
    FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change();
CREATE TRIGGER identity_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON log.identity
    FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change();
CREATE TRIGGER archives_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON log.archives
    FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change();
ALTER TABLE log.events ENABLE ALWAYS TRIGGER events_are_immutable;
ALTER TABLE log.event_ids ENABLE ALWAYS TRIGGER event_ids_are_immutable;
ALTER TABLE log.identity ENABLE ALWAYS TRIGGER identity_is_immutable;
ALTER TABLE log.archives ENABLE ALWAYS TRIGGER archives_are_immutable;

-- The first position that the database still holds; what is below is in an archive.
CREATE FUNCTION log.floor() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce(max(last_position), 0) + 1 FROM log.archives
$$;

-- Let the oldest partition go, once it is full and archived: the only way that events leave the database.
CREATE FUNCTION log.drop_archived(first bigint, last bigint, manifest_sha256 text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text := format('events_p%s', first);
BEGIN
    PERFORM pg_advisory_xact_lock(6039475301852);
    IF first <> log.floor() OR NOT EXISTS (
        SELECT FROM log.partitions AS p WHERE p.first_position = first AND p.last_position = last
    ) THEN
        RAISE EXCEPTION 'positions % to % are not the oldest partition', first, last USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT EXISTS (SELECT FROM log.events AS e WHERE e.position = last + 1) THEN
        RAISE EXCEPTION 'positions % to % are not yet full and followed', first, last
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE format('ALTER TABLE log.events DETACH PARTITION log.%I', name);
    EXECUTE format('DROP TABLE log.%I', name);
    DELETE FROM log.partitions AS p WHERE p.first_position = first;
    INSERT INTO log.archives (first_position, last_position, manifest_sha256) VALUES (first, last, manifest_sha256);
END;
$$;

-- The positions at and beyond which an append must find the next partition made: twice in each.
CREATE FUNCTION log.half_partitions("position" bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT ("position" * 2) / log.partition_size()
$$;

-- Append many commands in one round trip; one row back per command, in order.
--
-- A command is a stream, an expected version (n exact, 0 no stream, -1 any, -2 a stream that exists) and a count of
-- events; the event arrays hold the events of all commands in order, `commands` naming each one's command, counted from
-- 1. A stream may come once. A 'stream.ended' that is a command's last event ends the stream.
--
-- Outcomes: 'ok' (version and position of the last event), 'conflict' (the stream's actual version), 'duplicate' (all its
-- events are in the log already: their version and position), 'id_reused' (an event id is taken by another event, or by
-- one that is archived and cannot be compared), 'ended' (the stream takes no more events).
CREATE OR REPLACE FUNCTION log.append(
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
    head bigint;
    recorded timestamptz;
    known_commands integer[];
    known_same boolean[];
    known_versions bigint[];
    known_positions bigint[];
    known_ids uuid[];
    stream_numbers bigint[];
    version_shifts bigint[];
    position_shifts bigint[];
    ends bigint[];
    heads bytea[];
    outcomes text[];
    versions bigint[];
    positions bigint[];
    reused_ids uuid[];
    event_names text[];
    event_heads bytea[];
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'log.append needs READ COMMITTED, not %', upper(current_setting('transaction_isolation'))
            USING ERRCODE = 'invalid_transaction_state';
    END IF;

    -- Whoever has written in this transaction may not commit for long, and until then nobody else could append.
    IF pg_current_xact_id_if_assigned() IS NOT NULL THEN
        RAISE EXCEPTION 'log.append needs a transaction in which nothing else was written'
            USING ERRCODE = 'invalid_transaction_state';
    END IF;

    IF pg_client_encoding() <> 'UTF8' THEN
        RAISE EXCEPTION 'log.append needs the client encoding UTF8, not %', pg_client_encoding()
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    -- Held until the transaction ends, so positions are given in the order of commits and none is given twice. It must be
    -- a statement of its own: the next one then sees everything that earlier holders committed.
    PERFORM pg_advisory_xact_lock(6039475301852);
    SELECT e.position INTO base FROM log.events AS e ORDER BY e.position DESC LIMIT 1;
    IF base IS NULL THEN
        base := log.floor() - 1;
    END IF;
    recorded := clock_timestamp();

    -- Ids that the log already holds are rare: only then is their content looked at.
    IF EXISTS (SELECT FROM unnest(event_ids) AS g (event_id) JOIN log.event_ids AS i ON i.event_id = g.event_id) THEN
        SELECT array_agg(k.command), array_agg(k.same), array_agg(k.version), array_agg(k.position), array_agg(k.event_id)
        INTO known_commands, known_same, known_versions, known_positions, known_ids
        FROM (
            SELECT
                g.command,
                count(e.position) = counts[g.command]
                AND bool_and(
                    s.stream_id = streams[g.command] AND e.event_type = g.event_type AND e.payload = g.payload
                )
                AND max(e.version - g.n) = min(e.version - g.n) AS same,
                max(e.version) AS version,
                max(e.position) AS position,
                (array_agg(g.event_id ORDER BY g.n))[1] AS event_id
            FROM unnest(commands, event_ids, event_types, payloads)
                WITH ORDINALITY AS g (command, event_id, event_type, payload, n)
            JOIN log.event_ids AS i ON i.event_id = g.event_id
            LEFT JOIN log.events AS e ON e.position = i.position
            LEFT JOIN log.streams AS s ON s.stream_no = e.stream_no
            GROUP BY g.command
        ) AS k;
    END IF;

    WITH known AS (
        SELECT * FROM unnest(known_commands, known_same, known_versions, known_positions, known_ids)
            AS k (command, same, version, position, event_id)
    ),
    verdict AS (
        SELECT
            c.n,
            c.count,
            s.stream_no,
            s.last_hash,
            coalesce(s.version, 0) AS version,
            k.version AS known_version,
            k.position AS known_position,
            k.event_id AS known_id,
            CASE
                WHEN k.same THEN 'duplicate'
                WHEN k.command IS NOT NULL THEN 'id_reused'
                WHEN s.ended_at IS NOT NULL THEN 'ended'
                WHEN c.expected IN (-1, coalesce(s.version, 0)) THEN 'ok'
                WHEN c.expected = -2 AND s.stream_no IS NOT NULL THEN 'ok'
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
        array_agg(coalesce(p.last_hash, decode(repeat('00', 32), 'hex')) ORDER BY p.n),
        array_agg(CASE WHEN p.accepted THEN p.version + p.count ELSE coalesce(p.known_version, p.version) END ORDER BY p.n),
        array_agg(CASE WHEN p.accepted THEN p.position ELSE coalesce(p.known_position, 0) END ORDER BY p.n),
        array_agg(CASE WHEN p.accepted THEN p.version + p.count - p.events_through END ORDER BY p.n),
        array_agg(CASE WHEN p.accepted THEN p.position - p.events_through END ORDER BY p.n),
        array_agg(p.events_through ORDER BY p.n),
        array_agg(CASE WHEN p.outcome = 'id_reused' THEN p.known_id END ORDER BY p.n),
        max(p.position)
    INTO
        outcomes, stream_numbers, heads, versions, positions, version_shifts, position_shifts, ends, reused_ids,
        head
    FROM placed AS p;

    IF log.half_partitions(base) <> log.half_partitions(head) THEN
        PERFORM log.add_partitions(head + log.partition_size() / 2);
    END IF;

    IF array_position(stream_numbers, NULL) IS NOT NULL THEN
        INSERT INTO log.streams (stream_id, version, last_position, last_hash)
        SELECT a.stream_id, a.version, a.position, a.head
        FROM unnest(streams, stream_numbers, outcomes, versions, positions, heads)
            WITH ORDINALITY AS a (stream_id, stream_no, outcome, version, position, head, n)
        WHERE a.stream_no IS NULL AND a.outcome = 'ok'
        ORDER BY a.n;

        SELECT array_agg(s.stream_no ORDER BY c.n) INTO stream_numbers
        FROM unnest(streams) WITH ORDINALITY AS c (stream_id, n)
        LEFT JOIN log.streams AS s ON s.stream_id = c.stream_id;
    END IF;

    -- What each event needs of its command, but for fixed-width values: an array of texts is slow to index.
    IF cardinality(commands) = cardinality(streams) THEN
        event_names := streams;
        event_heads := heads;
    ELSE
        SELECT array_agg(a.stream_id ORDER BY a.n), array_agg(a.head ORDER BY a.n) INTO event_names, event_heads
        FROM unnest(streams, heads, counts) WITH ORDINALITY AS a (stream_id, head, count, n)
        CROSS JOIN LATERAL generate_series(1, a.count);
    END IF;

    WITH given AS (
        SELECT g.*, position_shifts[g.command] + g.n AS position, version_shifts[g.command] + g.n AS version
        FROM unnest(
            commands, event_names, event_heads, event_ids, event_types, schema_versions, occurred, payloads, metadatas
        ) WITH ORDINALITY AS g (
            command, stream_id, head, event_id, event_type, schema_version, occurred_at, payload, metadata, n
        )
        WHERE position_shifts[g.command] IS NOT NULL
    ),
    linked AS MATERIALIZED (
        SELECT g.*, stream_numbers[g.command] AS stream_no, log.chain(
            g.head,
            log.entry(
                g.position, g.stream_id, g.version, g.event_id, g.event_type, g.schema_version,
                g.occurred_at, recorded, g.payload, g.metadata
            )
        ) OVER (PARTITION BY g.command ORDER BY g.n ROWS UNBOUNDED PRECEDING) AS link
        FROM given AS g
    ),
    stored AS (
        INSERT INTO log.events (
            position, stream_no, version, event_id, event_type, schema_version, occurred_at, recorded_at,
            prev_hash, leaf_hash, payload, metadata
        )
        SELECT
            l.position, l.stream_no, l.version, l.event_id, l.event_type, l.schema_version, l.occurred_at, recorded,
            substr(l.link, 1, 32), substr(l.link, 33), l.payload, l.metadata
        FROM linked AS l
    ),
    identified AS (
        INSERT INTO log.event_ids (event_id, position) SELECT l.event_id, l.position FROM linked AS l
    )
    UPDATE log.streams AS s
    SET version = l.version, last_position = l.position, last_hash = substr(l.link, 33),
        ended_at = CASE WHEN l.event_type = 'stream.ended' THEN recorded END
    FROM linked AS l
    WHERE l.n = ends[l.command] AND s.stream_no = l.stream_no;

    RETURN QUERY
    SELECT r.outcome, r.at_version, r.at_position, r.reused_id
    FROM unnest(outcomes, versions, positions, reused_ids)
        WITH ORDINALITY AS r (outcome, at_version, at_position, reused_id, n)
    ORDER BY r.n;
END;
$$;

-- Rights. Only the owner's functions write; the old statement trigger on streams still names log.append.
ALTER SCHEMA log OWNER TO oxbot_owner;
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT format('TABLE log.%I', c.relname) FROM pg_class AS c
        WHERE c.relnamespace = 'log'::regnamespace AND c.relkind IN ('r', 'p')
        UNION ALL
        SELECT format('%s %s', CASE p.prokind WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END, p.oid::regprocedure)
        FROM pg_proc AS p WHERE p.pronamespace = 'log'::regnamespace
    LOOP
        EXECUTE format('ALTER %s OWNER TO oxbot_owner', name);
    END LOOP;
    FOR name IN SELECT p.oid::regprocedure::text FROM pg_proc AS p WHERE p.pronamespace = 'log'::regnamespace LOOP
        EXECUTE format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', name);
    END LOOP;
END;
$$;
REVOKE ALL ON SCHEMA log FROM PUBLIC;
GRANT USAGE ON SCHEMA log TO oxbot_writer, oxbot_reader;
GRANT EXECUTE ON FUNCTION log.append(
    text[], bigint[], integer[], integer[], uuid[], text[], smallint[], timestamptz[], bytea[], bytea[]
) TO oxbot_writer;
GRANT EXECUTE ON FUNCTION log.floor() TO oxbot_reader;
GRANT SELECT ON log.streams, log.events, log.event_ids, log.identity, log.partitions, log.archives, log.subtrees
    TO oxbot_reader;
GRANT INSERT ON log.subtrees TO oxbot_sealer;
GRANT EXECUTE ON FUNCTION log.drop_archived(bigint, bigint, text) TO oxbot_archiver;
GRANT SELECT ON oxbot_migrations TO oxbot_reader;

-- Third lock, where the server lets us: nobody but a superuser, not even the owner, changes or drops what is in the log's
-- schema, but for the functions that make partitions and let them go.
-- It stays out of the log's schema and out of the owner's hands: dropping the schema would else drop its guard first.
CREATE SCHEMA log_guard;
CREATE FUNCTION log_guard.refuse_ddl() RETURNS event_trigger
LANGUAGE plpgsql AS $$
DECLARE
    call_stack text;
    concerned boolean;
BEGIN
    GET DIAGNOSTICS call_stack = PG_CONTEXT;
    -- The last line is the outermost caller. Only it is to be believed: the lines before it quote statements, and a
    -- statement may say anything.
    IF (SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = current_user) OR call_stack ~
        '(^|\n)PL/pgSQL function log\.(append|add_partitions|drop_archived)\([][a-z ,]*\) line [0-9]+ at [A-Za-z ]+$' THEN
        RETURN;
    END IF;
    IF TG_EVENT = 'sql_drop' THEN
        SELECT bool_or(d.schema_name = 'log' OR d.object_identity = 'log') INTO concerned
        FROM pg_event_trigger_dropped_objects() AS d;
    ELSE
        -- Triggers, rules and policies are in no schema, but on a table; a grant names no object at all.
        SELECT bool_or(
            d.schema_name = 'log' OR d.object_identity = 'log' OR d.object_identity LIKE '% on log.%'
            OR (d.command_tag IN ('GRANT', 'REVOKE') AND pg_has_role('oxbot_owner', 'USAGE'))
        ) INTO concerned
        FROM pg_event_trigger_ddl_commands() AS d;
    END IF;
    IF concerned THEN
        RAISE EXCEPTION 'the log is append-only: % refused', TG_TAG USING ERRCODE = 'restrict_violation';
    END IF;
END;
$$;
DO $$
BEGIN
    IF (SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = current_user) THEN
        CREATE EVENT TRIGGER oxbot_log_changed ON ddl_command_end EXECUTE FUNCTION log_guard.refuse_ddl();
        CREATE EVENT TRIGGER oxbot_log_dropped ON sql_drop EXECUTE FUNCTION log_guard.refuse_ddl();
    END IF;
END;
$$;
