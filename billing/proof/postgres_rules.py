"""The rules that PostgreSQL itself enforces: each function, trigger, constraint, right and allowed step, as a hash.

A superuser can switch a rule off or replace it; the signed checkpoints find rows that were changed meanwhile, and a
comparison of the database with the migrations of this release finds the rule itself.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from billing.postgres_session import Connect, one_transaction

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

HEAD = "migrations"
"""The name of the rule that holds the newest migration."""
SERVER = "server"
"""The name of the rule that holds the major version of PostgreSQL: each prints views its own way."""
ROLES = tuple(
    f"viewledger_{name}"
    for name in (
        "analyst", "api", "approver", "auditor", "billing", "importer", "keys", "notices", "operator", "owner",
        "pipeline", "reporting", "reviewer", "speed",
    )
)  # fmt: skip
"""The roles that migrations make; they cannot log in."""

_SCHEMAS = "n.nspname IN ('access', 'billing', 'ingestion', 'published', 'reporting', 'staging')"
_NAME = "n.nspname || '.' || c.relname"
# the migrating login has another name on every installation
_OWNER = "CASE WHEN r.rolname LIKE 'viewledger\\_owner' THEN r.rolname ELSE 'who migrates' END"
_RIGHTS = """(SELECT string_agg(concat_ws(' ', CASE WHEN g.grantee = {owner} THEN 'its owner'
    WHEN g.grantee = 0 THEN 'everybody' ELSE g.grantee::regrole::text END, g.privilege_type, g.is_grantable), ', '
    ORDER BY g.grantee <> {owner}, g.grantee::regrole::text, g.privilege_type) FROM aclexplode({acl}) AS g)"""
_QUERIES = {
    "function": f"""
        SELECT p.oid::regprocedure::text, concat_ws(' ', pg_get_functiondef(p.oid), {_OWNER},
               {_RIGHTS.format(owner="p.proowner", acl="coalesce(p.proacl, acldefault('f', p.proowner))")})
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles r ON r.oid = p.proowner
        WHERE {_SCHEMAS}""",
    "trigger": f"""
        SELECT {_NAME} || ' ' || t.tgname, concat_ws(' ', pg_get_triggerdef(t.oid), t.tgenabled)
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE NOT t.tgisinternal AND {_SCHEMAS}""",
    # of foreign keys and the like; their own names are numbers
    "internal triggers of": f"""
        SELECT {_NAME}, string_agg(concat_ws(' ', coalesce(k.conname, '-'), t.tgfoid::regproc, t.tgenabled), ', '
               ORDER BY k.conname, t.tgfoid::regproc::text)
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_constraint k ON k.oid = t.tgconstraint WHERE t.tgisinternal AND {_SCHEMAS} GROUP BY 1""",
    "constraint": f"""
        SELECT {_NAME} || ' ' || k.conname, concat_ws(' ', pg_get_constraintdef(k.oid), k.convalidated, k.condeferrable,
               k.condeferred)
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {_SCHEMAS}""",
    "index": f"""
        SELECT i.indexrelid::regclass::text, concat_ws(' ', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indislive)
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {_SCHEMAS}""",
    "columns of": f"""
        SELECT {_NAME}, string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
               a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid),
               {_RIGHTS.format(owner="c.relowner", acl="a.attacl")}), ', '
               ORDER BY a.attname)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relkind IN ('r', 'v') AND a.attnum > 0 AND NOT a.attisdropped AND {_SCHEMAS} GROUP BY 1""",
    "rights on": f"""
        SELECT {_NAME}, concat_ws(' ', c.relkind, {_OWNER}, c.relrowsecurity, c.relreplident, c.relpersistence,
               {_RIGHTS.format(owner="c.relowner", acl="coalesce(c.relacl, acldefault('r', c.relowner))")})
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
        WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND {_SCHEMAS}""",
    "sequence": f"""
        SELECT {_NAME}, concat_ws(' ', {_OWNER}, s.seqincrement, s.seqcycle,
               {_RIGHTS.format(owner="c.relowner", acl="coalesce(c.relacl, acldefault('s', c.relowner))")})
        FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_roles r ON r.oid = c.relowner WHERE {_SCHEMAS}""",
    "rule": f"""
        SELECT {_NAME} || ' ' || w.rulename, concat_ws(' ', pg_get_ruledef(w.oid), w.ev_enabled)
        FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {_SCHEMAS}""",
    "rights on schema": f"""
        SELECT n.nspname, {_RIGHTS.format(owner="n.nspowner", acl="coalesce(n.nspacl, acldefault('n', n.nspowner))")}
        FROM pg_namespace n WHERE {_SCHEMAS}""",
    "event trigger": "SELECT evtname, evtenabled::text FROM pg_event_trigger",
    "role": """
        SELECT rolname, concat_ws(' ', rolsuper, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls,
               (SELECT string_agg(m.roleid::regrole::text, ', ' ORDER BY m.roleid::regrole::text) FROM pg_auth_members m
                WHERE m.member = pg_roles.oid))
        FROM pg_roles WHERE rolname = ANY (%(roles)s)""",
    # a setting that switches triggers off for everybody, or makes names mean something else
    "setting": """
        SELECT concat_ws(' ', setting, 'of', coalesce(r.rolname, 'everybody')), setting
        FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) AS setting LEFT JOIN pg_roles r ON r.oid = s.setrole
        WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
          AND split_part(setting, '=', 1) IN ('session_replication_role', 'search_path', 'role')""",
    "step": """
        SELECT concat_ws(' ', subject_kind, from_state, to_state), roles::text FROM billing.allowed_transitions""",
}
"""Kind of thing → a query for its names, and for everything about each that affects behaviour."""


def rules_there_are(connect: Connect) -> dict[str, str]:
    """Return every rule of a database: its kind and name → the hash of its definition."""
    with one_transaction(connect) as cursor:
        cursor.execute("SET LOCAL search_path = pg_catalog")  # so that every name is printed whole
        rules = {HEAD: _one(cursor, "SELECT version_num FROM public.alembic_version")}
        rules[SERVER] = _one(cursor, "SELECT current_setting('server_version_num')::integer / 10000")
        for kind, query in _QUERIES.items():
            cursor.execute(query, {"roles": list(ROLES)})
            for name, text in cursor.fetchall():
                rules[f"{kind} {name}"] = hashlib.sha256((text or "").encode()).hexdigest()[:16]
    return rules


def problems_of_rules(connect: Connect, made_by_migrations: Mapping[str, str]) -> Iterator[str]:
    """Yield each rule of a database that differs from what the migrations of this release make."""
    wanted, found = dict(made_by_migrations), rules_there_are(connect)
    head, release = found.pop(HEAD), wanted.pop(HEAD)
    if head != release:
        yield f"the schema is that of migration {head} and this release's is {release}: its rules were not compared"
        return
    same_server = found.pop(SERVER) == wanted.pop(SERVER)
    for name in sorted(wanted.keys() | found.keys()):
        if name.startswith("rule ") and not same_server:
            continue
        if name not in found:
            yield f"{name} is gone from the database: the migrations of this release make it"
        elif name not in wanted:
            yield f"{name} is in the database, and no migration of this release makes it"
        elif wanted[name] != found[name]:
            yield f"{name} is another than the migrations of this release make, or is switched off"


def rules_to_file(rules: Mapping[str, str]) -> bytes:
    """Return the file of the rules of a release: JSON, one rule on a line, in the order of their names."""
    return (json.dumps(dict(sorted(rules.items())), indent=0, ensure_ascii=False) + "\n").encode()


def _one(cursor: "Cursor", query: str) -> str:
    cursor.execute(query)
    ((value,),) = cursor.fetchall()
    return str(value)
