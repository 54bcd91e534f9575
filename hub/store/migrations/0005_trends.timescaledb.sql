-- What each packed segment says of each heart rate, for trends over hours and weeks; docs/store.md.
CREATE TABLE rate_summary (
    site        text COLLATE "C" NOT NULL,
    bed         text COLLATE "C" NOT NULL,
    channel     text COLLATE "C" NOT NULL,
    start_ms    bigint NOT NULL,
    recorded_ms bigint NOT NULL,
    ticks       integer NOT NULL,
    valid_ticks integer NOT NULL,
    sum_bpm     double precision NOT NULL
);
COMMENT ON COLUMN rate_summary.sum_bpm IS 'Sum over the valid ticks';
CREATE INDEX rate_summary_by_bed ON rate_summary (site, bed, start_ms);

SELECT create_hypertable('rate_summary', by_range('start_ms', 604800000::bigint));
SELECT set_integer_now_func('rate_summary', 'now_ms');

-- Compression and continuous aggregates are not in the builds under the Apache licence alone.
DO $$
BEGIN
    IF has_timescale_licence() THEN
        ALTER TABLE rate_summary SET (timescaledb.compress,
            timescaledb.compress_segmentby = 'site, bed, channel', timescaledb.compress_orderby = 'start_ms');
        PERFORM add_compression_policy('rate_summary', 1209600000::bigint);
        -- What the aggregate has not taken up yet is added at each query.
        CREATE MATERIALIZED VIEW rate_hour
        WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
            SELECT site, bed, channel, time_bucket(3600000::bigint, start_ms) AS hour_ms,
                   sum(recorded_ms) AS recorded_ms, sum(ticks) AS ticks, sum(valid_ticks) AS valid_ticks,
                   sum(sum_bpm) AS sum_bpm
            FROM rate_summary GROUP BY site, bed, channel, time_bucket(3600000::bigint, start_ms)
        WITH NO DATA;
        -- Backfill may be months late; without a beginning, a site whose clock is decades off would be gone through
        -- hour by hour.
        PERFORM add_continuous_aggregate_policy('rate_hour', start_offset => 31536000000::bigint,
            end_offset => 7200000::bigint, schedule_interval => interval '1 hour');
    ELSE
        CREATE VIEW rate_hour AS
            SELECT site, bed, channel, time_bucket(3600000::bigint, start_ms) AS hour_ms,
                   sum(recorded_ms) AS recorded_ms, sum(ticks) AS ticks, sum(valid_ticks) AS valid_ticks,
                   sum(sum_bpm) AS sum_bpm
            FROM rate_summary GROUP BY 1, 2, 3, 4;
    END IF;
END
$$;

CREATE VIEW ctg_trend AS
    SELECT site, bed, to_timestamp(hour_ms / 1000.0) AS hour, channel, recorded_ms / 60000.0 AS recorded_min,
           100.0 * valid_ticks / ticks AS signal_percent, sum_bpm / nullif(valid_ticks, 0) AS mean_bpm, hour_ms
    FROM rate_hour;
COMMENT ON VIEW ctg_trend IS 'Heart rates by bed and hour, as far as the frames are packed';
