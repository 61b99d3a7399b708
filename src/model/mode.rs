//! Stripe's two modes.

/// The word for a mode, in the database and for people: `live` moves real money.
pub fn mode(livemode: bool) -> &'static str {
    if livemode { "live" } else { "test" }
}
