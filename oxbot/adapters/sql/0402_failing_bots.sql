-- The bots that cannot live just now, as their supervisor last saw them. Not the truth about anything: any row may be
-- deleted at any time, and is written again when the bot fails again.

CREATE TABLE caches.failing_bots (
    bot_id text COLLATE "C" PRIMARY KEY,
    failing_since timestamptz NOT NULL DEFAULT clock_timestamp(),
    error text NOT NULL
);

ALTER TABLE caches.failing_bots OWNER TO oxbot_owner;
GRANT SELECT, INSERT, UPDATE, DELETE ON caches.failing_bots TO oxbot_host;
GRANT SELECT ON caches.failing_bots TO oxbot_api, oxbot_operator;
