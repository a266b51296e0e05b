-- A batch run judges by the catalogue in force; its role reads which that is, and no bank account.
GRANT SELECT ON billing.catalogues_in_force, billing.contracts_in_force TO viewledger_pipeline;
