-- The append-only store of closed candles, beside the log: what a decision saw stays readable for ever.

CREATE SCHEMA market;

-- One row per venue, symbol and timeframe.
CREATE TABLE market.series (
    series_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    venue text NOT NULL CHECK (venue <> ''),
    symbol text NOT NULL CHECK (symbol <> ''),
    timeframe text NOT NULL CHECK (timeframe <> ''),
    UNIQUE (venue, symbol, timeframe)
);

-- One row per candle; a correction is a higher revision of the same open time, and readers see the highest.
-- No foreign key: series are never deleted, and checking one per row costs a third of the import's speed.
-- NaN sorts above Infinity, so that "below Infinity" refuses both.
CREATE TABLE market.candles (
    series_no bigint NOT NULL,
    open_time timestamptz NOT NULL,
    revision smallint NOT NULL DEFAULT 0 CHECK (revision >= 0),
    open numeric NOT NULL,
    high numeric NOT NULL,
    low numeric NOT NULL,
    close numeric NOT NULL,
    volume numeric NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (series_no, open_time, revision),
    CONSTRAINT candle_is_possible CHECK (
        low > 0 AND low <= least(open, close) AND high >= greatest(open, close) AND high < 'Infinity'
        AND volume >= 0 AND volume < 'Infinity'
    )
);

-- Statement triggers: what was stored stays as it is, whoever asks.
CREATE FUNCTION market.refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'market.% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END;
$$;

CREATE TRIGGER series_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON market.series
    FOR EACH STATEMENT EXECUTE FUNCTION market.refuse_change();
CREATE TRIGGER candles_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON market.candles
    FOR EACH STATEMENT EXECUTE FUNCTION market.refuse_change();
ALTER TABLE market.series ENABLE ALWAYS TRIGGER series_are_immutable;
ALTER TABLE market.candles ENABLE ALWAYS TRIGGER candles_are_immutable;
