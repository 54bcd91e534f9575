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
) PARTITION BY RANGE (start_ms);
COMMENT ON TABLE segment IS 'Compacted wave frames, one partition per week';

CREATE INDEX segment_by_time ON segment (site, bed, start_ms);
CREATE INDEX segment_by_seq ON segment (site, bed, epoch, first_seq);

-- Frames of a site whose clock is far off land here; the weeks around the present have partitions of their own.
CREATE TABLE segment_other PARTITION OF segment DEFAULT;

-- Make the partition of the week that holds `at_ms`, and take over what the default partition holds of it.
CREATE FUNCTION make_segment_week(at_ms bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    week_ms CONSTANT bigint := 7 * 24 * 3600 * 1000::bigint;
    week    CONSTANT bigint := at_ms / week_ms;
    name    CONSTANT text := format('segment_week_%s', week);
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE segment INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMPRESSION)', name);
    EXECUTE format(
        'WITH moved AS (DELETE FROM segment_other WHERE start_ms >= %s AND start_ms < %s RETURNING *)'
        ' INSERT INTO %I SELECT * FROM moved', week * week_ms, (week + 1) * week_ms, name);
    EXECUTE format('ALTER TABLE segment ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
                   name, week * week_ms, (week + 1) * week_ms);
END
$$;

-- Drop what ended before `before_ms`; called only where an operator has set a time of retention.
CREATE FUNCTION drop_segments(before_ms bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    week_ms CONSTANT bigint := 7 * 24 * 3600 * 1000::bigint;
    name    text;
BEGIN
    FOR name IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'segment'::regclass AND c.relname ~ '^segment_week_[0-9]+$'
          AND (substring(c.relname FROM '[0-9]+$')::bigint + 1) * week_ms <= before_ms
    LOOP
        EXECUTE format('DROP TABLE %I', name);
    END LOOP;
    DELETE FROM segment_other WHERE end_ms <= before_ms;
END
$$;
