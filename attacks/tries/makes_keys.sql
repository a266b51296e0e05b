-- makes an API key
INSERT INTO access.api_keys (key_id, owner, secret_sha256, scopes, expires_at)
    VALUES ('0123456789abcdef', 'mallory', repeat('0', 64), '{statements:read}', '2099-01-01');

-- revives an API key
UPDATE access.api_keys SET revoked_at = NULL;

-- stretches an API key
UPDATE access.api_keys SET scopes = '{approvals:write}';
