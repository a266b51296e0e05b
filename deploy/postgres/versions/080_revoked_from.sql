-- An attestation key can be revoked from an instant that has passed: what it attested since is judged again. The column has the same
-- form as before, and for such a key the instant.

COMMENT ON COLUMN published.versions.attesting_keys IS
    '[{"key_id": "k1", "fingerprint": "...", "since": [0, 0], "vouches": true}, ...]: each key vouches, or is revoked, from these '
    'offsets on, one for each partition; `revoked_from` is the instant for which they stand, if it was revoked from one; '
    'null: attestations were not looked at.';
