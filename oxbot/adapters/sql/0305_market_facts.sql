-- The market appends facts too, to its venue's stream: that candles are missing, have come again, or changed.

DO $$
BEGIN
    IF NOT pg_has_role('oxbot_market', 'oxbot_writer', 'MEMBER') THEN
        GRANT oxbot_writer TO oxbot_market;
    END IF;
END;
$$;
