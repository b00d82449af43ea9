//! Composite types: attributes.

use crate::Ddl;
use curia_catalog::{Type, TypeAttribute, TypeKind};
use curia_parse::ast::{AttributeAction, AttributeDef};
use curia_types::{Result, SqlError, SqlState, type_info};

impl Ddl<'_> {
    pub(super) fn new_composite(&self, defs: &[AttributeDef]) -> Result<TypeKind> {
        let mut attributes: Vec<TypeAttribute> = Vec::with_capacity(defs.len());
        for (def, attnum) in defs.iter().zip(1..) {
            let attribute = self.new_attribute(def, attnum)?;
            if attributes.iter().any(|a| a.name == attribute.name) {
                return Err(SqlError::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!("column \"{}\" specified more than once", attribute.name),
                ));
            }
            attributes.push(attribute);
        }
        Ok(TypeKind::Composite {
            relation: self.new_oid()?,
            attributes,
        })
    }

    fn new_attribute(&self, def: &AttributeDef, attnum: i16) -> Result<TypeAttribute> {
        let ty = self.resolve_type(&def.ty)?;
        if type_info::category(ty.oid) == 'P' || ty.oid == curia_types::oid::UNKNOWN {
            return Err(SqlError::new(
                SqlState::INVALID_TABLE_DEFINITION,
                format!("column \"{}\" has pseudo-type {}", def.name.name, self.shown_type(ty.oid)),
            ));
        }
        Ok(TypeAttribute {
            attnum,
            name: def.name.name.clone(),
            ty,
        })
    }

    pub(super) fn rename_attribute(&self, ty: &mut Type, from: &str, to: &str) -> Result<()> {
        let name = ty.name.clone();
        let attributes = self.attributes_of(ty)?;
        let at = find(attributes, from).ok_or_else(|| missing(from, &name))?;
        if find(attributes, to).is_some() {
            return Err(taken(to, &name));
        }
        to.clone_into(&mut attributes[at].name);
        Ok(())
    }

    pub(super) fn alter_attribute(&mut self, ty: &mut Type, action: &AttributeAction) -> Result<()> {
        let (oid, name) = (ty.oid, ty.name.clone());
        self.attributes_of(ty)?;
        if let Some(column) = self.stored_columns(oid).first() {
            let what = format!("cannot alter type \"{name}\" because column \"{column}\" uses it");
            return match action {
                AttributeAction::SetType(_) => Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, what)),
                _ => Err(SqlError::unsupported(format!(
                    "ADD or DROP ATTRIBUTE of a type that column \"{column}\" uses"
                ))),
            };
        }
        let last = self.attributes_of(ty)?.iter().map(|a| a.attnum).max().unwrap_or(0);
        match action {
            AttributeAction::Add(def) => {
                let new = self.new_attribute(def, last + 1)?;
                let attributes = self.attributes_of(ty)?;
                if find(attributes, &new.name).is_some() {
                    return Err(taken(&new.name, &name));
                }
                attributes.push(new);
            }
            AttributeAction::Drop { name: column, if_exists } => {
                let attributes = self.attributes_of(ty)?;
                match find(attributes, &column.name) {
                    Some(at) => {
                        attributes.remove(at);
                    }
                    None if *if_exists => self.notice(format!(
                        "column \"{}\" of relation \"{name}\" does not exist, skipping",
                        column.name
                    )),
                    None => return Err(missing(&column.name, &name)),
                }
            }
            AttributeAction::SetType(def) => {
                let new = self.new_attribute(def, 0)?;
                let attributes = self.attributes_of(ty)?;
                let at = find(attributes, &new.name).ok_or_else(|| missing(&new.name, &name))?;
                attributes[at].ty = new.ty;
            }
        }
        Ok(())
    }

    fn attributes_of<'t>(&self, ty: &'t mut Type) -> Result<&'t mut Vec<TypeAttribute>> {
        let oid = ty.oid;
        match &mut ty.kind {
            TypeKind::Composite { attributes, .. } => Ok(attributes),
            _ => Err(super::not_a(&self.shown_type(oid), "a composite type")),
        }
    }
}

fn find(attributes: &[TypeAttribute], name: &str) -> Option<usize> {
    attributes.iter().position(|a| a.name == name)
}

fn missing(column: &str, ty: &str) -> SqlError {
    crate::names::no_column(column, ty)
}

fn taken(column: &str, ty: &str) -> SqlError {
    SqlError::new(
        SqlState::DUPLICATE_COLUMN,
        format!("column \"{column}\" of relation \"{ty}\" already exists"),
    )
}
