-- Every process reads candles; the market and the operator add them.

ALTER SCHEMA market OWNER TO oxbot_owner;
ALTER TABLE market.series OWNER TO oxbot_owner;
ALTER TABLE market.candles OWNER TO oxbot_owner;
ALTER FUNCTION market.refuse_change() OWNER TO oxbot_owner;
GRANT USAGE ON SCHEMA market TO oxbot_reader;
GRANT SELECT ON market.series, market.candles TO oxbot_reader;
GRANT INSERT ON market.series, market.candles TO oxbot_market, oxbot_operator;
