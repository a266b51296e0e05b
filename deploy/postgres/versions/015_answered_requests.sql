-- What was answered to a request that may come twice, under the key that its sender chose. Written in the database
-- transaction of what the request does, so that either both are there or neither.

CREATE TABLE billing.answered_requests (
    caller      text NOT NULL CHECK (btrim(caller) <> ''),          -- keys of different callers never meet
    request_key text NOT NULL CHECK (request_key ~ '^[!-~]{1,128}$'),
    inputs_hash text NOT NULL CHECK (inputs_hash ~ '^[0-9a-f]{64}$'),
    answer      jsonb NOT NULL,
    answered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (caller, request_key)
);
COMMENT ON TABLE billing.answered_requests IS 'Kept for good: the same request under the same key has the same answer for ever.';
ALTER TABLE billing.answered_requests OWNER TO viewledger_owner;
SELECT billing.make_append_only(ARRAY['answered_requests']);
GRANT SELECT ON billing.answered_requests TO viewledger_billing, viewledger_auditor, viewledger_api;
GRANT INSERT ON billing.answered_requests TO viewledger_billing;

-- Appeals are taken down by viewledger_billing, with their first step; nobody used this right.
REVOKE INSERT ON billing.appeals FROM viewledger_api;
