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

CREATE VIEW rate_hour AS
    SELECT site, bed, channel, start_ms - mod(start_ms, 3600000::bigint) AS hour_ms,
           sum(recorded_ms) AS recorded_ms, sum(ticks) AS ticks, sum(valid_ticks) AS valid_ticks,
           sum(sum_bpm) AS sum_bpm
    FROM rate_summary GROUP BY 1, 2, 3, 4;

CREATE VIEW ctg_trend AS
    SELECT site, bed, to_timestamp(hour_ms / 1000.0) AS hour, channel, recorded_ms / 60000.0 AS recorded_min,
           100.0 * valid_ticks / ticks AS signal_percent, sum_bpm / nullif(valid_ticks, 0) AS mean_bpm, hour_ms
    FROM rate_hour;
COMMENT ON VIEW ctg_trend IS 'Heart rates by bed and hour, as far as the frames are packed';
