//! Spans of time as people write them.

use std::str::FromStr;

const UNITS: &[(&str, u64)] =
    &[("s", 1), ("m", 60), ("h", 3600), ("d", 86400), ("w", 7 * 86400), ("y", 365 * 86400)];

/// A hundred years: longer than anything is kept.
const LONGEST: u64 = 100 * 365 * 86400;

/// Seconds of `45s`, `90m`, `12h`, `30d`, `2w`, `1y`.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim_start());
    let refuse = |what: &str| Err(format!("`{text}` is no span of time: {what}"));
    if number.is_empty() {
        return refuse("it must begin with a whole number");
    }
    if unit.is_empty() {
        return refuse("its unit is missing");
    }
    let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return refuse(&format!("`{unit}` is no unit of time"));
    };
    match u64::from_str(number).ok().and_then(|n| n.checked_mul(*factor)) {
        Some(0) => refuse("it must be longer than nothing"),
        Some(seconds) if seconds <= LONGEST => Ok(seconds),
        _ => refuse("at most a hundred years"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_of_each_unit() {
        let all = ["45s", "90m", "12h", "30d", "2w", "1 y"].map(|text| parse(text).unwrap());
        assert_eq!(all, [45, 5400, 43200, 2_592_000, 1_209_600, 31_536_000]);
    }

    #[test]
    fn what_is_none_says_why() {
        for (text, part) in [
            ("", "whole number"),
            ("d", "whole number"),
            ("-3d", "whole number"),
            ("30", "unit is missing"),
            ("30 days", "`days` is no unit"),
            ("1.5d", "`.5d` is no unit"),
            ("0d", "longer than nothing"),
            ("101y", "hundred years"),
            ("99999999999999999999y", "hundred years"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
