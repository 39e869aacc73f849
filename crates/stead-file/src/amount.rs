//! Forms of what is counted with a unit: processors, bytes, time.

use crate::age;
use crate::form::{Form, integer};
use crate::reader::{Reader, Spot};
use crate::size::Size;
use serde_json::{Value as Json, json};
use toml::de::DeValue;

/// An integer or a number with a point.
fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Integer(number) => integer(number).map(|number| number as f64),
        DeValue::Float(number) => number.as_str().parse().ok(),
        _ => None,
    }
}

/// Processors: a number, read as thousandths.
pub(crate) struct Cpus;

/// Most processors of a machine.
const MAX_CPUS: u32 = 128;

impl Form for Cpus {
    type Out = u32;

    fn expects(&self) -> String {
        format!("a number from 0.01 to {MAX_CPUS}")
    }

    fn schema(&self) -> Json {
        json!({ "type": "number", "minimum": 0.01, "maximum": MAX_CPUS })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<u32> {
        let value = spot.get_ref();
        if !value.is_integer() && !value.is_float() {
            reader.wrong(spot, &self.expects());
            return None;
        }
        let count = number(value).filter(|count| (0.01..=f64::from(MAX_CPUS)).contains(count));
        if count.is_none() {
            let message = format!("`{}` must be {}", reader.key.0, self.expects());
            reader.refuse(spot, message).label("out of range");
        }
        count.map(|count| (count * 1000.0).round() as u32)
    }
}

/// A size between two, both allowed.
pub(crate) struct Bytes(pub Size, pub Size);

impl Form for Bytes {
    type Out = Size;

    fn expects(&self) -> String {
        format!("a size from {} to {}", self.0, self.1)
    }

    fn schema(&self) -> Json {
        let unit = "([kKmMgGtT]([iI]?[bB])?|[bB])?";
        json!({ "anyOf": [
            { "type": "string", "pattern": format!("^ *[0-9]+(\\.[0-9]+)? *{unit} *$") },
            { "type": "number", "exclusiveMinimum": 0, "maximum": self.1.bytes() >> 30 },
        ] })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<Size> {
        let (key, _) = reader.key;
        let size = match spot.get_ref() {
            DeValue::String(text) => match text.parse::<Size>() {
                Ok(size) => size,
                Err(error) => {
                    reader.problem(spot.span(), error.to_string());
                    return None;
                }
            },
            value @ (DeValue::Integer(_) | DeValue::Float(_)) => {
                // Beyond any limit a float's last bits do not matter.
                let gib = number(value).filter(|gib| gib.is_finite()).unwrap_or(f64::MAX);
                Size((gib * Size::gib(1).bytes() as f64) as u64)
            }
            _ => {
                reader.wrong(spot, &self.expects());
                return None;
            }
        };
        if (self.0..=self.1).contains(&size) {
            return Some(size);
        }
        let label = match spot.get_ref() {
            DeValue::String(_) => format!("this is {}", size.about()),
            _ if size.bytes() == 0 => "this is nothing".into(),
            _ => format!("this is {}: a number alone is GiB", size.about()),
        };
        reader.refuse(spot, format!("`{key}` must be {}", self.expects())).label(label);
        None
    }
}

/// A span of time, read as seconds.
pub(crate) struct Age;

impl Form for Age {
    type Out = u64;

    fn expects(&self) -> String {
        "a span of time such as \"12h\", \"30d\" or \"2w\"".into()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": "^[0-9]+ *[smhdwy]$" })
    }

    fn read(&self, spot: Spot<'_>, reader: &mut Reader<'_>) -> Option<u64> {
        let text = reader.text(spot, &self.expects())?;
        age::parse(text)
            .map_err(|message| {
                reader
                    .refuse(spot, message)
                    .help("units are s, m, h, d, w and y: write for example `age = \"30d\"`");
            })
            .ok()
    }
}
