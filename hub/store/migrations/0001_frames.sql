-- Wave frames as they arrive.  Compaction moves them into `segment` some minutes later, so this table stays small.
CREATE TABLE frame (
    site       text COLLATE "C" NOT NULL,
    bed        text COLLATE "C" NOT NULL,
    epoch      bigint NOT NULL,
    seq        bigint NOT NULL,
    t0_ms      bigint NOT NULL,
    end_ms     bigint NOT NULL,
    arrived_ms bigint NOT NULL,
    is_fill    boolean NOT NULL,
    payload    bytea NOT NULL,
    PRIMARY KEY (site, bed, epoch, seq)
);
COMMENT ON TABLE frame IS 'Wave frames of the last minutes, exact bytes';

-- Every row is deleted within the hour: vacuum early, or the table grows for nothing.
ALTER TABLE frame SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.5);

-- What of each epoch is committed, compacted or not: the source of every acknowledgement.
CREATE TABLE reception (
    site     text COLLATE "C" NOT NULL,
    bed      text COLLATE "C" NOT NULL,
    epoch    bigint NOT NULL,
    received int8multirange NOT NULL,
    live_ms  bigint,
    end_ms   bigint NOT NULL,
    PRIMARY KEY (site, bed, epoch)
) WITH (fillfactor = 50);
COMMENT ON COLUMN reception.live_ms IS 'Last arrival on the live lane: the newest epoch of a bed is the one that is live';

CREATE TABLE quarantine (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site       text COLLATE "C" NOT NULL,
    bed        text COLLATE "C" NOT NULL,
    epoch      bigint,
    seq        bigint,
    reason     text NOT NULL,
    arrived_ms bigint NOT NULL,
    payload    bytea NOT NULL,
    digest     text GENERATED ALWAYS AS (md5(payload)) STORED,
    UNIQUE NULLS NOT DISTINCT (site, bed, epoch, seq, reason, digest)
);
COMMENT ON TABLE quarantine IS 'Messages that could not be stored as data; the oldest go when there are too many';
