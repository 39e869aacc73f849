//! A table of the file described once: reading, help, the schema and the reference page all come from it.

use crate::keys;
use crate::nearest::nearest;
use crate::reader::{Reader, Spot, kind};
use serde_json::{Map, Value as Json, json};

/// One key of a table and what becomes of its value.
pub(crate) struct Key<T> {
    pub name: &'static str,
    /// What it is, in a sentence or more.
    pub doc: &'static [&'static str],
    /// What holds without it.
    pub default: &'static str,
    /// A value as it is written in the file.
    pub example: &'static str,
    /// Whether the table makes no sense without it.
    pub required: bool,
    /// What other programs call it.
    pub elsewhere: &'static [&'static str],
    /// Completes "must be ...".
    pub expects: fn() -> String,
    pub schema: fn() -> Json,
    pub read: fn(Spot<'_>, &mut Reader<'_>, &mut T),
}

impl<T> Key<T> {
    /// The documentation as one line.
    pub fn told(&self) -> String {
        self.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }

    /// The example as a value.
    fn example(&self) -> Json {
        let line = format!("value = {}", self.example);
        let table: Map<String, Json> =
            toml::from_str(&line).expect("examples are checked by a test");
        table.into_iter().map(|(_, value)| value).collect::<Vec<_>>().swap_remove(0)
    }
}

/// A table that is read into a `T`.
pub(crate) struct Table<T: 'static> {
    /// One such thing: `a machine`.
    pub what: &'static str,
    /// How it is headed: `[machines.NAME]`.
    pub header: &'static str,
    pub doc: &'static str,
    pub keys: &'static [Key<T>],
}

/// The keys of a table. Each: documentation, name, form, what holds without it, an example, words that other
/// programs use for it, and where the value goes. Behind `tables` keys whose value is a table described elsewhere: what
/// it says is added to what is there.
macro_rules! rows {
    ($into:ty { $(
        $(#[doc = $doc:literal])+
        $name:ident: $form:expr, $default:literal, $example:literal
            $(, required $required:literal)? $(, elsewhere [$($elsewhere:literal),+])? => $put:expr;
    )+ } $(tables { $(
        $(#[doc = $sub_doc:literal])+
        $sub:ident: $table:expr, $sub_default:literal, $sub_example:literal
            $(, elsewhere [$($sub_elsewhere:literal),+])? => $place:expr;
    )+ })?) => {
        &[$(Key {
            name: stringify!($name),
            doc: &[$($doc),+],
            default: $default,
            example: $example,
            required: false $(|| $required)?,
            elsewhere: &[$($($elsewhere),+)?],
            expects: || Form::expects(&$form),
            schema: || Form::schema(&$form),
            read: |spot, reader, into: &mut $into| {
                if let Some(value) = Form::read(&$form, spot, reader) {
                    let put: fn(&mut $into, _) = $put;
                    put(into, value);
                }
            },
        },)+ $($(Key {
            name: stringify!($sub),
            doc: &[$($sub_doc),+],
            default: $sub_default,
            example: $sub_example,
            required: false,
            elsewhere: &[$($($sub_elsewhere),+)?],
            expects: || "a table".into(),
            schema: || $table.schema(),
            read: |spot, reader, into: &mut $into| {
                let place: fn(&mut $into) -> &mut _ = $place;
                $table.read(spot, reader, place(into));
            },
        },)+)?]
    };
}
pub(crate) use rows;

impl<T> Table<T> {
    /// Reads the table's keys into `into`; every problem is noted.
    pub fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>, into: &mut T) {
        let Some(table) = spot.get_ref().as_table() else {
            let found = kind(spot.get_ref());
            let help = format!("it is headed `{}`", self.header);
            reader
                .problem(spot.span(), format!("{} must be a table, not {found}", self.what))
                .help(help);
            return;
        };
        let outer = reader.key;
        for (name, value) in table {
            match self.keys.iter().find(|key| key.name == name.get_ref()) {
                Some(key) => {
                    reader.key = (key.name, key.example);
                    (key.read)(value, reader, into);
                }
                None => self.unknown(name.get_ref(), name.span(), reader),
            }
        }
        reader.key = outer;
        for key in self.keys.iter().filter(|key| key.required) {
            if !reader.broken && !table.contains_key(key.name) {
                let (name, what) = (key.name, self.what);
                reader
                    .problem(spot.span(), format!("{what} needs `{name}`, and this one has none"))
                    .help(format!("write for example `{name} = {}`", key.example));
            }
        }
    }

    fn unknown(&self, name: &str, span: std::ops::Range<usize>, reader: &mut Reader<'_>) {
        let shown: String = name.chars().take(80).collect();
        let problem = reader.problem(span, format!("{} has no key `{shown}`", self.what));
        let called = self.keys.iter().find(|key| key.elsewhere.contains(&name));
        if let Some(key) = called {
            problem
                .help(format!("it is called `{}` here, as in `{0} = {}`", key.name, key.example));
        } else if let Some(header) = keys::home_of(name) {
            problem.help(format!("`{shown}` belongs in {header}"));
        } else if let Some(near) = nearest(name, self.keys.iter().map(|key| key.name)) {
            problem.help(format!("did you mean `{near}`?"));
        } else {
            let all: Vec<_> = self.keys.iter().map(|key| format!("`{}`", key.name)).collect();
            problem.help(format!("its keys are {}", all.join(", ")));
        }
    }

    /// The table for programs: JSON Schema.
    pub fn schema(&self) -> Json {
        let mut properties = Map::new();
        for key in self.keys {
            let mut schema = (key.schema)();
            if let Some(object) = schema.as_object_mut() {
                object.insert("description".into(), key.told().into());
                object.insert("examples".into(), json!([key.example()]));
            }
            properties.insert(key.name.into(), schema);
        }
        let required: Vec<_> =
            self.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
        let mut schema = json!({
            "type": "object",
            "description": self.doc,
            "properties": properties,
            "additionalProperties": false,
        });
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        schema
    }
}
