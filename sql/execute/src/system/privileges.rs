//! Who may do what, in the catalogs: the `acl` columns, `pg_default_acl`, and the views of `information_schema` that tell it.

use super::has_privilege::acl_datum;
use super::relations::owner;
use super::{Rows, oid_of, text};
use curia_catalog::lookup::FIRST_ROLE;
use curia_catalog::privilege::system;
use curia_catalog::system::{CURIA, INFORMATION_SCHEMA, PG_CATALOG, PUBLIC, SystemTable, system_tables};
use curia_catalog::{AclItem, Catalog, Kind, Oid, PUBLIC_ROLE, Rights, TypeKind};
use curia_types::Datum;

fn yes(b: bool) -> Datum {
    text(if b { "YES" } else { "NO" })
}

/// Columns that show what is granted: table, the object's column, the attnum's column, the list's column.
const LISTS: [(&str, &str, Option<&str>, &str); 8] = [
    ("pg_class", "oid", None, "relacl"),
    ("pg_attribute", "attrelid", Some("attnum"), "attacl"),
    ("pg_namespace", "oid", None, "nspacl"),
    ("pg_proc", "oid", None, "proacl"),
    ("pg_type", "oid", None, "typacl"),
    ("pg_database", "oid", None, "datacl"),
    ("pg_language", "oid", None, "lanacl"),
    ("pg_tablespace", "oid", None, "spcacl"),
];

/// Writes what is granted into the rows of a system table that has a column for it.
pub(super) fn fill(table: &'static SystemTable, catalog: &Catalog, rows: &mut [Vec<Datum>]) {
    let Some((_, object, attnum, list)) = LISTS.iter().find(|(name, ..)| *name == table.name) else {
        return;
    };
    let (Some(object), Some(list)) = (table.column(object), table.column(list)) else {
        return;
    };
    let attnum = attnum.and_then(|a| table.column(a));
    if attnum.is_some() && catalog.privileges.keys().all(|(_, n)| *n == 0) {
        return;
    }
    for row in rows {
        let Datum::Oid(oid) = row[object] else { continue };
        let attnum = match attnum.map(|a| &row[a]) {
            Some(Datum::Int2(n)) => *n,
            _ => 0,
        };
        if let Some(items) = catalog.acl(oid, attnum) {
            row[list] = acl_datum(catalog, &items);
        }
    }
}

/// Rows of `pg_init_privs`: what the system's own objects come with, which dumps leave out.
pub(super) fn initial(catalog: &Catalog, out: &mut Rows) {
    let mut add = |class: u32, object: Oid, items: &[AclItem]| {
        out.add(&[
            ("objoid", oid_of(object)),
            ("classoid", oid_of(class)),
            ("privtype", text("i")),
            ("initprivs", acl_datum(catalog, items)),
        ]);
    };
    for table in system_tables() {
        if let Some(items) = system::table_acl(table, FIRST_ROLE) {
            add(super::relations::CLASS, table.oid, &items);
        }
    }
    for schema in [PUBLIC, PG_CATALOG, INFORMATION_SCHEMA, CURIA] {
        if let Some(schema) = catalog.schemas.get(&schema) {
            add(2615, schema.oid, &system::schema_acl(schema.owner));
        }
    }
}

/// Rows of `pg_default_acl`.
pub(super) fn defaults(catalog: &Catalog, out: &mut Rows) {
    for d in catalog.default_privileges.values() {
        out.add(&[
            ("oid", oid_of(d.oid)),
            ("defaclrole", oid_of(d.role)),
            ("defaclnamespace", oid_of(d.schema)),
            ("defaclobjtype", text(d.kind.letter().to_string())),
            ("defaclacl", acl_datum(catalog, &d.items)),
        ]);
    }
}

/// Who asks.
pub(super) struct Asker<'a> {
    pub catalog: &'a Catalog,
    pub role: Oid,
}

impl Asker<'_> {
    fn is(&self, role: Oid) -> bool {
        self.catalog.authority().has(self.role, role)
    }

    /// Whether an item is shown: to who gave it and to who has it; `grants` leaves out what everybody has.
    fn sees(&self, item: &AclItem, grants: bool) -> bool {
        self.is(item.grantor) || (item.grantee != PUBLIC_ROLE && self.is(item.grantee)) || (item.grantee == PUBLIC_ROLE && !grants)
    }

    /// Whether a relation is shown to the role: it owns it or may do something with it.
    pub fn sees_relation(&self, relation: Oid) -> bool {
        let c = self.catalog;
        self.reaches(relation, Kind::Relation)
            || c.attnums(relation)
                .iter()
                .any(|n| c.column_rights(self.role, relation, *n).intersects(Kind::Column.all()))
    }

    /// Whether a column is.
    pub fn sees_column(&self, relation: Oid, attnum: i16) -> bool {
        self.reaches(relation, Kind::Column)
            || self
                .catalog
                .column_rights(self.role, relation, attnum)
                .intersects(Kind::Column.all())
    }

    /// Whether the role owns a relation, or has rights on the whole of it that things of a kind can have.
    fn reaches(&self, relation: Oid, kind: Kind) -> bool {
        let c = self.catalog;
        let roles = c.authority();
        if roles.is_superuser(self.role) {
            return true;
        }
        let Some(g) = c.granted(relation) else { return true };
        roles.has(self.role, g.owner) || c.rights_on(self.role, relation, g.kind, g.owner).intersects(kind.all())
    }
}

/// Adds the rows of one of these views; false for another one.
pub(super) fn produce(name: &str, asker: &Asker<'_>, database: &Datum, out: &mut Rows) -> bool {
    let catalog = asker.catalog;
    let grants = name.starts_with("role_");
    match name {
        "table_privileges" | "role_table_grants" => {
            for r in relations(catalog) {
                for (item, right, word) in exploded(&catalog.acl_or_initial(r.oid, 0, Kind::Relation, r.owner), Kind::Relation.all()) {
                    if !asker.sees(&item, grants) {
                        continue;
                    }
                    let mut row = granted(catalog, &item, right, word, r.owner);
                    row.extend([
                        ("table_catalog", database.clone()),
                        ("table_schema", text(catalog.schema_name(r.schema))),
                        ("table_name", text(r.name)),
                        ("with_hierarchy", yes(right == Rights::SELECT)),
                    ]);
                    out.add(&row);
                }
            }
        }
        "column_privileges" | "role_column_grants" => {
            for r in relations(catalog) {
                let whole = catalog.acl_or_initial(r.oid, 0, Kind::Relation, r.owner);
                for (attnum, column) in &r.columns {
                    let mut items = whole.clone();
                    for own in catalog.acl(r.oid, *attnum).unwrap_or_default() {
                        match items.iter_mut().find(|i| i.grantee == own.grantee && i.grantor == own.grantor) {
                            Some(known) => {
                                known.rights |= own.rights;
                                known.options |= own.options;
                            }
                            None => items.push(own),
                        }
                    }
                    for (item, right, word) in exploded(&items, Kind::Column.all()) {
                        if !asker.sees(&item, grants) {
                            continue;
                        }
                        let mut row = granted(catalog, &item, right, word, r.owner);
                        row.extend([
                            ("table_catalog", database.clone()),
                            ("table_schema", text(catalog.schema_name(r.schema))),
                            ("table_name", text(r.name)),
                            ("column_name", text(column)),
                        ]);
                        out.add(&row);
                    }
                }
            }
        }
        "usage_privileges" | "role_usage_grants" => {
            let domains = catalog.types.values().filter(|t| matches!(t.kind, TypeKind::Domain(_)));
            let domains = domains.map(|t| (t.oid, t.schema, &t.name, t.owner, Kind::Type, "DOMAIN"));
            let sequences = catalog
                .sequences
                .values()
                .map(|s| (s.oid, s.schema, &s.name, s.owner, Kind::Sequence, "SEQUENCE"));
            for (oid, schema, object, by, kind, word) in domains.chain(sequences) {
                for (item, right, privilege) in exploded(&catalog.acl_or_initial(oid, 0, kind, by), Rights::USAGE) {
                    if !asker.sees(&item, grants) {
                        continue;
                    }
                    let mut row = granted(catalog, &item, right, privilege, by);
                    row.extend([
                        ("object_catalog", database.clone()),
                        ("object_schema", text(catalog.schema_name(schema))),
                        ("object_name", text(object)),
                        ("object_type", text(word)),
                    ]);
                    out.add(&row);
                }
            }
        }
        "udt_privileges" | "role_udt_grants" => {
            for t in catalog.types.values().filter(|t| matches!(t.kind, TypeKind::Composite { .. })) {
                for (item, right, _) in exploded(&catalog.acl_or_initial(t.oid, 0, Kind::Type, t.owner), Rights::USAGE) {
                    if !asker.sees(&item, grants) {
                        continue;
                    }
                    let mut row = granted(catalog, &item, right, "TYPE USAGE", t.owner);
                    row.extend([
                        ("udt_catalog", database.clone()),
                        ("udt_schema", text(catalog.schema_name(t.schema))),
                        ("udt_name", text(&t.name)),
                    ]);
                    out.add(&row);
                }
            }
        }
        "routine_privileges" | "role_routine_grants" => {
            for f in catalog.functions.values() {
                for (item, right, word) in exploded(&catalog.acl_or_initial(f.oid, 0, Kind::Function, f.owner), Rights::EXECUTE) {
                    if !asker.sees(&item, grants) {
                        continue;
                    }
                    let mut row = granted(catalog, &item, right, word, f.owner);
                    let schema = text(catalog.schema_name(f.schema));
                    let specific = text(format!("{}_{}", f.name, f.oid));
                    row.extend([
                        ("specific_catalog", database.clone()),
                        ("specific_schema", schema.clone()),
                        ("specific_name", specific),
                        ("routine_catalog", database.clone()),
                        ("routine_schema", schema),
                        ("routine_name", text(&f.name)),
                    ]);
                    out.add(&row);
                }
            }
        }
        "enabled_roles" => {
            for r in catalog.roles.values().filter(|r| asker.is(r.oid)) {
                out.add(&[("role_name", text(&r.name))]);
            }
        }
        "applicable_roles" | "administrable_role_authorizations" => {
            for member in catalog.roles.values() {
                for m in &member.member_of {
                    if !asker.is(member.oid) || (name != "applicable_roles" && !m.admin) {
                        continue;
                    }
                    out.add(&[
                        ("grantee", text(&member.name)),
                        ("role_name", text(owner(catalog, m.role))),
                        ("is_grantable", yes(m.admin)),
                    ]);
                }
            }
        }
        _ => return false,
    }
    true
}

/// One row for each privilege of a list.
fn exploded(items: &[AclItem], of: Rights) -> Vec<(AclItem, Rights, &'static str)> {
    let mut out = Vec::new();
    for item in items {
        out.extend((item.rights & of).each().map(|(right, word)| (*item, right, word)));
    }
    out
}

fn granted(catalog: &Catalog, item: &AclItem, right: Rights, word: &str, by: Oid) -> Vec<(&'static str, Datum)> {
    let grantee = if item.grantee == PUBLIC_ROLE {
        "PUBLIC"
    } else {
        owner(catalog, item.grantee)
    };
    let owns = item.grantee != PUBLIC_ROLE && catalog.authority().has(item.grantee, by);
    vec![
        ("grantor", text(owner(catalog, item.grantor))),
        ("grantee", text(grantee)),
        ("privilege_type", text(word)),
        ("is_grantable", yes(owns || item.options.contains(right))),
    ]
}

struct Shown<'a> {
    oid: Oid,
    schema: Oid,
    name: &'a str,
    owner: Oid,
    columns: Vec<(i16, &'a str)>,
}

/// Tables and views, the system's own among them.
fn relations(catalog: &Catalog) -> impl Iterator<Item = Shown<'_>> {
    let tables = catalog.tables.values().filter(|t| t.materialized.is_none()).map(|t| Shown {
        oid: t.oid,
        schema: t.schema,
        name: &t.name,
        owner: t.owner,
        columns: t.live_columns().map(|(_, c)| (c.attnum, c.name.as_str())).collect(),
    });
    let views = catalog.views.values().map(|v| Shown {
        oid: v.oid,
        schema: v.schema,
        name: &v.name,
        owner: v.owner,
        columns: (1..).zip(&v.columns).map(|(n, c)| (n, c.name.as_str())).collect(),
    });
    let system = system_tables().iter().map(|s| Shown {
        oid: s.oid,
        schema: s.schema,
        name: s.name,
        owner: FIRST_ROLE,
        columns: (1..).zip(&s.columns).map(|(n, c)| (n, c.name)).collect(),
    });
    tables.chain(views).chain(system)
}
