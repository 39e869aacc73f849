//! Sizes as people write them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A number of bytes: memory or disk.
///
/// Written with the unit one means: `KiB`, `MiB`, `GiB`, `TiB` (also `K`, `M`, `G`, `T`) are powers of 1024, `kB`, `MB`,
/// `GB`, `TB` powers of 1000, `B` bytes. Upper and lower case are the same, and a number alone is GiB.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Size(pub u64);

/// Why a text is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// It does not begin with a number.
    #[error("`{0}` is no size: write a number and a unit, such as `8gb` or `512MiB`")]
    NoNumber(String),
    /// The unit is not known.
    #[error(
        "`{0}` is no unit of size: take `mb` or `gb` (powers of 1000), `MiB` or `GiB` (powers of 1024)"
    )]
    Unit(String),
    /// More bytes than can be counted.
    #[error("`{0}` is more than can be counted: write for example `8gb`")]
    TooLarge(String),
}

/// Units by their factor, largest first. Of two names the first is how a size is shown.
const UNITS: &[(u64, &[&str])] = &[
    (1 << 40, &["TiB", "t"]),
    (1_000_000_000_000, &["TB"]),
    (1 << 30, &["GiB", "g", ""]),
    (1_000_000_000, &["GB"]),
    (1 << 20, &["MiB", "m"]),
    (1_000_000, &["MB"]),
    (1 << 10, &["KiB", "k"]),
    (1_000, &["kB"]),
    (1, &["B"]),
];

impl Size {
    /// A size of so many MiB.
    pub const fn mib(count: u64) -> Self {
        Size(count << 20)
    }

    /// A size of so many GiB.
    pub const fn gib(count: u64) -> Self {
        Size(count << 30)
    }

    /// Bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// About how much, for a sentence: `15.6 GiB`.
    pub fn about(self) -> String {
        let (factor, name) = UNITS
            .iter()
            .filter(|(factor, _)| factor.is_power_of_two())
            .find(|(factor, _)| self.0 >= *factor)
            .map_or((1, "B"), |(factor, names)| (*factor, names[0]));
        let number = format!("{:.1}", self.0 as f64 / factor as f64);
        format!("{} {name}", number.strip_suffix(".0").unwrap_or(&number))
    }
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = (&text[..end], text[end..].trim_start());
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        if whole.is_empty() || part.is_empty() || part.contains('.') {
            return Err(SizeError::NoNumber(text.into()));
        }
        let factor = UNITS
            .iter()
            .find(|(_, names)| names.iter().any(|name| name.eq_ignore_ascii_case(unit)))
            .map(|(factor, _)| u128::from(*factor))
            .ok_or_else(|| SizeError::Unit(unit.into()))?;
        // In whole numbers: a float would lose bytes. Digits behind the ninth are less than any unit resolves.
        let part = &part[..part.len().min(9)];
        let too_large = || SizeError::TooLarge(text.into());
        let whole: u128 = u64::from_str(whole).map_err(|_| too_large())?.into();
        let digits: u128 = u64::from_str(part).map_err(|_| too_large())?.into();
        let bytes = whole * factor + digits * factor / 10u128.pow(part.len() as u32);
        u64::try_from(bytes).map(Size).map_err(|_| too_large())
    }
}

/// Exact, in the largest unit that is: `8 GiB`, `1500 MB`. Reads back as the same size.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (factor, names) = UNITS
            .iter()
            .find(|(factor, _)| self.0 != 0 && self.0.is_multiple_of(*factor))
            .unwrap_or(&UNITS[UNITS.len() - 1]);
        write!(f, "{} {}", self.0 / factor, names[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn size(text: &str) -> u64 {
        text.parse::<Size>().unwrap().bytes()
    }

    #[test]
    fn units_are_powers_of_1000_or_1024_as_written() {
        assert_eq!(size("8gb"), 8_000_000_000);
        assert_eq!(size("8GiB"), 8 << 30);
        assert_eq!(size("8g"), 8 << 30);
        assert_eq!(size("4"), 4 << 30);
        assert_eq!(size("512 MiB"), 512 << 20);
        assert_eq!(size("1.5tb"), 1_500_000_000_000);
        assert_eq!(size("0.5k"), 512);
        assert_eq!(size(" 12B "), 12);
        assert_eq!(size("0.3333333333333333333gb"), 333_333_333);
    }

    #[test]
    fn what_is_no_size_says_what_would_be() {
        for (text, part) in [
            ("", "a number and a unit"),
            ("gb", "a number and a unit"),
            ("1.gb", "a number and a unit"),
            ("1.2.3gb", "a number and a unit"),
            ("-1gb", "a number and a unit"),
            ("8 gigs", "`gigs` is no unit"),
            ("1e3", "`e3` is no unit"),
            ("99999999tb", "more than can be counted"),
            ("99999999999999999999b", "more than can be counted"),
        ] {
            let error = text.parse::<Size>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn about_is_short() {
        assert_eq!(Size(16_654_321_000).about(), "15.5 GiB");
        assert_eq!(Size::gib(2).about(), "2 GiB");
        assert_eq!(Size(12).about(), "12 B");
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(bytes: u64, factor in prop::sample::select(vec![1, 1000, 1 << 20, 1_000_000_000])) {
            let size = Size((bytes / factor) * factor);
            prop_assert_eq!(size.to_string().parse::<Size>().unwrap(), size);
        }

        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let _ = text.parse::<Size>();
        }

        #[test]
        fn any_number_is_read_or_refused(text in "[0-9]{0,25}\\.?[0-9]{0,25} ?[kmgt]?i?b?") {
            let _ = text.parse::<Size>();
        }
    }
}
