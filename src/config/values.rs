//! What a setting's text may be.

use std::fmt;
use std::time::Duration;

pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err("use 1 or 0".to_owned()),
    }
}

pub(super) fn whole<T: TryFrom<i64> + fmt::Display + Copy>(
    text: &str,
    min: T,
    max: T,
) -> Result<T, String>
where
    i64: TryFrom<T>,
{
    let wrong = || format!("use a whole number from {min} to {max}");
    let number: i64 = text.parse().map_err(|_| wrong())?;
    let bound = |b: T| i64::try_from(b).unwrap_or(i64::MAX);
    if number < bound(min) || number > bound(max) {
        return Err(wrong());
    }
    T::try_from(number).map_err(|_| wrong())
}

/// Reads a duration such as `90s`, `5m`, `2h` or `7d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "use a duration such as 90s, 5m, 2h or 7d".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count: u64 = text[..text.len() - unit.len_utf8()]
        .parse()
        .map_err(|_| wrong())?;
    count
        .checked_mul(seconds)
        .filter(|s| *s <= 366 * 86_400)
        .map(Duration::from_secs)
        .ok_or_else(|| "at most a year".to_owned())
}

/// Delays that are kept; more than anybody waits for.
const DELAYS_MAX: usize = 100;

/// Reads durations between commas, such as `5m,10m,1h`.
pub(super) fn durations(text: &str) -> Result<Vec<Duration>, String> {
    let delays: Vec<Duration> = text
        .split(',')
        .map(|one| duration(one.trim()))
        .collect::<Result<_, _>>()
        .map_err(|_| "use durations between commas, such as 5m,10m,1h".to_owned())?;
    if delays.len() > DELAYS_MAX {
        return Err(format!("at most {DELAYS_MAX} of them"));
    }
    Ok(delays)
}
