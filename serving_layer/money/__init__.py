"""Statements, objections, proofs and catalogue imports, as the API shows them."""
