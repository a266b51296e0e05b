-- The nodes of the tree over each checkpoint's records, so that one record can be proven without reading the others: a
-- proof reads one hash of each level. They are hashes and show nothing of a record; a change of one makes proofs fail, and none succeed.

CREATE TABLE billing.checkpoint_nodes (
    sequence bigint NOT NULL REFERENCES billing.checkpoints,
    level    smallint NOT NULL CHECK (level BETWEEN 0 AND 62),
    part     bigint NOT NULL CHECK (part >= 0),
    hashes   bytea NOT NULL CHECK (octet_length(hashes) BETWEEN 32 AND 131072) CHECK (octet_length(hashes) % 32 = 0),
    PRIMARY KEY (sequence, level, part)
);
-- hashes do not compress, and a piece of a value that is stored plainly is read without the rest
ALTER TABLE billing.checkpoint_nodes ALTER COLUMN hashes SET STORAGE EXTERNAL;
COMMENT ON TABLE billing.checkpoint_nodes IS
    'Of each checkpoint the Merkle tree over its records: 4,096 hashes of one level in a row, from left to right.';
SELECT billing.make_append_only(ARRAY['checkpoint_nodes']);
ALTER TABLE billing.checkpoint_nodes OWNER TO viewledger_owner;
GRANT SELECT ON billing.checkpoint_nodes TO viewledger_billing, viewledger_auditor, viewledger_approver, viewledger_api;
GRANT INSERT ON billing.checkpoint_nodes TO viewledger_billing;

-- A payee is shown where the records of a statement are in the journal, and what signs them.
CREATE INDEX journal_by_key ON billing.journal (kind, key);
GRANT SELECT ON billing.journal, billing.checkpoints TO viewledger_api;
