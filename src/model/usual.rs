//! What a creator is usually paid, and what is far from it.
//!
//! Median and median absolute deviation, because one odd payment in the past must not
//! make the next odd one look usual (Rousseeuw and Croux, "Alternatives to the Median
//! Absolute Deviation", 1993). In whole minor units.

/// Payments that say what is usual; fewer say nothing.
const PAYMENTS_MIN: usize = 5;

/// The deviation times 1.4826 estimates the standard deviation of what is spread normally.
const PER_DEVIATION_MYRIAD: i64 = 14_826;

/// A creator who is always paid the same is taken to be paid within a twentieth of it.
const SPREAD_LEAST_PART: i64 = 20;

/// What a creator is usually paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usual {
    /// The payment in the middle, minor units.
    pub median_cents: i32,
    /// How far payments are usually from it, minor units.
    pub spread_cents: i64,
}

impl Usual {
    /// Of past payments, minor units, in any order; none where they are too few.
    pub fn of(mut payments: Vec<i32>) -> Option<Self> {
        if payments.len() < PAYMENTS_MIN {
            return None;
        }
        let median_cents = middle(&mut payments)?;
        let mut apart: Vec<i64> = payments
            .iter()
            .map(|cents| (i64::from(*cents) - i64::from(median_cents)).abs())
            .collect();
        let deviation = middle(&mut apart)?;
        Some(Self {
            median_cents,
            spread_cents: (deviation * PER_DEVIATION_MYRIAD / 10_000)
                .max(i64::from(median_cents) / SPREAD_LEAST_PART),
        })
    }

    /// Whether an amount is further from the median than `times` the spread.
    pub fn is_far(self, amount_cents: i32, times: u32) -> bool {
        let apart = (i64::from(amount_cents) - i64::from(self.median_cents)).abs();
        apart > self.spread_cents.saturating_mul(i64::from(times))
    }
}

/// The one in the middle; of an even number the lower of two, which was paid, unlike
/// their mean.
fn middle<T: Ord + Copy>(numbers: &mut [T]) -> Option<T> {
    let place = numbers.len().checked_sub(1)? / 2;
    Some(*numbers.select_nth_unstable(place).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_far_from_the_usual_is_told_whatever_was_odd_before() {
        let usual = Usual::of(vec![10_000, 12_000, 9_000, 11_000, 10_500, 999_900]).unwrap();
        assert_eq!(usual.median_cents, 10_500);
        for cents in [7_000, 9_000, 14_500] {
            assert!(!usual.is_far(cents, 6), "{cents} beside {usual:?}");
        }
        for cents in [105_000, 999_900, 1] {
            assert!(usual.is_far(cents, 6), "{cents} beside {usual:?}");
        }
    }

    #[test]
    fn a_creator_who_is_always_paid_the_same_may_get_a_little_more() {
        let usual = Usual::of(vec![50_000; 12]).unwrap();
        assert!(!usual.is_far(60_000, 6));
        assert!(usual.is_far(70_000, 6));
        assert_eq!(Usual::of(vec![50_000; 4]), None);
    }

    proptest! {
        #[test]
        fn neither_order_nor_size_of_payments_matters(mut payments in prop::collection::vec(any::<i32>(), 5..40), cents: i32) {
            let one = Usual::of(payments.clone()).unwrap();
            payments.reverse();
            prop_assert_eq!(Usual::of(payments).unwrap(), one);
            // Nothing overflows, and the median itself is never far.
            let _ = one.is_far(cents, u32::MAX);
            prop_assert!(one.median_cents < 0 || !one.is_far(one.median_cents, 0));
        }
    }
}
