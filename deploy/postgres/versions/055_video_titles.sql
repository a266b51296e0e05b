-- Titles of videos, by catalogue version. They are for people: no amount depends on one, so `content_hash`, which statements
-- and bundles rest on, is what it was without them, and they have a hash of their own in the catalogue's record.

ALTER TABLE billing.videos ADD COLUMN title text CHECK (btrim(title) <> '' AND length(title) <= 200);
ALTER TABLE billing.catalogue_versions ADD COLUMN titles_hash text CHECK (titles_hash ~ '^[0-9a-f]{64}$');
COMMENT ON COLUMN billing.videos.title IS 'For people; null if the import had none.';
COMMENT ON COLUMN billing.catalogue_versions.titles_hash IS 'The SHA-256 of its titles; null without any.';

-- As before, and: another title is a change, but none that moves money.
CREATE OR REPLACE FUNCTION billing.catalogue_changes(of_version bigint, OUT what text, OUT added bigint, OUT changed bigint,
                                          OUT gone bigint, OUT moving bigint)
RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, billing, pg_temp AS $$
    WITH base AS (SELECT coalesce(max(catalogue_version), 0) AS version FROM billing.catalogues_in_force
                  WHERE catalogue_version < of_version),
    earlier AS (SELECT catalogue_version FROM billing.catalogues_in_force WHERE catalogue_version < (SELECT version FROM base)),
    payees AS (
        SELECT b.payee_id IS NULL AS is_new, b.payee_id IS NULL AND EXISTS (
                   SELECT FROM billing.payees p JOIN earlier USING (catalogue_version) WHERE p.payee_id = n.payee_id) AS is_back, n.payee_id IS NULL AS is_gone,
               (b.name, b.user_id, b.country) IS DISTINCT FROM (n.name, n.user_id, n.country) AS differs,
               (b.user_id, b.country) IS DISTINCT FROM (n.user_id, n.country) AS moves
        FROM (SELECT * FROM billing.payees WHERE catalogue_version = (SELECT version FROM base)) AS b
        FULL JOIN (SELECT * FROM billing.payees WHERE catalogue_version = of_version) AS n USING (payee_id)),
    videos AS (
        SELECT video_id, b.video_id IS NULL AS is_new, b.video_id IS NULL AND EXISTS (
                   SELECT FROM billing.videos v JOIN earlier USING (catalogue_version) WHERE v.video_id = n.video_id) AS is_back,
               n.video_id IS NULL AS is_gone,
               (b.length_seconds, b.title) IS DISTINCT FROM (n.length_seconds, n.title) AS differs,
               b.length_seconds IS DISTINCT FROM n.length_seconds AS moves
        FROM (SELECT * FROM billing.videos WHERE catalogue_version = (SELECT version FROM base)) AS b
        FULL JOIN (SELECT * FROM billing.videos WHERE catalogue_version = of_version) AS n USING (video_id)),
    held AS (
        SELECT catalogue_version, video_id, payee_id, array_agg((from_on, to_on, share_ppm)::text ORDER BY from_on) AS shares
        FROM billing.owners WHERE catalogue_version IN (of_version, (SELECT version FROM base)) GROUP BY 1, 2, 3),
    owners AS (
        SELECT video_id, b.payee_id IS NULL AS is_new, n.payee_id IS NULL AS is_gone, b.shares IS DISTINCT FROM n.shares AS differs
        FROM (SELECT * FROM held WHERE catalogue_version <> of_version) AS b
        FULL JOIN (SELECT * FROM held WHERE catalogue_version = of_version) AS n USING (video_id, payee_id))
    SELECT 'payees', count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new AND NOT is_gone AND differs),
           count(*) FILTER (WHERE is_gone), count(*) FILTER (WHERE is_back OR NOT is_new AND (is_gone OR moves)) FROM payees
    UNION ALL
    SELECT 'videos', count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new AND NOT is_gone AND differs),
           count(*) FILTER (WHERE is_gone), count(*) FILTER (WHERE is_back OR NOT is_new AND (is_gone OR moves)) FROM videos
    UNION ALL
    SELECT 'owners', count(*) FILTER (WHERE o.is_new), count(*) FILTER (WHERE NOT o.is_new AND NOT o.is_gone AND o.differs),
           count(*) FILTER (WHERE o.is_gone), count(*) FILTER (WHERE o.differs AND NOT v.is_new)
    FROM owners o JOIN videos v USING (video_id)
$$;

CREATE VIEW reporting.videos AS
    SELECT v.video_id, v.title, v.length_seconds, v.catalogue_version
    FROM billing.videos v
    WHERE v.catalogue_version = (SELECT max(catalogue_version) FROM billing.catalogues_in_force);
COMMENT ON VIEW reporting.videos IS 'Every video of the catalogue in force.';
COMMENT ON COLUMN reporting.videos.video_id IS 'The video';
COMMENT ON COLUMN reporting.videos.title IS 'Its title; null if the catalogue has none';
COMMENT ON COLUMN reporting.videos.length_seconds IS 'Its length in seconds; null if the catalogue has none';
COMMENT ON COLUMN reporting.videos.catalogue_version IS 'The catalogue that is in force';
GRANT SELECT ON reporting.videos TO viewledger_reporting;
