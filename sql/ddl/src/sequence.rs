//! CREATE SEQUENCE, ALTER SEQUENCE, and the sequences behind serial and identity columns.

use crate::Ddl;
use crate::names::relation_exists;
use curia_catalog::{Change, Oid, Relation, Sequence};
use curia_parse::ObjectName;
use curia_parse::ast::{AlterSequence, CreateSequence, SequenceOption, SequenceOptionKind};
use curia_types::{PgType, Result, SqlError, SqlState, oid};

/// A sequence's numbers before it has an OID and a name.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub ty: PgType,
    pub start: i64,
    pub increment: i64,
    pub min: i64,
    pub max: i64,
    pub cache: i64,
    pub cycle: bool,
    /// RESTART: the next value.
    pub restart: Option<i64>,
    /// OWNED BY: outer `Some` when said.
    pub owned_by: Option<Option<(Oid, i16)>>,
    /// SEQUENCE NAME of an identity column.
    pub name: Option<ObjectName>,
}

impl Ddl<'_> {
    pub(crate) async fn create_sequence(&mut self, s: &CreateSequence) -> Result<()> {
        let schema = self.creation_schema(&s.name, s.persistence)?;
        if self.catalog().relation_in(schema.oid, s.name.name()).is_some() {
            let exists = relation_exists(s.name.name());
            if !s.if_not_exists {
                return Err(exists);
            }
            self.notices
                .push(SqlError::new(SqlState::DUPLICATE_TABLE, format!("{}, skipping", exists.message())));
            return Ok(());
        }
        let shape = self.sequence_shape(&s.options, PgType::INT8, None)?;
        let owned_by = shape.owned_by.flatten();
        self.add_sequence(schema.oid, s.name.name().to_owned(), &shape, owned_by).await?;
        Ok(())
    }

    /// Creates a sequence object with a fresh counter.
    pub(crate) async fn add_sequence(&mut self, schema: Oid, name: String, shape: &Shape, owned_by: Option<(Oid, i16)>) -> Result<Oid> {
        let oid = self.new_oid()?;
        let storage = self.new_storage()?;
        let sequence = Sequence {
            oid,
            schema,
            name,
            owner: self.env.role,
            ty: shape.ty,
            start: shape.start,
            increment: shape.increment,
            min: shape.min,
            max: shape.max,
            cache: shape.cache,
            cycle: shape.cycle,
            owned_by,
            storage,
        };
        self.change(Change::put(sequence))?;
        Ok(oid)
    }

    pub(crate) async fn alter_sequence(&mut self, s: &AlterSequence) -> Result<()> {
        let oid = match self.lookup(&s.name)? {
            Some(Relation::Sequence(oid)) => oid,
            Some(_) => {
                return Err(SqlError::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("\"{}\" is not a sequence", s.name.name()),
                ));
            }
            None if s.if_exists => {
                self.notice(format!("relation \"{}\" does not exist, skipping", s.name));
                return Ok(());
            }
            None => return Err(crate::names::no_relation(&s.name)),
        };
        self.must_own(oid)?;
        let old = self.sequence(oid)?;
        self.change_sequence(&old, &s.options).await
    }

    /// Applies options to an existing sequence. A changed counter (RESTART, another type or bounds that move it) starts a fresh generation.
    pub(crate) async fn change_sequence(&mut self, old: &Sequence, options: &[SequenceOption]) -> Result<()> {
        let shape = self.sequence_shape(options, old.ty, Some(old))?;
        if old.owned_by.is_some() && shape.owned_by.is_some() && self.is_identity_sequence(old) {
            return Err(
                SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "cannot change ownership of identity sequence")
                    .detail(format!("Sequence \"{}\" is linked to a table's identity column.", old.name)),
            );
        }
        let mut new = old.clone();
        new.ty = shape.ty;
        new.start = shape.start;
        new.increment = shape.increment;
        new.min = shape.min;
        new.max = shape.max;
        new.cache = shape.cache;
        new.cycle = shape.cycle;
        if let Some(owned_by) = shape.owned_by {
            new.owned_by = owned_by;
        }
        let numbers_change =
            (new.increment, new.min, new.max, new.cache, new.cycle) != (old.increment, old.min, old.max, old.cache, old.cycle);
        if let Some(next) = shape.restart {
            new.storage = self.new_storage()?;
            self.change(Change::put(new.clone()))?;
            self.tx.start_sequence_at(&new, next)?;
        } else if numbers_change {
            // Blocks reserved with the old numbers must not be used: carry the counter over to a fresh generation.
            let next = self.tx.sequence_next(old)?;
            new.storage = self.new_storage()?;
            if next < new.min || next > new.max {
                let (what, bound, word) = if next < new.min {
                    ("less", new.min, "MINVALUE")
                } else {
                    ("greater", new.max, "MAXVALUE")
                };
                return Err(invalid(format!("RESTART value ({next}) cannot be {what} than {word} ({bound})")));
            }
            self.change(Change::put(new.clone()))?;
            self.tx.start_sequence_at(&new, next)?;
        } else {
            self.change(Change::put(new))?;
        }
        Ok(())
    }

    fn is_identity_sequence(&self, s: &Sequence) -> bool {
        let catalog = self.catalog();
        s.owned_by.is_some_and(|(t, a)| {
            catalog
                .tables
                .get(&t)
                .is_some_and(|t| t.columns.iter().any(|c| c.attnum == a && c.identity.is_some() && !c.dropped))
        })
    }

    /// Options to numbers, with PostgreSQL's checks in its order (`init_params`).
    pub(crate) fn sequence_shape(&self, options: &[SequenceOption], default_ty: PgType, old: Option<&Sequence>) -> Result<Shape> {
        use SequenceOptionKind as K;
        let mut seen: Vec<std::mem::Discriminant<K>> = Vec::new();
        for o in options {
            let d = std::mem::discriminant(&o.kind);
            if seen.contains(&d) {
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, "conflicting or redundant options").at(Some(o.pos)));
            }
            seen.push(d);
        }
        let mut ty = default_ty;
        let (mut increment, mut min, mut max, mut start, mut restart) = (None, None, None, None, None);
        let (mut cache, mut cycle, mut owned_by) = (None, None, None);
        for o in options {
            match &o.kind {
                K::As(name) => {
                    ty = self.resolve_type(name)?;
                    if !matches!(ty.oid, oid::INT2 | oid::INT4 | oid::INT8) {
                        return Err(invalid("sequence type must be smallint, integer, or bigint".to_owned()));
                    }
                }
                K::Start(n) => start = Some(*n),
                K::Increment(n) => increment = Some(*n),
                K::MinValue(n) => min = Some(*n),
                K::MaxValue(n) => max = Some(*n),
                K::Cache(n) => cache = Some(*n),
                K::Cycle(b) => cycle = Some(*b),
                K::Restart(n) => restart = Some(*n),
                K::Name(_) => {
                    let error = SqlError::new(SqlState::SYNTAX_ERROR, "invalid sequence option SEQUENCE NAME");
                    return Err(error.at(Some(o.pos)));
                }
                K::OwnedBy(None) => owned_by = Some(None),
                K::OwnedBy(Some(name)) => owned_by = Some(Some(self.owning_column(name)?)),
            }
        }
        let increment = increment.or(old.map(|o| o.increment)).unwrap_or(1);
        if increment == 0 {
            return Err(invalid("INCREMENT must not be zero".to_owned()));
        }
        let (type_min, type_max, name) = match ty.oid {
            oid::INT2 => (i64::from(i16::MIN), i64::from(i16::MAX), "smallint"),
            oid::INT4 => (i64::from(i32::MIN), i64::from(i32::MAX), "integer"),
            _ => (i64::MIN, i64::MAX, "bigint"),
        };
        let ascending = increment > 0;
        // A bound that was the old type's default follows the type.
        let kept = |value: i64, old_default: i64| {
            if ty == default_ty || value != old_default {
                Some(value)
            } else {
                None
            }
        };
        let old_bounds = old.map(|o| match o.ty.oid {
            oid::INT2 => (i64::from(i16::MIN), i64::from(i16::MAX), o),
            oid::INT4 => (i64::from(i32::MIN), i64::from(i32::MAX), o),
            _ => (i64::MIN, i64::MAX, o),
        });
        let max = match max {
            Some(Some(n)) => n,
            Some(None) => {
                if ascending {
                    type_max
                } else {
                    -1
                }
            }
            None => match old_bounds {
                Some((_, m, o)) => kept(o.max, m).unwrap_or(type_max),
                None if ascending => type_max,
                None => -1,
            },
        };
        if max > type_max || max < type_min {
            return Err(invalid(format!("MAXVALUE ({max}) is out of range for sequence data type {name}")));
        }
        let min = match min {
            Some(Some(n)) => n,
            Some(None) => {
                if ascending {
                    1
                } else {
                    type_min
                }
            }
            None => match old_bounds {
                Some((m, _, o)) => kept(o.min, m).unwrap_or(type_min),
                None if ascending => 1,
                None => type_min,
            },
        };
        if min < type_min || min > type_max {
            return Err(invalid(format!("MINVALUE ({min}) is out of range for sequence data type {name}")));
        }
        if min >= max {
            return Err(invalid(format!("MINVALUE ({min}) must be less than MAXVALUE ({max})")));
        }
        let start = start.or(old.map(|o| o.start)).unwrap_or(if ascending { min } else { max });
        if start < min {
            return Err(invalid(format!("START value ({start}) cannot be less than MINVALUE ({min})")));
        }
        if start > max {
            return Err(invalid(format!("START value ({start}) cannot be greater than MAXVALUE ({max})")));
        }
        let restart = restart.map(|r| r.unwrap_or(start));
        if let Some(r) = restart {
            if r < min {
                return Err(invalid(format!("RESTART value ({r}) cannot be less than MINVALUE ({min})")));
            }
            if r > max {
                return Err(invalid(format!("RESTART value ({r}) cannot be greater than MAXVALUE ({max})")));
            }
        }
        let cache = cache.or(old.map(|o| o.cache)).unwrap_or(1);
        if cache <= 0 {
            return Err(invalid(format!("CACHE ({cache}) must be greater than zero")));
        }
        let cycle = cycle.or(old.map(|o| o.cycle)).unwrap_or(false);
        Ok(Shape {
            ty,
            start,
            increment,
            min,
            max,
            cache,
            cycle,
            restart,
            owned_by,
            name: None,
        })
    }

    /// OWNED BY table.column
    fn owning_column(&self, name: &ObjectName) -> Result<(Oid, i16)> {
        let [table @ .., column] = name.parts.as_slice() else {
            return Err(SqlError::internal("empty name"));
        };
        if table.is_empty() {
            return Err(
                SqlError::new(SqlState::SYNTAX_ERROR, "invalid OWNED BY option").hint("Specify OWNED BY table.column or OWNED BY NONE.")
            );
        }
        let table = self.find_table(&ObjectName { parts: table.to_vec() })?;
        let i = crate::names::find_column(&table, column).map_err(|_| {
            SqlError::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{}\" of relation \"{}\" does not exist", column.name, table.name),
            )
        })?;
        Ok((table.oid, table.columns[i].attnum))
    }
}

fn invalid(message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}
