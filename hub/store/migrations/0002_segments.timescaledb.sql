-- Compacted runs of wave frames of one bed and epoch; `body` is laid out in docs/store.md.
CREATE TABLE segment (
    site      text COLLATE "C" NOT NULL,
    bed       text COLLATE "C" NOT NULL,
    epoch     bigint NOT NULL,
    first_seq bigint NOT NULL,
    last_seq  bigint NOT NULL,
    start_ms  bigint NOT NULL,
    end_ms    bigint NOT NULL,
    frames    integer NOT NULL,
    ticks     integer NOT NULL,
    period_ms integer NOT NULL,
    has_crc   boolean NOT NULL,
    channels  bytea NOT NULL,
    arrivals  bigint[] NOT NULL,
    body      bytea COMPRESSION pglz NOT NULL
);
COMMENT ON TABLE segment IS 'Compacted wave frames, a hypertable';

CREATE INDEX segment_by_time ON segment (site, bed, start_ms);
CREATE INDEX segment_by_seq ON segment (site, bed, epoch, first_seq);

SELECT create_hypertable('segment', by_range('start_ms', 604800000::bigint));

CREATE FUNCTION now_ms() RETURNS bigint LANGUAGE sql STABLE AS
    $$ SELECT (extract(epoch FROM now()) * 1000)::bigint $$;
SELECT set_integer_now_func('segment', 'now_ms');

-- Compression is not in the builds under the Apache licence alone; the hub does without.
CREATE FUNCTION has_timescale_licence() RETURNS boolean LANGUAGE sql STABLE AS
    $$ SELECT coalesce(current_setting('timescaledb.license', true), '') = 'timescale' $$;

-- Backfill may come days late; inserting into compressed chunks is slow, so they are left open for two weeks.
DO $$
BEGIN
    IF has_timescale_licence() THEN
        ALTER TABLE segment SET (timescaledb.compress,
            timescaledb.compress_segmentby = 'site, bed', timescaledb.compress_orderby = 'start_ms');
        PERFORM add_compression_policy('segment', 1209600000::bigint);
    END IF;
END
$$;

-- Chunks are made by the extension itself.
CREATE FUNCTION make_segment_week(at_ms bigint) RETURNS void LANGUAGE sql AS $$ SELECT NULL $$;

-- Drop what ended before `before_ms`; called only where an operator has set a time of retention.
CREATE FUNCTION drop_segments(before_ms bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM drop_chunks('segment', older_than => before_ms);
END
$$;
