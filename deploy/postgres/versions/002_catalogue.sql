-- The catalogue: whose video it is, at what rate. Nothing here is ever changed or removed.

CREATE SCHEMA billing;

CREATE TABLE billing.catalogue_versions (
    catalogue_version bigint PRIMARY KEY CHECK (catalogue_version > 0),
    content_hash      text NOT NULL,        -- differs from the version before; an older content may come back
    source            text NOT NULL,
    imported_at       timestamptz NOT NULL DEFAULT now(),
    imported_by       xid8 NOT NULL DEFAULT pg_current_xact_id()
);

CREATE TABLE billing.payees (
    catalogue_version bigint NOT NULL REFERENCES billing.catalogue_versions,
    payee_id          text NOT NULL,
    name              text NOT NULL,
    user_id           text,                 -- the payee's own viewer pseudonym; never the raw id
    country           text CHECK (country ~ '^[A-Z]{2}$'),   -- that tax is withheld for
    PRIMARY KEY (catalogue_version, payee_id)
);

CREATE TABLE billing.videos (
    catalogue_version bigint NOT NULL REFERENCES billing.catalogue_versions,
    video_id          text NOT NULL,
    length_seconds    integer CHECK (length_seconds > 0),
    PRIMARY KEY (catalogue_version, video_id)
);

-- Who owns which share of a video on the days (UTC) [from_on, to_on); on every day the shares add up to the whole.
CREATE TABLE billing.owners (
    catalogue_version bigint NOT NULL,
    video_id          text NOT NULL,
    from_on           date NOT NULL,         -- 0001-01-01 = since ever
    to_on             date NOT NULL CHECK (to_on > from_on),   -- 9999-12-31 = without end
    payee_id          text NOT NULL,
    share_ppm         integer NOT NULL CHECK (share_ppm BETWEEN 1 AND 1000000),
    PRIMARY KEY (catalogue_version, video_id, from_on, payee_id),
    FOREIGN KEY (catalogue_version, video_id) REFERENCES billing.videos,
    FOREIGN KEY (catalogue_version, payee_id) REFERENCES billing.payees
);
CREATE INDEX owners_by_payee ON billing.owners (catalogue_version, payee_id);

CREATE FUNCTION billing.refuse_partial_ownership() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong text;
BEGIN
    SELECT video_id INTO wrong FROM arrived
    GROUP BY catalogue_version, video_id, from_on, to_on HAVING sum(share_ppm) <> 1000000 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'billing.owners: the shares of video % do not add up to 1000000', wrong;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER owners_are_whole AFTER INSERT ON billing.owners REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_partial_ownership();

-- An imported catalogue is closed: payees and videos join only inside the database transaction that imports it.
CREATE FUNCTION billing.refuse_late_catalogue_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM arrived WHERE NOT EXISTS (
                   SELECT 1 FROM billing.catalogue_versions v
                   WHERE v.catalogue_version = arrived.catalogue_version AND v.imported_by = pg_current_xact_id())) THEN
        RAISE EXCEPTION 'billing.%: the catalogue version is already imported; import a new one', TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER payees_with_their_catalogue AFTER INSERT ON billing.payees REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_late_catalogue_rows();
CREATE TRIGGER owners_with_their_catalogue AFTER INSERT ON billing.owners REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_late_catalogue_rows();
CREATE TRIGGER videos_with_their_catalogue AFTER INSERT ON billing.videos REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_late_catalogue_rows();

CREATE TABLE billing.rate_cards (
    contract_version  bigint PRIMARY KEY CHECK (contract_version > 0),
    content_hash      text NOT NULL,
    document          jsonb NOT NULL,
    imported_at       timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION billing.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'billing.% is append-only: post a correcting transaction instead', TG_TABLE_NAME;
END $$;

CREATE FUNCTION billing.make_append_only(tables text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY tables LOOP
        EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE ON billing.%I
                        FOR EACH ROW EXECUTE FUNCTION billing.refuse_change()', name || '_append_only', name);
        EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON billing.%I
                        FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change()', name || '_no_truncate', name);
    END LOOP;
END $$;

SELECT billing.make_append_only(ARRAY['catalogue_versions', 'payees', 'videos', 'owners', 'rate_cards']);
