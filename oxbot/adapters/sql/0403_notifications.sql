-- What people are still to be told, and up to where the log was looked through for it; and the role of the one process
-- that does so.

DO $$
BEGIN
    BEGIN
        CREATE ROLE oxbot_notifier LOGIN;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    -- Whoever migrates must be able to act as any of the processes.
    IF NOT pg_has_role(current_user, 'oxbot_notifier', 'MEMBER') THEN
        EXECUTE format('GRANT oxbot_notifier TO %I', current_user);
    END IF;
    IF NOT pg_has_role('oxbot_notifier', 'oxbot_reader', 'MEMBER') THEN
        GRANT oxbot_reader TO oxbot_notifier;
    END IF;
END;
$$;

CREATE SCHEMA notifications;

-- A row stays after it was sent, so that the same event is never told as if it were new.
CREATE TABLE notifications.outbox (
    key text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL,
    at timestamptz NOT NULL,
    level text NOT NULL,
    line text NOT NULL,
    due_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    error text,
    sent_at timestamptz
);
CREATE INDEX outbox_due ON notifications.outbox (position) WHERE sent_at IS NULL;

CREATE TABLE notifications.progress (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    position bigint NOT NULL
);
INSERT INTO notifications.progress (position) SELECT coalesce(max(position), 0) FROM log.events;

ALTER SCHEMA notifications OWNER TO oxbot_owner;
ALTER TABLE notifications.outbox OWNER TO oxbot_owner;
ALTER TABLE notifications.progress OWNER TO oxbot_owner;
GRANT USAGE ON SCHEMA notifications TO oxbot_notifier, oxbot_api, oxbot_operator;
GRANT SELECT, INSERT, UPDATE, DELETE ON notifications.outbox TO oxbot_notifier;
GRANT SELECT, UPDATE ON notifications.progress TO oxbot_notifier;
GRANT SELECT ON notifications.outbox, notifications.progress TO oxbot_api, oxbot_operator;
