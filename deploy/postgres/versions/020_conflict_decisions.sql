-- A conflict (one id, two contents) can be decided: the first event of the id stays the one that counts.

INSERT INTO billing.allowed_transitions VALUES ('conflict', 'open', 'first_kept');
