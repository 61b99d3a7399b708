//! The currencies Stripe transfers, and what its amounts must look like in each.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// In the order in which Stripe's own error message starts: `usd` first, the rest by name.
const KNOWN: &[&str] = &[
    "usd", "aed", "afn", "all", "amd", "ang", "aoa", "ars", "aud", "awg", "azn", "bam", "bbd",
    "bdt", "bgn", "bhd", "bif", "bmd", "bnd", "bob", "brl", "bsd", "bwp", "byn", "bzd", "cad",
    "cdf", "chf", "clp", "cny", "cop", "crc", "cve", "czk", "djf", "dkk", "dop", "dzd", "egp",
    "etb", "eur", "fjd", "fkp", "gbp", "gel", "gip", "gmd", "gnf", "gtq", "gyd", "hkd", "hnl",
    "htg", "huf", "idr", "ils", "inr", "isk", "jmd", "jod", "jpy", "kes", "kgs", "khr", "kmf",
    "krw", "kwd", "kyd", "kzt", "lak", "lbp", "lkr", "lrd", "lsl", "mad", "mdl", "mga", "mkd",
    "mmk", "mnt", "mop", "mur", "mvr", "mwk", "mxn", "myr", "mzn", "nad", "ngn", "nio", "nok",
    "npr", "nzd", "omr", "pab", "pen", "pgk", "php", "pkr", "pln", "pyg", "qar", "ron", "rsd",
    "rub", "rwf", "sar", "sbd", "scr", "sek", "sgd", "shp", "sle", "sos", "srd", "std", "szl",
    "thb", "tjs", "tnd", "top", "try", "ttd", "twd", "tzs", "uah", "ugx", "uyu", "uzs", "vnd",
    "vuv", "wst", "xaf", "xcd", "xof", "xpf", "yer", "zar", "zmw",
];

/// A currency Stripe knows, by its place among [`KNOWN`]: a byte, because every transfer has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Currency(u8);

impl Currency {
    pub(super) const USD: Self = Self(0);

    /// Stripe takes either case and answers in lower case.
    pub(super) fn find(code: &str) -> Option<Self> {
        let place = KNOWN
            .iter()
            .position(|known| known.eq_ignore_ascii_case(code))?;
        u8::try_from(place).ok().map(Self)
    }

    /// Its ISO code in lower case.
    pub(super) fn code(self) -> &'static str {
        KNOWN.get(usize::from(self.0)).copied().unwrap_or_default()
    }

    /// Amounts must be a multiple of this many minor units: ISK and UGX have two decimals in the
    /// API that must be zero, currencies with three decimals end in a zero.
    pub(super) fn step(self) -> i64 {
        match self.code() {
            "isk" | "ugx" => 100,
            "bhd" | "jod" | "kwd" | "omr" | "tnd" => 10,
            _ => 1,
        }
    }

    /// What Stripe says to a code that is not in the table.
    pub(super) fn unknown(code: &str) -> String {
        format!(
            "Invalid currency: {code}. Stripe currently supports these currencies: {}",
            KNOWN.join(", ")
        )
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::find(&code).ok_or_else(|| {
            serde::de::Error::custom(format!("{code:?} is not a currency that Stripe transfers"))
        })
    }
}

/// Where in the balance the money of a transfer comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceType {
    /// Card payments; where nothing else is asked for.
    #[default]
    Card,
    /// Bank debits.
    BankAccount,
    /// The Malaysian scheme.
    Fpx,
}

impl SourceType {
    pub(super) fn find(text: &str) -> Option<Self> {
        match text {
            "card" => Some(Self::Card),
            "bank_account" => Some(Self::BankAccount),
            "fpx" => Some(Self::Fpx),
            _ => None,
        }
    }
}
