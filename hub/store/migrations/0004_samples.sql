-- Samples for analysts and dashboards, straight from the stored frames: `ctg_sample` and `ctg_samples(...)`.
-- Byte tables: docs/protocol.md (frame) and docs/store.md (segment).

CREATE FUNCTION ctg_channel(id integer) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE id WHEN 1 THEN 'fhr1' WHEN 2 THEN 'fhr2' WHEN 3 THEN 'fhr3' WHEN 16 THEN 'mhr'
                   WHEN 32 THEN 'toco' WHEN 33 THEN 'iup' WHEN 48 THEN 'fspo2' END
$$;

-- bpm, monitor units, mmHg or %; null is signal loss.
CREATE FUNCTION ctg_value(id integer, mode integer, raw bigint)
RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN mode & 1 = 1 THEN NULL
        WHEN id IN (1, 2, 3, 16) THEN
            CASE WHEN raw & 32768 = 0 AND raw & 2047 > 0 THEN (raw & 2047) * 0.25::double precision END
        WHEN id = 33 THEN CASE WHEN raw <> 32768 THEN ((raw # 32768) - 32768) * 0.5::double precision END
        WHEN id = 32 THEN CASE WHEN raw <> 255 THEN raw * 0.5::double precision END
        WHEN id = 48 THEN CASE WHEN raw <> 255 THEN raw::double precision END
    END
$$;

CREATE FUNCTION ctg_width(id integer) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN id < 32 OR id & 1 = 1 THEN 2 ELSE 1 END
$$;

CREATE FUNCTION unzigzag(coded integer) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (coded >> 1) # -(coded & 1)
$$;

CREATE FUNCTION frame_samples(payload bytea, t0_ms bigint)
RETURNS TABLE (t_ms bigint, channel text, value double precision) LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    WITH RECURSIVE head AS MATERIALIZED (
        SELECT p, get_byte(p, 16) AS ticks, get_byte(p, 17) * 10 AS period_ms, get_byte(p, 18) AS count,
               length(p) - CASE WHEN get_byte(p, 1) & 8 = 8 THEN 2 ELSE 0 END AS stop
        FROM (SELECT payload || ''::bytea AS p OFFSET 0) AS whole
        WHERE length(p) >= 20 AND get_byte(p, 0) = 199 AND get_byte(p, 1) >> 4 = 1
    ), block AS (
        SELECT 1 AS number, 20 AS at FROM head WHERE count > 0 AND stop >= 22
        UNION ALL
        SELECT number + 1, at + 2 + ticks * ctg_width(get_byte(p, at))
        FROM block, head WHERE number < count AND at + 2 + ticks * ctg_width(get_byte(p, at)) + 2 <= stop
    )
    SELECT t0_ms + tick * period_ms, ctg_channel(id),
           ctg_value(id, get_byte(p, at + 1), CASE width
               WHEN 1 THEN get_byte(p, at + 2 + tick)
               ELSE get_byte(p, at + 2 + 2 * tick) * 256 + get_byte(p, at + 3 + 2 * tick) END)
    FROM (SELECT at, p, ticks, period_ms, stop, get_byte(p, at) AS id, ctg_width(get_byte(p, at)) AS width
          FROM block, head) AS found,
         generate_series(0, ticks - 1) AS tick
    WHERE ctg_channel(id) IS NOT NULL AND at + 2 + ticks * width <= stop
$$;

CREATE FUNCTION segment_samples(
    frames integer, ticks integer, period_ms integer, start_ms bigint, channels bytea, body bytea)
RETURNS TABLE (t_ms bigint, channel text, value double precision) LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    -- Appending nothing decompresses the body once instead of at every byte; the steps are materialized so that
    -- sorting carries single numbers along, not the body.
    WITH whole AS MATERIALIZED (
        SELECT body || ''::bytea AS b, frames AS n, frames * ticks AS m
    ), layout AS MATERIALIZED (
        SELECT c, id, ctg_width(id) AS width, (n * (6 + length(channels)) + m * (
                   sum(ctg_width(id)) OVER (ORDER BY c) - ctg_width(id)))::integer AS at
        FROM whole, (SELECT c, get_byte(channels, c) AS id FROM generate_series(0, length(channels) - 1) AS c) AS ids
    ), frame_code AS MATERIALIZED (
        SELECT i, get_byte(b, i) + 256 * get_byte(b, n + i) AS seq_step,
               unzigzag(get_byte(b, 2 * n + i) + 256 * get_byte(b, 3 * n + i)) AS clock_step
        FROM whole, generate_series(0, n - 1) AS i
    ), clock AS MATERIALIZED (
        SELECT i, start_ms + (i + sum(seq_step) OVER upto) * (ticks * period_ms)
               + ((sum(clock_step) OVER upto & 65535) # 32768) - 32768 AS t0_ms
        FROM frame_code WINDOW upto AS (ORDER BY i)
    ), mode_code AS MATERIALIZED (
        SELECT c, i, unzigzag(get_byte(b, n * (6 + c) + i)) AS step
        FROM whole, layout, generate_series(0, n - 1) AS i WHERE ctg_channel(id) IS NOT NULL
    ), mode AS MATERIALIZED (
        SELECT c, i, (sum(step) OVER (PARTITION BY c ORDER BY i) & 255)::integer AS mode FROM mode_code
    ), sample_code AS MATERIALIZED (
        SELECT c, id, width, j, unzigzag(CASE width
                   WHEN 1 THEN get_byte(b, at + j)
                   ELSE 256 * get_byte(b, at + j) + get_byte(b, at + m + j) END) AS step
        FROM whole, layout, generate_series(0, m - 1) AS j WHERE ctg_channel(id) IS NOT NULL
    ), sample AS MATERIALIZED (
        SELECT c, id, j, j / ticks AS i,
               sum(step) OVER (PARTITION BY c ORDER BY j) & CASE width WHEN 1 THEN 255 ELSE 65535 END AS raw
        FROM sample_code
    )
    SELECT (clock.t0_ms + (j % ticks) * period_ms)::bigint, ctg_channel(id), ctg_value(id, mode, raw)
    FROM sample JOIN clock USING (i) JOIN mode USING (c, i)
$$;

-- All samples of one bed in [from_t, to_t): the fast way, it reads only the span.
CREATE FUNCTION ctg_samples(of_site text, of_bed text, from_t timestamptz, to_t timestamptz)
RETURNS TABLE (t timestamptz, channel text, value double precision) LANGUAGE sql STABLE AS $$
    SELECT to_timestamp(t_ms / 1000.0), x.channel, x.value
    FROM (
        SELECT s.* FROM frame f, frame_samples(f.payload, f.t0_ms) AS s
        WHERE f.site = of_site AND f.bed = of_bed
          AND f.end_ms > extract(epoch FROM from_t) * 1000 AND f.t0_ms < extract(epoch FROM to_t) * 1000
        UNION ALL
        SELECT s.* FROM segment g,
               segment_samples(g.frames, g.ticks, g.period_ms, g.start_ms, g.channels, g.body) AS s
        WHERE g.ticks > 0 AND g.site = of_site AND g.bed = of_bed
          AND g.start_ms >= (extract(epoch FROM from_t) * 1000)::bigint - 3600000
          AND g.start_ms < (extract(epoch FROM to_t) * 1000)::bigint
          AND g.end_ms > extract(epoch FROM from_t) * 1000
        UNION ALL
        SELECT s.* FROM segment g, frame_samples(g.body, g.start_ms) AS s
        WHERE g.ticks = 0 AND g.site = of_site AND g.bed = of_bed
          AND g.start_ms >= (extract(epoch FROM from_t) * 1000)::bigint - 3600000
          AND g.start_ms < (extract(epoch FROM to_t) * 1000)::bigint
    ) AS x
    WHERE t_ms >= extract(epoch FROM from_t) * 1000 AND t_ms < extract(epoch FROM to_t) * 1000
$$;

-- Every sample of every bed.  Narrow it by site, bed and `span_ms` (start of the stored span, at most an hour
-- before any of its samples); a condition on `t` alone reads everything.
CREATE VIEW ctg_sample AS
    SELECT f.site, f.bed, to_timestamp(s.t_ms / 1000.0) AS t, s.channel, s.value, f.t0_ms AS span_ms
    FROM frame f, frame_samples(f.payload, f.t0_ms) AS s
    UNION ALL
    SELECT g.site, g.bed, to_timestamp(s.t_ms / 1000.0), s.channel, s.value, g.start_ms
    FROM segment g, segment_samples(g.frames, g.ticks, g.period_ms, g.start_ms, g.channels, g.body) AS s
    WHERE g.ticks > 0
    UNION ALL
    SELECT g.site, g.bed, to_timestamp(s.t_ms / 1000.0), s.channel, s.value, g.start_ms
    FROM segment g, frame_samples(g.body, g.start_ms) AS s
    WHERE g.ticks = 0;
