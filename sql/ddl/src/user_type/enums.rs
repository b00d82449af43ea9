//! Enums: labels and the values that stand for them.
//!
//! A value is a positive number that sorts as its label does and never changes. Labels are made with wide gaps between their values, so
//! that a label between two others takes the middle of their gap; nothing that is stored is ever touched.

use crate::Ddl;
use curia_catalog::{EnumLabel, MAX_NAME_BYTES, Type, TypeKind};
use curia_types::{Result, SqlError, SqlState};

/// The gap between labels that are made one after the other. Some 40 labels fit one before the other into a gap at its narrowest spot.
const GAP: i64 = 1 << 48;

impl Ddl<'_> {
    pub(super) fn new_enum(&self, labels: &[String]) -> Result<TypeKind> {
        let count = i64::try_from(labels.len()).unwrap_or(i64::MAX - 2);
        let gap = GAP.min(i64::MAX / (count + 2));
        let mut out: Vec<EnumLabel> = Vec::with_capacity(labels.len());
        for (label, i) in labels.iter().zip(1..) {
            check_label(label)?;
            if out.iter().any(|l| l.label == *label) {
                return Err(SqlError::new(
                    SqlState::UNIQUE_VIOLATION,
                    "duplicate key value violates unique constraint \"pg_enum_typid_label_index\"",
                )
                .constraint("pg_enum_typid_label_index"));
            }
            out.push(EnumLabel {
                oid: self.new_oid()?,
                label: label.clone(),
                order: i as f32,
                value: gap * i,
            });
        }
        Ok(TypeKind::Enum(out))
    }

    /// ADD VALUE; false when the label is there and IF NOT EXISTS passes it over.
    pub(super) fn add_label(
        &mut self,
        ty: &mut Type,
        if_not_exists: bool,
        label: &str,
        neighbour: Option<&(bool, String)>,
    ) -> Result<bool> {
        let oid = self.new_oid()?;
        check_label(label)?;
        let labels = self.labels_of(ty)?;
        if labels.iter().any(|l| l.label == label) {
            let exists = exists(label);
            if !if_not_exists {
                return Err(exists);
            }
            self.notices
                .push(SqlError::new(SqlState::DUPLICATE_OBJECT, format!("{}, skipping", exists.message())));
            return Ok(false);
        }
        let at = match neighbour {
            None => labels.len(),
            Some((before, of)) => find(labels, of)? + usize::from(!before),
        };
        let low = at.checked_sub(1).map_or(0, |i| labels[i].value);
        let value = match labels.get(at) {
            Some(next) => low + (next.value - low) / 2,
            None => low.checked_add(GAP).unwrap_or(low + (i64::MAX - low) / 2),
        };
        if value <= low {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("there is no room for another label of enum {} at this place", ty.name),
            ));
        }
        if order_between(labels, at).is_none() {
            labels.iter_mut().zip(1u16..).for_each(|(l, i)| l.order = f32::from(i));
        }
        let new = EnumLabel {
            oid,
            label: label.to_owned(),
            order: order_between(labels, at).unwrap_or(0.0),
            value,
        };
        labels.insert(at, new);
        Ok(true)
    }

    pub(super) fn rename_label(&self, ty: &mut Type, from: &str, to: &str) -> Result<()> {
        check_label(to)?;
        let labels = self.labels_of(ty)?;
        let at = find(labels, from)?;
        if labels.iter().any(|l| l.label == to) {
            return Err(exists(to));
        }
        to.clone_into(&mut labels[at].label);
        Ok(())
    }

    fn labels_of<'t>(&self, ty: &'t mut Type) -> Result<&'t mut Vec<EnumLabel>> {
        let oid = ty.oid;
        match &mut ty.kind {
            TypeKind::Enum(labels) => Ok(labels),
            _ => Err(super::not_a(&self.shown_type(oid), "an enum")),
        }
    }
}

/// The `enumsortorder` of a label that comes to stand at a place, as PostgreSQL chooses it; `None` when no number is left there.
fn order_between(labels: &[EnumLabel], at: usize) -> Option<f32> {
    match (at.checked_sub(1).map(|i| labels[i].order), labels.get(at).map(|l| l.order)) {
        (None, None) => Some(1.0),
        (Some(low), None) => Some(low + 1.0),
        (None, Some(high)) => Some(high - 1.0),
        (Some(low), Some(high)) => {
            let middle = (low + high) / 2.0;
            (low < middle && middle < high).then_some(middle)
        }
    }
}

fn find(labels: &[EnumLabel], label: &str) -> Result<usize> {
    labels.iter().position(|l| l.label == label).ok_or_else(|| {
        SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("\"{label}\" is not an existing enum label"),
        )
    })
}

fn exists(label: &str) -> SqlError {
    SqlError::new(SqlState::DUPLICATE_OBJECT, format!("enum label \"{label}\" already exists"))
}

fn check_label(label: &str) -> Result<()> {
    if label.len() <= MAX_NAME_BYTES {
        return Ok(());
    }
    Err(SqlError::new(SqlState::INVALID_NAME, format!("invalid enum label \"{label}\""))
        .detail(format!("Labels must be {MAX_NAME_BYTES} bytes or less.")))
}
