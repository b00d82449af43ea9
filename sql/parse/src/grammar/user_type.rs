//! CREATE TYPE, CREATE DOMAIN and their ALTERs.

use super::*;

impl<'a> Parser<'a> {
    /// CREATE TYPE, after the words.
    pub(super) fn create_type(&mut self) -> Result<Statement> {
        let name = self.object_name()?;
        let kind = if self.accept_kw(Kw::As) {
            match self.kw() {
                Some(Kw::Enum) => {
                    self.bump();
                    self.expect(Tok::LParen)?;
                    let labels = if self.peek() == Tok::RParen {
                        Vec::new()
                    } else {
                        self.comma_list(|p| p.string())?
                    };
                    self.expect(Tok::RParen)?;
                    CreateTypeKind::Enum(labels)
                }
                Some(Kw::Range) => {
                    self.skip_statement();
                    CreateTypeKind::Unsupported("CREATE TYPE AS RANGE")
                }
                _ => {
                    self.expect(Tok::LParen)?;
                    let attributes = if self.peek() == Tok::RParen {
                        Vec::new()
                    } else {
                        self.comma_list(|p| p.attribute_def())?
                    };
                    self.expect(Tok::RParen)?;
                    CreateTypeKind::Composite(attributes)
                }
            }
        } else {
            self.skip_statement();
            CreateTypeKind::Unsupported("CREATE TYPE of a base type")
        };
        Ok(Statement::CreateType(Box::new(CreateType { name, kind })))
    }

    fn attribute_def(&mut self) -> Result<AttributeDef> {
        let name = self.column_id()?;
        let ty = self.type_name()?;
        let collation = self.collation()?;
        Ok(AttributeDef { name, ty, collation })
    }

    fn collation(&mut self) -> Result<Option<ObjectName>> {
        if self.accept_kw(Kw::Collate) {
            self.object_name().map(Some)
        } else {
            Ok(None)
        }
    }

    /// CREATE DOMAIN, after the words.
    pub(super) fn create_domain(&mut self) -> Result<Statement> {
        let name = self.object_name()?;
        self.accept_kw(Kw::As);
        let ty = self.type_name()?;
        let mut domain = CreateDomain {
            name,
            ty,
            collation: None,
            constraints: Vec::new(),
        };
        loop {
            if let Some(collation) = self.collation()? {
                domain.collation = Some(collation);
            } else {
                match self.column_constraint()? {
                    Some(constraint) => domain.constraints.push(constraint),
                    None => return Ok(Statement::CreateDomain(Box::new(domain))),
                }
            }
        }
    }

    /// ALTER TYPE and ALTER DOMAIN, after the words.
    pub(super) fn alter_user_type(&mut self, domain: bool) -> Result<Statement> {
        let name = self.object_name()?;
        let action = match self.kw() {
            Some(Kw::Rename) => {
                self.bump();
                self.rename_in_type(domain)?
            }
            Some(Kw::Owner) => {
                self.bump();
                self.expect_kw(Kw::To)?;
                AlterTypeAction::OwnerTo(self.role_spec()?)
            }
            Some(Kw::Set) if self.kw_at(1, Kw::Schema) => {
                self.at += 2;
                AlterTypeAction::SetSchema(self.column_id()?)
            }
            Some(_) if domain => self.alter_domain_action()?,
            Some(Kw::Set) => {
                self.skip_statement();
                AlterTypeAction::Options
            }
            Some(Kw::Add) if self.kw_at(1, Kw::Value) => {
                self.at += 2;
                let if_not_exists = self.if_not_exists()?;
                let label = self.string()?;
                let neighbour = match self.kw() {
                    Some(kw @ (Kw::Before | Kw::After)) => {
                        self.bump();
                        Some((kw == Kw::Before, self.string()?))
                    }
                    _ => None,
                };
                AlterTypeAction::AddValue {
                    if_not_exists,
                    label,
                    neighbour,
                }
            }
            _ => AlterTypeAction::Attributes(self.comma_list(|p| p.attribute_action())?),
        };
        Ok(Statement::AlterType(Box::new(AlterType { name, domain, action })))
    }

    fn rename_in_type(&mut self, domain: bool) -> Result<AlterTypeAction> {
        match self.kw() {
            Some(Kw::To) => {
                self.bump();
                Ok(AlterTypeAction::RenameTo(self.column_id()?))
            }
            Some(Kw::Constraint) if domain => {
                self.bump();
                let from = self.column_id()?;
                self.expect_kw(Kw::To)?;
                Ok(AlterTypeAction::RenameConstraint(from, self.column_id()?))
            }
            Some(Kw::Value) if !domain => {
                self.bump();
                let from = self.string()?;
                self.expect_kw(Kw::To)?;
                Ok(AlterTypeAction::RenameValue(from, self.string()?))
            }
            Some(Kw::Attribute) if !domain => {
                self.bump();
                let from = self.column_id()?;
                self.expect_kw(Kw::To)?;
                let to = self.column_id()?;
                self.cascade();
                Ok(AlterTypeAction::RenameAttribute(from, to))
            }
            _ => Err(self.unexpected()),
        }
    }

    fn attribute_action(&mut self) -> Result<AttributeAction> {
        let kw = self.kw();
        self.bump();
        let action = match kw {
            Some(Kw::Add) => {
                self.expect_kw(Kw::Attribute)?;
                AttributeAction::Add(self.attribute_def()?)
            }
            Some(Kw::Drop) => {
                self.expect_kw(Kw::Attribute)?;
                let if_exists = self.if_exists();
                AttributeAction::Drop {
                    name: self.column_id()?,
                    if_exists,
                }
            }
            Some(Kw::Alter) => {
                self.expect_kw(Kw::Attribute)?;
                let name = self.column_id()?;
                self.accept_kws(&[Kw::Set, Kw::Data]);
                self.expect_kw(Kw::Type)?;
                let ty = self.type_name()?;
                let collation = self.collation()?;
                AttributeAction::SetType(AttributeDef { name, ty, collation })
            }
            _ => {
                self.at -= 1;
                return Err(self.unexpected());
            }
        };
        self.cascade();
        Ok(action)
    }

    fn alter_domain_action(&mut self) -> Result<AlterTypeAction> {
        let kw = self.kw();
        self.bump();
        match kw {
            Some(kw @ (Kw::Set | Kw::Drop)) if self.at_kw(Kw::Not) => {
                self.bump();
                self.expect_kw(Kw::Null)?;
                Ok(AlterTypeAction::NotNull(kw == Kw::Set))
            }
            Some(Kw::Set) => {
                self.expect_kw(Kw::Default)?;
                Ok(AlterTypeAction::Default(Some(self.stored(Self::expr)?)))
            }
            Some(Kw::Drop) if self.accept_kw(Kw::Default) => Ok(AlterTypeAction::Default(None)),
            Some(Kw::Drop) => {
                self.expect_kw(Kw::Constraint)?;
                let if_exists = self.if_exists();
                let name = self.column_id()?;
                self.cascade();
                Ok(AlterTypeAction::DropConstraint { name, if_exists })
            }
            Some(Kw::Add) => {
                let constraint = self.column_constraint()?.ok_or_else(|| self.unexpected())?;
                let not_valid = match &constraint.kind {
                    ColumnConstraintKind::Check { attributes, .. } => attributes.not_valid,
                    _ => false,
                };
                Ok(AlterTypeAction::AddConstraint { constraint, not_valid })
            }
            Some(Kw::Validate) => {
                self.expect_kw(Kw::Constraint)?;
                Ok(AlterTypeAction::ValidateConstraint(self.column_id()?))
            }
            _ => {
                self.at -= 1;
                Err(self.unexpected())
            }
        }
    }
}
