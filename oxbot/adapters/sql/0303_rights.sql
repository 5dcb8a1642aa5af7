-- Only the API and the operator see credentials.

ALTER SCHEMA accounts OWNER TO oxbot_owner;
ALTER TABLE accounts.credentials OWNER TO oxbot_owner;
GRANT USAGE ON SCHEMA accounts TO oxbot_api, oxbot_operator;
GRANT SELECT, INSERT, UPDATE, DELETE ON accounts.credentials TO oxbot_api, oxbot_operator;
