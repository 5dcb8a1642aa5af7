-- The execution of an account folds the streams of its bots, and begins where a snapshot lets it.

GRANT USAGE ON SCHEMA caches TO oxbot_execution;
GRANT SELECT, INSERT, UPDATE, DELETE ON caches.snapshots TO oxbot_execution;
