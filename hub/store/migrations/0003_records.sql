CREATE TABLE bed_event (
    site   text COLLATE "C" NOT NULL,
    bed    text COLLATE "C" NOT NULL,
    id     text NOT NULL,
    kind   text NOT NULL,
    t_ms   bigint NOT NULL,
    event  jsonb NOT NULL,
    PRIMARY KEY (site, bed, id)
);
CREATE INDEX bed_event_by_time ON bed_event (site, bed, t_ms);

-- Each alert as it stands.
CREATE TABLE alert (
    id         text PRIMARY KEY,
    site       text COLLATE "C" NOT NULL,
    bed        text COLLATE "C" NOT NULL,
    rule       text NOT NULL,
    state      text NOT NULL,
    raised_ms  bigint NOT NULL,
    changed_ms bigint NOT NULL,
    alert      jsonb NOT NULL
);
CREATE INDEX alert_open ON alert (site, bed) WHERE state <> 'clear';
CREATE INDEX alert_by_bed ON alert (site, bed, changed_ms);
CREATE INDEX alert_by_time ON alert (changed_ms);

-- How it came to stand so: written once, never changed.
CREATE TABLE alert_transition (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id   text NOT NULL,
    t_ms       bigint NOT NULL,
    from_state text NOT NULL,
    to_state   text NOT NULL,
    cause      text NOT NULL,
    by         text,
    alert      jsonb NOT NULL,
    UNIQUE (alert_id, t_ms, from_state, to_state, cause)
);

-- Readings of 10-minute windows.  A window read anew with another result gets a further revision; none is overwritten.
CREATE TABLE classification (
    site           text COLLATE "C" NOT NULL,
    bed            text COLLATE "C" NOT NULL,
    fetus          integer NOT NULL,
    algorithm      text NOT NULL,
    start_ms       bigint NOT NULL,
    end_ms         bigint NOT NULL,
    is_rolling     boolean NOT NULL,
    revision       integer NOT NULL,
    saved          timestamptz NOT NULL DEFAULT now(),
    origin_ms      bigint NOT NULL,
    level          integer,
    classification jsonb NOT NULL,
    PRIMARY KEY (site, bed, fetus, algorithm, start_ms, end_ms, is_rolling, revision)
);
CREATE INDEX classification_by_time ON classification (site, bed, end_ms);

-- What has been recorded is not changed.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are written once', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER alert_transition_is_final BEFORE UPDATE OR DELETE ON alert_transition
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER classification_is_final BEFORE UPDATE OR DELETE ON classification
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
