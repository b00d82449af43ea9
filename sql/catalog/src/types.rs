//! Types that users made: enums, domains and composite types as plain data, and finding types by name.
//!
//! A type is one row of the catalog and changes whole, as a table does. What never changes about it is entered into
//! [`curia_types::type_info::user`] as well, whenever a version of the catalog takes it in; see there why.

use crate::object::{Constraint, Oid, pg_type_serde};
use crate::version::Catalog;
use curia_types::type_info::{UserKind, UserType, user};
use curia_types::{Attribute, Datum, IoContext, PgType, Result, UserTypes, type_info};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A type that a user made, and its array type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Type {
    /// `pg_type.oid`
    pub oid: Oid,
    /// Schema.
    pub schema: Oid,
    /// `typname`
    pub name: String,
    /// Owning role.
    pub owner: Oid,
    /// OID of the array type over it.
    pub array: Oid,
    /// The array type's `typname`.
    pub array_name: String,
    /// What it is.
    pub kind: TypeKind,
}

/// What a user's type is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TypeKind {
    /// An enum's labels in order.
    Enum(Vec<EnumLabel>),
    /// A domain.
    Domain(Domain),
    /// A composite type.
    Composite {
        /// `pg_class.oid` of its relation.
        relation: Oid,
        /// Its attributes in order.
        attributes: Vec<TypeAttribute>,
    },
}

/// A label of an enum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnumLabel {
    /// `pg_enum.oid`
    pub oid: Oid,
    /// `enumlabel`
    pub label: String,
    /// `enumsortorder`, for the system catalog: labels sort by it as they do by `value`.
    pub order: f32,
    /// What stands for it in rows and keys. Labels sort by it; it never changes, and those between two are for labels to come.
    pub value: i64,
}

/// A domain: a type with checks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Domain {
    /// What it is over: another type, maybe a domain itself.
    #[serde(with = "pg_type_serde")]
    pub base: PgType,
    /// NOT NULL.
    pub not_null: bool,
    /// DEFAULT as SQL text.
    pub default: Option<String>,
    /// CHECK constraints over VALUE.
    pub checks: Vec<Constraint>,
}

/// An attribute of a composite type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TypeAttribute {
    /// `attnum`: grows with every attribute that is added and is never given twice.
    pub attnum: i16,
    /// `attname`
    pub name: String,
    /// OID and typmod.
    #[serde(with = "pg_type_serde")]
    pub ty: PgType,
}

impl Type {
    /// The facts that never change.
    fn facts(&self) -> UserKind {
        match &self.kind {
            TypeKind::Enum(_) => UserKind::Enum,
            TypeKind::Domain(d) => UserKind::Domain { base: d.base },
            TypeKind::Composite { .. } => UserKind::Composite,
        }
    }
    /// An enum's labels in order, which is that of their values; none for other types.
    pub fn labels(&self) -> &[EnumLabel] {
        match &self.kind {
            TypeKind::Enum(labels) => labels,
            _ => &[],
        }
    }
    /// `pg_class.oid` of the relation behind a composite type.
    pub fn relation(&self) -> Option<Oid> {
        match &self.kind {
            TypeKind::Composite { relation, .. } => Some(*relation),
            _ => None,
        }
    }
    /// A domain's definition.
    pub fn domain(&self) -> Option<&Domain> {
        match &self.kind {
            TypeKind::Domain(d) => Some(d),
            _ => None,
        }
    }
}

impl Catalog {
    pub(crate) fn enter_type(&mut self, t: &Type) {
        self.enter_names(t.schema, (t.oid, &t.name), (t.array, &t.array_name), t.facts());
    }

    /// A relation's row type; the array type over it is named after it.
    pub(crate) fn enter_row_type(&mut self, (schema, name): (Oid, &str), oid: Oid, array: Oid) {
        self.enter_names(schema, (oid, name), (array, &array_name(name)), UserKind::Composite);
    }

    fn enter_names(&mut self, schema: Oid, (oid, name): (Oid, &str), (array, array_name): (Oid, &str), kind: UserKind) {
        let names = Arc::make_mut(&mut self.type_names);
        names.insert((schema, name.to_owned()), oid);
        let facts = |oid, name: &str, kind, array| UserType {
            oid,
            name: Arc::from(name),
            kind,
            array,
        };
        user::enter(facts(oid, name, kind, array));
        if array != 0 {
            // Another type may have taken the name in the meantime; it keeps it.
            names.entry((schema, array_name.to_owned())).or_insert(array);
            user::enter(facts(array, array_name, UserKind::Array { element: oid }, 0));
        }
    }

    pub(crate) fn forget_type(&mut self, t: &Type) {
        self.forget_names(t.schema, [(t.oid, &t.name), (t.array, &t.array_name)]);
    }

    pub(crate) fn forget_row_type(&mut self, (schema, name): (Oid, &str), oid: Oid, array: Oid) {
        self.forget_names(schema, [(oid, name), (array, &array_name(name))]);
    }

    fn forget_names(&mut self, schema: Oid, old: [(Oid, &str); 2]) {
        let names = Arc::make_mut(&mut self.type_names);
        for (oid, name) in old {
            let key = (schema, name.to_owned());
            if names.get(&key) == Some(&oid) {
                names.remove(&key);
            }
        }
    }

    /// A type of one schema by `typname`, the built-in ones of `pg_catalog` among them.
    pub fn type_in(&self, schema: Oid, name: &str) -> Option<Oid> {
        if schema == crate::lookup::PG_CATALOG {
            return type_info::by_name(name).map(|t| t.oid);
        }
        self.type_names.get(&(schema, name.to_owned())).copied()
    }

    /// A type by `typname` along a search path; `pg_catalog` is searched first unless the path names it.
    pub fn type_named(&self, search_path: &[String], name: &str) -> Option<Oid> {
        if !search_path.iter().any(|s| s == "pg_catalog")
            && let Some(t) = type_info::by_name(name)
        {
            return Some(t.oid);
        }
        search_path
            .iter()
            .filter_map(|s| self.schema(s))
            .find_map(|s| self.type_in(s.oid, name))
    }

    /// (schema, `typname`) of a user's type, a row type or an array of one.
    pub fn type_name(&self, oid: Oid) -> Option<(Oid, &str)> {
        if let Some(t) = self.types.get(&oid) {
            return Some((t.schema, &t.name));
        }
        // It has the name that was entered last, unless another transaction is about to rename it.
        let last = type_info::user::get(oid)?.name;
        let named = |schema: &Oid| self.type_names.get_key_value(&(*schema, last.to_string()));
        let found = self.schemas.keys().filter_map(named).find(|(_, found)| **found == oid);
        let found = found.or_else(|| self.type_names.iter().find(|(_, found)| **found == oid));
        found.map(|((schema, name), _)| (*schema, name.as_str()))
    }

    /// A type's name as `format_type` prints it: users' types qualified where the search path does not find them.
    pub fn format_type(&self, search_path: &[String], ty: PgType) -> String {
        if let Some(element) = type_info::element_of(ty.oid).filter(|e| type_info::user::kind(*e).is_some()) {
            return format!("{}[]", self.format_type(search_path, PgType::with_typmod(element, ty.typmod)));
        }
        if type_info::user::kind(ty.oid).is_none() {
            return type_info::format_type(ty.oid, ty.typmod);
        }
        let Some((schema, name)) = self.type_name(ty.oid) else {
            return "???".to_owned();
        };
        let bare = type_info::quote_identifier(name);
        if self.type_named(search_path, name) == Some(ty.oid) {
            return bare.into_owned();
        }
        format!("{}.{bare}", type_info::quote_identifier(self.schema_name(schema)))
    }

    /// The attributes of a composite type, or of a relation's row type.
    pub fn attributes_of(&self, ty: Oid) -> Option<Vec<Attribute>> {
        let attribute = |name: &str, ty| Attribute { name: Arc::from(name), ty };
        if let Some(t) = self.types.get(&ty) {
            return match &t.kind {
                TypeKind::Composite { attributes, .. } => Some(attributes.iter().map(|a| attribute(&a.name, a.ty)).collect()),
                _ => None,
            };
        }
        let (schema, name) = self.type_name(ty)?;
        match self.relation_in(schema, name)? {
            crate::Relation::Table(oid) => {
                let table = self.tables.get(&oid).filter(|t| t.row_type == ty)?;
                Some(table.live_columns().map(|(_, c)| attribute(&c.name, c.ty)).collect())
            }
            crate::Relation::View(oid) => {
                let view = self.views.get(&oid).filter(|v| v.row_type == ty)?;
                Some(view.columns.iter().map(|c| attribute(&c.name, c.ty)).collect())
            }
            _ => None,
        }
    }
}

/// The usual name of the array type over a type: `_name`, cut to the length of a name.
pub fn array_name(name: &str) -> String {
    let mut end = name.len().min(crate::lookup::MAX_NAME_BYTES - 1);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("_{}", &name[..end])
}

/// A catalog version by itself knows labels and attributes; checks need an evaluator, so it passes every value of a domain.
impl UserTypes for Catalog {
    fn enum_label(&self, ty: u32, value: i64) -> Option<Arc<str>> {
        let labels = self.types.get(&ty)?.labels();
        let at = labels.binary_search_by_key(&value, |l| l.value).ok()?;
        Some(Arc::from(labels[at].label.as_str()))
    }
    fn enum_value(&self, ty: u32, label: &str) -> Option<i64> {
        self.types.get(&ty)?.labels().iter().find(|l| l.label == label).map(|l| l.value)
    }
    fn is_usable(&self, _ty: u32, _value: i64) -> bool {
        true
    }
    fn enum_values(&self, ty: u32) -> Vec<i64> {
        self.types
            .get(&ty)
            .map_or_else(Vec::new, |t| t.labels().iter().map(|l| l.value).collect())
    }
    fn attributes(&self, ty: u32) -> Option<Arc<[Attribute]>> {
        self.attributes_of(ty).map(Arc::from)
    }
    fn check_domain(&self, _domain: u32, _value: &Datum, _io: &IoContext) -> Result<()> {
        Ok(())
    }
}
