//! Amounts in a currency's minor unit, read and written exactly.
//!
//! No floating point anywhere: an amount is an integer of cents (or yen, or
//! fils), an amount in major units is text that is read digit by digit.

use std::fmt;
use std::str::FromStr;

use crate::model::text_column;

/// A currency that Stripe can transfer, as its lowercase three-letter code.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    diesel::expression::AsExpression,
    diesel::deserialize::FromSqlRow,
)]
#[diesel(sql_type = diesel::sql_types::Text)]
pub struct Currency(&'static str);

/// How many decimals a currency has, and what Stripe demands of its minor amounts.
/// Source: Stripe's documentation, "Supported currencies" (special cases and
/// zero-decimal currencies). ISO 4217 differs for MGA, ISK and UGX.
const ZERO_DECIMALS: &[&str] = &[
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf",
    "xof", "xpf",
];
/// Written with two decimals to the API, which must be 00.
const TWO_DECIMALS_BOTH_ZERO: &[&str] = &["isk", "ugx"];
/// Three decimals, the last of which must be 0.
const THREE_DECIMALS: &[&str] = &["bhd", "jod", "kwd", "omr", "tnd"];
const TWO_DECIMALS: &[&str] = &[
    "aed", "afn", "all", "amd", "ang", "aoa", "ars", "aud", "awg", "azn", "bam", "bbd", "bdt",
    "bgn", "bmd", "bnd", "bob", "brl", "bsd", "btn", "bwp", "byn", "bzd", "cad", "cdf", "chf",
    "cny", "cop", "crc", "cve", "czk", "dkk", "dop", "dzd", "egp", "etb", "eur", "fjd", "fkp",
    "gbp", "gel", "ghs", "gip", "gmd", "gtq", "gyd", "hkd", "hnl", "htg", "huf", "idr", "ils",
    "inr", "jmd", "kes", "kgs", "khr", "kyd", "kzt", "lak", "lbp", "lkr", "lrd", "lsl", "mad",
    "mdl", "mkd", "mmk", "mnt", "mop", "mur", "mvr", "mwk", "mxn", "myr", "mzn", "nad", "ngn",
    "nio", "nok", "npr", "nzd", "pab", "pen", "pgk", "php", "pkr", "pln", "qar", "ron", "rsd",
    "rub", "sar", "sbd", "scr", "sek", "sgd", "shp", "sle", "sos", "srd", "std", "szl", "thb",
    "tjs", "top", "try", "ttd", "twd", "tzs", "uah", "usd", "uyu", "uzs", "wst", "xcd", "yer",
    "zar", "zmw",
];

/// Not a currency that Stripe transfers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a currency Stripe can transfer (a three-letter code such as usd)")]
pub struct UnknownCurrency(String);

impl Currency {
    /// US dollars, the default.
    pub const USD: Self = Self("usd");

    /// The lowercase code, as Stripe writes it.
    pub fn as_str(&self) -> &'static str {
        self.0
    }

    /// The uppercase code, as people write it.
    pub fn upper(self) -> String {
        self.0.to_ascii_uppercase()
    }

    /// Digits after the decimal point in the major unit.
    pub fn decimals(self) -> u32 {
        if ZERO_DECIMALS.contains(&self.0) {
            0
        } else if THREE_DECIMALS.contains(&self.0) {
            3
        } else {
            2
        }
    }

    /// What a minor amount must be a multiple of for Stripe to take it.
    fn step(self) -> i32 {
        if TWO_DECIMALS_BOTH_ZERO.contains(&self.0) {
            100
        } else if THREE_DECIMALS.contains(&self.0) {
            10
        } else {
            1
        }
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;

    /// Reads a code without regard to case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.to_ascii_lowercase();
        [
            TWO_DECIMALS,
            ZERO_DECIMALS,
            THREE_DECIMALS,
            TWO_DECIMALS_BOTH_ZERO,
        ]
        .into_iter()
        .flatten()
        .find(|code| **code == lower)
        .map(|code| Self(code))
        .ok_or_else(|| UnknownCurrency(text.to_owned()))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

text_column!(Currency);

/// Why a text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Nothing there.
    #[error("the amount is empty")]
    Empty,
    /// A character that has no place in an amount.
    #[error(
        "{0:?} has no place in an amount; write digits with a point for decimals, such as 1250.00"
    )]
    Character(char),
    /// A comma, which different countries read differently.
    #[error("a comma can be a decimal or a thousands separator; write 1250.00")]
    Comma,
    /// Points that do not stand before each three digits, where a comma is the decimal mark.
    #[error(
        "a point must stand before each three digits, and a comma before the decimals, such as 1.250,00"
    )]
    Groups,
    /// A sign.
    #[error("a sign has no place in an amount; payouts are always positive")]
    Sign,
    /// More decimals than the currency has.
    #[error("{currency} has {allowed} decimals, not {found}")]
    Decimals {
        /// Uppercase code.
        currency: String,
        /// What it has.
        allowed: u32,
        /// What was written.
        found: usize,
    },
    /// A point with nothing on one side.
    #[error("a decimal point needs digits on both sides")]
    Point,
    /// Zero.
    #[error("the amount is zero")]
    Zero,
    /// Above 2 147 483 647 minor units, the largest the table can hold.
    #[error("the amount is larger than the payouts table can hold (2147483647 in minor units)")]
    TooLarge,
    /// Stripe takes only multiples of a step in this currency.
    #[error("Stripe takes {currency} only in whole multiples of {step} minor units")]
    Step {
        /// Uppercase code.
        currency: String,
        /// Minor units.
        step: i32,
    },
}

/// Reads an amount in major units, such as `1250`, `1250.5` or `1250.00`, into
/// minor units, exactly: the amount of one payout.
pub fn parse_major(text: &str, currency: Currency) -> Result<i32, AmountError> {
    payable(parse_total(text, currency)?, currency)
}

/// What stands between the whole and the decimals of an amount in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DecimalMark {
    /// `1250.00`, without thousands separators.
    #[default]
    Point,
    /// `1250,00`, or `1.250,00` with a point before each three digits.
    Comma,
}

/// Reads an amount in major units, written with this mark, into minor units,
/// exactly: the amount of one payout.
pub fn parse_major_with(
    text: &str,
    currency: Currency,
    mark: DecimalMark,
) -> Result<i32, AmountError> {
    match mark {
        DecimalMark::Point => parse_major(text, currency),
        DecimalMark::Comma => parse_major(&with_point(text)?, currency),
    }
}

/// The same amount as [`parse_major`] reads it, of one with a decimal comma.
fn with_point(text: &str) -> Result<String, AmountError> {
    let (whole, fraction) = match text.split_once(',') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let mut groups = whole.split('.');
    let mut plain = groups.next().unwrap_or_default().to_owned();
    let grouped = whole.contains('.');
    if grouped && (plain.len() > 3 || plain.is_empty() || plain.starts_with('0')) {
        return Err(AmountError::Groups);
    }
    for group in groups {
        if group.len() != 3 {
            return Err(AmountError::Groups);
        }
        plain.push_str(group);
    }
    if let Some(fraction) = fraction {
        if fraction.contains('.') {
            return Err(AmountError::Groups);
        }
        plain.push('.');
        plain.push_str(fraction);
    }
    Ok(plain)
}

/// Reads an amount in major units as a balance shows it, written with this mark, into
/// minor units, exactly: a minus in front is what left the balance, and zero is one too.
pub fn parse_signed_with(
    text: &str,
    currency: Currency,
    mark: DecimalMark,
) -> Result<i64, AmountError> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let minor = match mark {
        DecimalMark::Point => parse_total(unsigned, currency)?,
        DecimalMark::Comma => parse_total(&with_point(unsigned)?, currency)?,
    };
    // It is not negative, so that it can be negated.
    Ok(if negative { -minor } else { minor })
}

/// Reads an amount in major units that may be larger than one payout can be, or zero.
pub fn parse_total(text: &str, currency: Currency) -> Result<i64, AmountError> {
    let (whole, fraction) = match text.split_once('.') {
        None => (text, ""),
        Some((whole, fraction)) => {
            if whole.is_empty() || fraction.is_empty() {
                return Err(
                    if text.len() == 1 || !text.contains(|c: char| c.is_ascii_digit()) {
                        AmountError::Character('.')
                    } else {
                        AmountError::Point
                    },
                );
            }
            (whole, fraction)
        }
    };
    let allowed = currency.decimals();
    let mut minor = digits(whole)?;
    let fraction_value = if fraction.is_empty() {
        0
    } else {
        digits(fraction)?
    };
    let missing = (allowed as usize)
        .checked_sub(fraction.len())
        .ok_or_else(|| AmountError::Decimals {
            currency: currency.upper(),
            allowed,
            found: fraction.len(),
        })?;
    let scale = 10_i64.pow(allowed);
    let pad = 10_i64.pow(u32::try_from(missing).unwrap_or(0));
    minor = minor
        .checked_mul(scale)
        .and_then(|m| m.checked_add(fraction_value.checked_mul(pad)?))
        .ok_or(AmountError::TooLarge)?;
    Ok(minor)
}

/// Reads an amount that is already in minor units.
pub fn parse_minor(text: &str, currency: Currency) -> Result<i32, AmountError> {
    if text.contains('.') {
        return Err(AmountError::Character('.'));
    }
    payable(digits(text)?, currency)
}

/// Reads plain ASCII digits; anything else is refused by name.
fn digits(text: &str) -> Result<i64, AmountError> {
    if text.is_empty() {
        return Err(AmountError::Empty);
    }
    let mut value: i64 = 0;
    for c in text.chars() {
        let digit = match c {
            '0'..='9' => i64::from(u32::from(c) - u32::from('0')),
            ',' => return Err(AmountError::Comma),
            '-' | '+' | '\u{2212}' => return Err(AmountError::Sign),
            other => return Err(AmountError::Character(other)),
        };
        value = value
            .checked_mul(10)
            .and_then(|v| v.checked_add(digit))
            .ok_or(AmountError::TooLarge)?;
    }
    Ok(value)
}

/// Checks that a minor amount can be a payout: positive, 32 bits, in Stripe's steps.
pub fn payable(minor: i64, currency: Currency) -> Result<i32, AmountError> {
    let minor = i32::try_from(minor).map_err(|_| AmountError::TooLarge)?;
    if minor <= 0 {
        return Err(if minor == 0 {
            AmountError::Zero
        } else {
            AmountError::Sign
        });
    }
    let step = currency.step();
    if minor % step != 0 {
        return Err(AmountError::Step {
            currency: currency.upper(),
            step,
        });
    }
    Ok(minor)
}

/// Writes a minor amount in major units with thousands separators: `1,250.00`.
pub fn major(minor: i64, currency: Currency) -> String {
    let plain = major_plain(minor, currency);
    let (sign, unsigned) = match plain.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", plain.as_str()),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut grouped = String::with_capacity(plain.len() + plain.len() / 3);
    grouped.push_str(sign);
    for (position, digit) in whole.chars().enumerate() {
        if position > 0 && (whole.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if !fraction.is_empty() {
        grouped.push('.');
        grouped.push_str(fraction);
    }
    grouped
}

/// Writes a minor amount in major units as a machine reads it: `1250.00`.
pub fn major_plain(minor: i64, currency: Currency) -> String {
    let decimals = currency.decimals();
    let scale = 10_u64.pow(decimals);
    let sign = if minor < 0 { "-" } else { "" };
    let whole = minor.unsigned_abs() / scale;
    if decimals == 0 {
        return format!("{sign}{whole}");
    }
    let fraction = minor.unsigned_abs() % scale;
    format!(
        "{sign}{whole}.{fraction:0width$}",
        width = decimals as usize
    )
}

/// Writes an amount with its currency, for a sentence: `1,250.00 USD`.
pub fn with_currency(minor: i64, currency: Currency) -> String {
    format!("{} {}", major(minor, currency), currency.upper())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn amounts_are_read_exactly() {
        for (text, code, minor) in [
            ("500", "usd", 50_000),
            ("500.00", "usd", 50_000),
            ("0.01", "USD", 1),
            ("10.5", "eur", 1050),
            ("00012.30", "eur", 1230),
            ("21474836.47", "usd", i32::MAX),
            ("1000", "jpy", 1000),
            ("12.340", "kwd", 12_340),
            ("12", "ugx", 1200),
        ] {
            assert_eq!(parse_major(text, of(code)), Ok(minor), "{text} {code}");
        }
        assert_eq!(parse_minor("50000", of("usd")), Ok(50_000));
    }

    #[test]
    fn what_is_not_an_amount_is_refused_with_the_reason() {
        use AmountError as E;
        let usd = of("usd");
        for (text, error) in [
            ("", E::Empty),
            ("1,250.00", E::Comma),
            ("12,50", E::Comma),
            ("-5", E::Sign),
            ("+5", E::Sign),
            ("\u{2212}5", E::Sign),
            ("$5", E::Character('$')),
            ("5 ", E::Character(' ')),
            ("1e3", E::Character('e')),
            ("\u{ff15}", E::Character('\u{ff15}')),
            ("\u{0665}", E::Character('\u{0665}')),
            (".5", E::Point),
            ("5.", E::Point),
            (".", E::Character('.')),
            ("1.2.3", E::Character('.')),
            (
                "1.234",
                E::Decimals {
                    currency: "USD".into(),
                    allowed: 2,
                    found: 3,
                },
            ),
            ("0", E::Zero),
            ("0.00", E::Zero),
            ("21474836.48", E::TooLarge),
            ("99999999999999999999", E::TooLarge),
        ] {
            assert_eq!(parse_major(text, usd), Err(error), "{text:?}");
        }
        assert_eq!(
            parse_major("1.5", of("jpy")),
            Err(E::Decimals {
                currency: "JPY".into(),
                allowed: 0,
                found: 1
            })
        );
        assert_eq!(
            parse_major("1.5", of("ugx")),
            Err(E::Step {
                currency: "UGX".into(),
                step: 100
            })
        );
        assert_eq!(
            parse_major("1.005", of("kwd")),
            Err(E::Step {
                currency: "KWD".into(),
                step: 10
            })
        );
        assert_eq!(parse_minor("5.0", usd), Err(E::Character('.')));
        assert!("zzz".parse::<Currency>().is_err());
    }

    #[test]
    fn a_balance_s_amounts_are_read_with_their_sign() {
        let read = |text: &str, code: &str, mark| parse_signed_with(text, of(code), mark);
        for (text, code, minor) in [
            ("-824.08", "usd", -82_408),
            ("824.08", "usd", 82_408),
            ("-0.00", "usd", 0),
            ("-5", "eur", -500),
            ("-21474836.48", "usd", -2_147_483_648),
            ("-1000", "jpy", -1000),
            ("-12.345", "kwd", -12_345),
        ] {
            assert_eq!(read(text, code, DecimalMark::Point), Ok(minor), "{text}");
        }
        let comma = DecimalMark::Comma;
        assert_eq!(read("-1.824,08", "eur", comma), Ok(-182_408));
        for text in [
            "--5",
            "+5",
            "-",
            "",
            "- 5",
            "(5)",
            "\u{2212}5",
            "5-",
            "-5,00",
        ] {
            assert!(read(text, "usd", DecimalMark::Point).is_err(), "{text}");
        }
    }

    #[test]
    fn amounts_are_written_for_people() {
        assert_eq!(major(123_456_789, of("usd")), "1,234,567.89");
        assert_eq!(major(-5, of("usd")), "-0.05");
        assert_eq!(major(1234, of("jpy")), "1,234");
        assert_eq!(major(i64::MIN, of("usd")), "-92,233,720,368,547,758.08");
        assert_eq!(with_currency(100_000, of("kwd")), "100.000 KWD");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(minor in 1..=i32::MAX, code in prop::sample::select(vec!["usd", "jpy", "eur"])) {
            let currency = of(code);
            prop_assert_eq!(parse_major(&major_plain(i64::from(minor), currency), currency), Ok(minor));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,12}") {
            let _ = parse_major(&text, Currency::USD);
            let _ = parse_minor(&text, Currency::USD);
        }
    }
}
