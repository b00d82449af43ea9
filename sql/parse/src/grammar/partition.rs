//! PARTITION BY, PARTITION OF, FOR VALUES, and the actions of ALTER that attach and detach.

use super::*;

impl<'a> Parser<'a> {
    /// `BY strategy (element, ..)`, after PARTITION.
    pub(super) fn partition_by(&mut self) -> Result<PartitionBy> {
        self.expect_kw(Kw::By)?;
        let strategy = self.column_id()?;
        let keys = self.paren_list(|p| {
            let element = p.index_element()?;
            if element.descending || element.nulls_first.is_some() {
                p.at -= 1;
                return Err(p.unexpected());
            }
            Ok(element)
        })?;
        Ok(PartitionBy { strategy, keys })
    }

    /// `OF parent [(..)] FOR VALUES .. | DEFAULT`, after PARTITION. Table constraints go to `table`.
    pub(super) fn partition_of(&mut self, table: &mut CreateTable) -> Result<PartitionOf> {
        self.expect_kw(Kw::Of)?;
        let parent = self.relation_name()?;
        let mut columns = Vec::new();
        if self.peek() == Tok::LParen {
            self.paren_list(|p| {
                let is_constraint = matches!(
                    p.kw(),
                    Some(Kw::Constraint | Kw::Check | Kw::Unique | Kw::Primary | Kw::Foreign | Kw::Exclude)
                );
                if is_constraint && p.at_table_constraint() {
                    table.constraints.push(p.table_constraint()?);
                    return Ok(());
                }
                let name = p.column_id()?;
                p.accept_kws(&[Kw::With, Kw::Options]);
                let mut constraints = Vec::new();
                loop {
                    // The collation is the parent's, as everything is in order of bytes.
                    if p.accept_kw(Kw::Collate) {
                        p.object_name()?;
                        continue;
                    }
                    match p.column_constraint()? {
                        Some(c) => constraints.push(c),
                        None => break,
                    }
                }
                columns.push(ColumnOptions { name, constraints });
                Ok(())
            })?;
        }
        Ok(PartitionOf {
            parent,
            columns,
            bound: self.partition_bound()?,
        })
    }

    /// `FOR VALUES ..` or `DEFAULT`.
    pub(super) fn partition_bound(&mut self) -> Result<PartitionBoundSpec> {
        let pos = self.pos();
        if self.accept_kw(Kw::Default) {
            return Ok(PartitionBoundSpec {
                kind: PartitionBoundKind::Default,
                pos,
            });
        }
        self.expect_kw(Kw::For)?;
        self.expect_kw(Kw::Values)?;
        let pos = self.pos();
        let kind = match self.kw() {
            Some(Kw::In) => {
                self.bump();
                PartitionBoundKind::List(self.paren_list(|p| p.expr())?)
            }
            Some(Kw::From) => {
                self.bump();
                let from = self.paren_list(|p| p.expr())?;
                self.expect_kw(Kw::To)?;
                let to = self.paren_list(|p| p.expr())?;
                PartitionBoundKind::Range { from, to }
            }
            Some(Kw::With) => {
                self.bump();
                self.hash_bound()?
            }
            _ => return Err(self.unexpected()),
        };
        Ok(PartitionBoundSpec { kind, pos })
    }

    fn hash_bound(&mut self) -> Result<PartitionBoundKind> {
        let (mut modulus, mut remainder) = (None, None);
        self.paren_list(|p| {
            let name = p.label()?;
            let (slot, what) = match name.name.as_str() {
                "modulus" => (&mut modulus, "modulus"),
                "remainder" => (&mut remainder, "remainder"),
                other => {
                    let message = format!("unrecognized hash partition bound specification \"{other}\"");
                    return Err(p.syntax(&message, name.pos));
                }
            };
            if slot.is_some() {
                let message = format!("{what} for hash partition provided more than once");
                return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message).at(Some(name.pos)));
            }
            let (at, at_pos) = (p.at, p.pos());
            let text = p.number()?;
            let number = text.parse::<i32>().map_err(|_| {
                p.at = at;
                p.syntax(&format!("syntax error at or near \"{text}\""), at_pos)
            })?;
            *slot = Some(number);
            Ok(())
        })?;
        let missing = |what: &str| SqlError::new(SqlState::SYNTAX_ERROR, format!("{what} for hash partition must be specified"));
        Ok(PartitionBoundKind::Hash {
            modulus: modulus.ok_or_else(|| missing("modulus"))?,
            remainder: remainder.ok_or_else(|| missing("remainder"))?,
        })
    }

    /// `ATTACH PARTITION ..` or `DETACH PARTITION ..`
    pub(super) fn attach_or_detach(&mut self, kind: ObjectKind) -> Result<AlterTableAction> {
        let attach = self.at_kw(Kw::Attach);
        self.bump();
        self.expect_kw(Kw::Partition)?;
        let name = self.relation_name()?;
        if attach {
            let bound = match kind {
                ObjectKind::Table => Some(self.partition_bound()?),
                _ => None,
            };
            return Ok(AlterTableAction::AttachPartition { name, bound });
        }
        let concurrently = self.accept_kw(Kw::Concurrently);
        let finalize = !concurrently && self.accept_kw(Kw::Finalize);
        Ok(AlterTableAction::DetachPartition {
            name,
            concurrently,
            finalize,
        })
    }
}
