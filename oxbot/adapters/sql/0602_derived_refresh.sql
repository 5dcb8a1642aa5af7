-- A refresh token has one follower, made of it by a key of the server's, so there are no siblings to be counted any more.
ALTER TABLE accounts.sessions DROP COLUMN siblings;

-- Of earlier siblings the last stays: whoever holds another signs in again.
DELETE FROM accounts.refresh_tokens t USING accounts.refresh_tokens newer
    WHERE newer.session_id = t.session_id AND newer.generation = t.generation AND newer.ctid > t.ctid;
DROP INDEX accounts.refresh_tokens_by_session;
CREATE UNIQUE INDEX refresh_tokens_by_session ON accounts.refresh_tokens (session_id, generation);
