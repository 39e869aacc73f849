//! Tables that have names, within a table: `[systems.NAME.users.NAME]`.

use crate::form::Form;
use crate::reader::{Reader, Spot, kind};
use crate::table::Table;
use crate::text::Like;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// Tables of one kind, by name.
pub(crate) struct Named<T: 'static> {
    pub table: &'static Table<T>,
    /// What a name must be.
    pub name: Like,
}

impl<T: Default> Form for Named<T> {
    type Out = BTreeMap<String, T>;

    fn expects(&self) -> String {
        format!("tables, each headed `{}`", self.table.header)
    }

    fn schema(&self) -> Json {
        json!({ "type": "object", "additionalProperties": self.table.schema() })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<Self::Out> {
        let Some(members) = spot.get_ref().as_table() else {
            reader.wrong(spot, &self.expects());
            return None;
        };
        let mut all = BTreeMap::new();
        for (name, value) in members {
            let text: &str = name.get_ref();
            if !(self.name.is)(text) {
                let shown: String = text.chars().take(80).collect();
                reader.problem(name.span(), format!("{shown:?} is not {}", self.name.what));
                continue;
            }
            if !value.get_ref().is_table() {
                let (what, found) = (self.table.what, kind(value.get_ref()));
                reader.problem(value.span(), format!("{what} must be a table, not {found}")).help(
                    format!(
                        "each is headed `{}`, with its name for the last NAME",
                        self.table.header
                    ),
                );
                continue;
            }
            let mut into = T::default();
            self.table.read(value, reader, &mut into);
            all.insert(text.into(), into);
        }
        Some(all)
    }
}

/// A table of texts of one kind, by name: versions, labels.
pub(crate) struct Texts {
    /// What a name must be.
    pub name: Like,
    /// What is behind it.
    pub value: Like,
}

impl Form for Texts {
    type Out = BTreeMap<String, String>;

    fn expects(&self) -> String {
        format!("a table, each entry {}", self.value.what)
    }

    fn schema(&self) -> Json {
        json!({ "type": "object", "additionalProperties": self.value.schema() })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<Self::Out> {
        let Some(table) = spot.get_ref().as_table() else {
            reader.wrong(spot, &self.expects());
            return None;
        };
        let mut all = BTreeMap::new();
        for (name, value) in table {
            let text: &str = name.get_ref();
            if !(self.name.is)(text) {
                let shown: String = text.chars().take(80).collect();
                reader.problem(name.span(), format!("{shown:?} is not {}", self.name.what));
                continue;
            }
            reader.entry = true;
            let read = self.value.read(value, reader);
            reader.entry = false;
            if let Some(value) = read {
                all.insert(text.into(), value);
            }
        }
        Some(all)
    }
}
