-- takes the last number of catalogues
INSERT INTO billing.catalogue_versions (catalogue_version, content_hash, source)
    VALUES (9223372036854775807, 'x', 'x');

-- leaves numbers of catalogues out
INSERT INTO billing.catalogue_versions (catalogue_version, content_hash, source)
    VALUES (1000, 'x', 'x');

-- leaves numbers of contracts out
INSERT INTO billing.rate_cards (contract_version, content_hash, document)
    VALUES (1000, encode(sha256('{}'), 'hex'), '{}');

-- adds to a catalogue that is imported
INSERT INTO billing.payees VALUES (1, 'mallory', 'Mallory', NULL);

-- leaves numbers of checkpoints out
INSERT INTO billing.checkpoints (sequence, body, signature) VALUES (1000, '{}', repeat('0', 128));
