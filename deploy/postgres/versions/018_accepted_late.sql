-- Decisions about late events are an input of a version, so its manifest names those that it is the first to go by.

ALTER TABLE published.versions ADD COLUMN accepted_late jsonb
    CHECK (jsonb_typeof(accepted_late) = 'array' AND jsonb_array_length(accepted_late) > 0);
COMMENT ON COLUMN published.versions.accepted_late IS
    '[[partition, offset], …]: the late events accepted from this version on, in all later ones too; null: none.';
