//! Which of very many things one side has and the other has not, without holding
//! either.
//!
//! A comparison sees a transfer when Stripe lists it, and the row that holds it when
//! the table is read, in another order and at another time. Each side is added up in
//! buckets: what both have cancels out, and a bucket that is not zero holds what only
//! one has. A thing lies in one bucket of each of two tables, so that one of two sides
//! that agree is hardly ever suspected: for that, something else must be missing in
//! both of its buckets. The memory is the same for a thousand and for ten million.
//!
//! This is the idea of Eppstein, Goodrich, Uyeda and Varghese, "What's the Difference?
//! Efficient Set Reconciliation without Prior Context" (SIGCOMM 2011), with a second
//! reading of the table in place of decoding: whatever is suspected is looked up.

use sha2::{Digest, Sha256};

/// Buckets of one table.
const BUCKETS: usize = 1 << 16;

/// What one side has, less what the other has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sketch {
    /// Two tables, one behind the other.
    sums: Vec<u64>,
}

/// A thing as it is added up: what is summed, and its bucket in each table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    sum: u64,
    buckets: [usize; 2],
}

impl Mark {
    pub(super) fn of(parts: &[&str]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        let hash = hasher.finalize();
        let number = |from: usize, bytes: usize| {
            let digits = hash.iter().skip(from).take(bytes);
            digits.fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let bucket = |from| usize::try_from(number(from, 2)).unwrap_or(0) % BUCKETS;
        Self {
            sum: number(0, 8),
            buckets: [bucket(8), BUCKETS + bucket(10)],
        }
    }
}

impl Sketch {
    pub(super) fn new() -> Self {
        Self {
            sums: vec![0; 2 * BUCKETS],
        }
    }

    /// This side has it. The parts together name the thing.
    pub(super) fn add(&mut self, parts: &[&str]) {
        let mark = Mark::of(parts);
        for bucket in mark.buckets {
            if let Some(sum) = self.sums.get_mut(bucket) {
                *sum = sum.wrapping_add(mark.sum);
            }
        }
    }

    /// Takes away all that the other side has.
    pub(super) fn less(mut self, other: &Self) -> Self {
        for (sum, other) in self.sums.iter_mut().zip(&other.sums) {
            *sum = sum.wrapping_sub(*other);
        }
        self
    }

    /// Both sides have the same.
    pub(super) fn is_even(&self) -> bool {
        self.sums.iter().all(|sum| *sum == 0)
    }

    /// Whether only one side may have it. Where it is false, both have it.
    pub(super) fn suspects(&self, parts: &[&str]) -> bool {
        let buckets = Mark::of(parts).buckets;
        buckets
            .iter()
            .all(|bucket| self.sums.get(*bucket).is_some_and(|sum| *sum != 0))
    }

    /// Whether the side that was taken away has something that this one has not, where
    /// `suspected` is all that this side has and that [`suspects`](Self::suspects) names.
    /// Each that is alone in a bucket is what only this side has, and is taken out; what
    /// is left then is the other side's. Of very many it may say yes for no reason.
    pub(super) fn lacks_something(mut self, mut suspected: Vec<Mark>) -> bool {
        loop {
            let before = suspected.len();
            suspected.retain(|mark| {
                let sum_of = |bucket: &usize| self.sums.get(*bucket).copied();
                let alone = mark.buckets.iter().any(|b| sum_of(b) == Some(mark.sum));
                if alone {
                    for bucket in mark.buckets {
                        if let Some(sum) = self.sums.get_mut(bucket) {
                            *sum = sum.wrapping_sub(mark.sum);
                        }
                    }
                }
                !alone
            });
            if suspected.len() == before {
                return !self.is_even();
            }
        }
    }

    /// As bytes, to go on with later.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.sums.iter().flat_map(|sum| sum.to_be_bytes()).collect()
    }

    /// From what [`to_bytes`](Self::to_bytes) gave; none when it is something else.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (sums, rest) = bytes.as_chunks::<8>();
        let sums: Vec<u64> = sums.iter().map(|sum| u64::from_be_bytes(*sum)).collect();
        (rest.is_empty() && sums.len() == 2 * BUCKETS).then_some(Self { sums })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::collections::HashSet;

    use proptest::prelude::*;

    fn sketch<'a>(things: impl IntoIterator<Item = &'a String>) -> Sketch {
        let mut sketch = Sketch::new();
        for thing in things {
            sketch.add(&[thing, "row"]);
        }
        sketch
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// What only one side has is always suspected.
        #[test]
        fn nothing_missing_is_overlooked(
            both in prop::collection::hash_set("[a-z]{1,8}", 0..200),
            only in prop::collection::hash_set("[A-Z]{1,8}", 0..20),
        ) {
            let left: HashSet<String> = both.union(&only).cloned().collect();
            let differ = sketch(&left).less(&sketch(&both));
            prop_assert_eq!(differ.is_even(), only.is_empty());
            for thing in &only {
                prop_assert!(differ.suspects(&[thing, "row"]));
            }
            let kept = Sketch::from_bytes(&differ.to_bytes());
            prop_assert_eq!(kept, Some(differ));
        }
    }

    #[test]
    fn hardly_anything_else_is_suspected() {
        let all: Vec<String> = (0..100_000).map(|n| format!("tr_{n}")).collect();
        let some = all.iter().filter(|id| !id.ends_with("777"));
        let differ = sketch(&all).less(&sketch(some));
        let suspected = all.iter().filter(|id| differ.suspects(&[id, "row"]));
        let suspected: Vec<&String> = suspected.collect();
        let missing = suspected.iter().filter(|id| id.ends_with("777")).count();
        assert_eq!(missing, 100);
        assert!(suspected.len() <= 102, "{}", suspected.len());
    }

    #[test]
    fn what_the_other_side_has_alone_is_told_from_what_this_one_has() {
        let ids = |from: u32, to: u32| (from..to).map(|n| format!("tr_{n}")).collect::<Vec<_>>();
        for (ours, theirs, lacks) in [
            (ids(0, 1000), ids(0, 1000), false),
            (ids(0, 1000), ids(0, 900), false),
            (ids(0, 1000), ids(300, 1001), true),
            (ids(1, 1000), ids(0, 1000), true),
        ] {
            let differ = sketch(&ours).less(&sketch(&theirs));
            let suspected = ours.iter().filter(|id| differ.suspects(&[id, "row"]));
            let marks = suspected.map(|id| Mark::of(&[id, "row"])).collect();
            assert_eq!(differ.clone().lacks_something(marks), lacks);
        }
    }

    #[test]
    fn bytes_of_another_length_are_refused() {
        assert_eq!(Sketch::from_bytes(&[0; 12]), None);
        assert_eq!(Sketch::from_bytes(&[]), None);
    }
}
