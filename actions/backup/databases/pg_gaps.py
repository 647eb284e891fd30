"""What a PostgreSQL role cannot read: asked before the dump, so that a failure is explained and an omission is not silent.

pg_dump fails by itself on tables, sequences, large objects and row security that it may not read in full (`loud`). It leaves out without
failing: role passwords, options of user mappings, rows of foreign tables (`silent`).
"""

from collections.abc import Iterator

import msgspec

from contracts.coverage import Blind
from contracts.errors import Why

CLUSTER_GAPS = """
SELECT json_build_object(
  'role', current_user,
  'passwords', has_table_privilege('pg_catalog.pg_authid', 'SELECT'))
"""

DATABASE_GAPS = r"""
WITH member AS (
  SELECT objid FROM pg_catalog.pg_depend WHERE classid = 'pg_catalog.pg_class'::regclass AND deptype = 'e'
), space AS (
  SELECT oid, nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), relation AS (
  SELECT c.oid, c.relkind AS kind, quote_ident(s.nspname) || '.' || quote_ident(c.relname) AS name
  FROM pg_catalog.pg_class c JOIN space s ON s.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'S', 'f') AND c.oid NOT IN (SELECT objid FROM member)
), named AS (
  SELECT
    (SELECT coalesce(array_agg(quote_ident(nspname) ORDER BY 1), '{}') FROM space
       WHERE NOT has_schema_privilege(oid, 'USAGE')) AS schemas,
    (SELECT coalesce(array_agg(name ORDER BY 1), '{}') FROM relation
       WHERE CASE kind WHEN 'S' THEN NOT has_sequence_privilege(oid, 'SELECT')
                       WHEN 'f' THEN false ELSE NOT has_table_privilege(oid, 'SELECT') END) AS tables,
    (SELECT coalesce(array_agg(name ORDER BY 1), '{}') FROM relation
       WHERE CASE WHEN kind IN ('r', 'p') THEN row_security_active(oid) ELSE false END) AS secured,
    (SELECT coalesce(array_agg(name ORDER BY 1), '{}') FROM relation WHERE kind = 'f') AS foreign_tables
)
SELECT json_build_object(
  'role', current_user,
  'schemas', schemas, 'tables', tables, 'secured', secured, 'foreign_tables', foreign_tables,
  'large_objects', CASE WHEN current_setting('lo_compat_privileges')::bool THEN 0 ELSE
    (SELECT count(*) FROM pg_catalog.pg_largeobject_metadata l
       WHERE NOT pg_has_role(l.lomowner, 'USAGE') AND NOT EXISTS (
         SELECT FROM aclexplode(l.lomacl) a WHERE a.privilege_type = 'SELECT'
           AND CASE WHEN a.grantee = 0 THEN true ELSE pg_has_role(a.grantee, 'USAGE') END)) END,
  'user_mappings', (SELECT count(*) FROM pg_catalog.pg_user_mappings WHERE umoptions IS NULL
    AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)))
FROM named
"""
_SHOWN = 5


class ClusterGaps(msgspec.Struct, frozen=True):
    """Whether the role may read the passwords of roles."""

    role: str
    passwords: bool

    def blind(self, source: str) -> Iterator[Blind]:
        """What globals lack."""
        if not self.passwords:
            yield Blind(
                what=f"the passwords of {source}'s roles",
                why=Why.PERMISSION,
                detail=f"{self.role} may not read pg_authid, so roles are saved without passwords",
                fix=f"As a superuser: GRANT SELECT ON pg_catalog.pg_authid TO {_identifier(self.role)};",
            )


class DatabaseGaps(msgspec.Struct, frozen=True):
    """What of one database the role cannot read: names of schemas, tables and sequences, tables with row security; counts."""

    role: str
    schemas: list[str]
    tables: list[str]
    secured: list[str]
    foreign_tables: list[str]
    large_objects: int
    user_mappings: int

    def loud(self, database: str) -> Iterator[Blind]:
        """What makes pg_dump fail."""
        role = _identifier(self.role)
        if self.schemas or self.tables:
            count = f"{len(self.tables)} tables and sequences and {len(self.schemas)} schemas of {database}"
            yield _denied(count, [*self.tables, *self.schemas], f"GRANT pg_read_all_data TO {role};")
        if self.secured:
            count = f"rows of {len(self.secured)} tables of {database} that row security hides"
            yield _denied(count, self.secured, f"ALTER ROLE {role} BYPASSRLS;")
        if self.large_objects:
            fix = f"ALTER ROLE {role} SET lo_compat_privileges = on;"
            yield _denied(f"{self.large_objects} large objects of {database}", (), fix)

    def silent(self, database: str) -> Iterator[Blind]:
        """What a dump lacks although pg_dump does not fail."""
        if self.user_mappings:
            yield Blind(
                what=f"the options of up to {self.user_mappings} user mappings of {database}",
                why=Why.PERMISSION,
                detail=f"only their owners and superusers see them, {self.role} is neither",
                fix="Keep what they hold (passwords of other servers) elsewhere, or dump as a superuser.",
            )
        if self.foreign_tables:
            yield Blind(
                what=f"rows of {len(self.foreign_tables)} foreign tables of {database}",
                why=Why.NOT_PRESENT,
                detail=f"they lie on other servers: {_names(self.foreign_tables)}",
                fix="Back up the servers they lie on.",
            )


def _denied(what: str, names: "list[str] | tuple[()]", statement: str) -> Blind:
    return Blind(what=what, why=Why.PERMISSION, detail=_names(names), fix=f"As a superuser: {statement}")


def _names(names: "list[str] | tuple[()]") -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
