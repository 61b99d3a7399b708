//! Which names a file has said already, and on which line.
//!
//! A name is remembered by 96 bits under a key that is drawn anew for each file, so
//! that a million of them take 20 MB. That two of a million different names are taken
//! for one happens once in 10^17 files, and then a good row is refused and nothing is
//! paid twice: the database's own constraint knows the names themselves.

use std::hash::{BuildHasher, RandomState};

/// See the module's text.
#[derive(Debug)]
pub(super) struct NamesSeen {
    keys: [RandomState; 2],
    slots: Vec<Slot>,
}

/// A free one has line 0.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    mark: [u32; 3],
    line: u32,
}

impl NamesSeen {
    /// Has room for so many names and some more.
    pub(super) fn with_room_for(names: u64) -> Self {
        let room = usize::try_from(names).unwrap_or(usize::MAX / 2);
        Self {
            keys: [RandomState::new(), RandomState::new()],
            slots: vec![Slot::default(); room.saturating_add(room / 4).saturating_add(8)],
        }
    }

    /// The line that said it before; else it is remembered as said on this one.
    pub(super) fn line_of(&mut self, name: &impl std::hash::Hash, line: u64) -> Option<u64> {
        let [place, more] = [self.keys[0].hash_one(name), self.keys[1].hash_one(name)];
        let low = |number: u64| u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default();
        let mark = [low(place), low(place >> 32), low(more)];
        let room = self.slots.len();
        let wide = (u128::from(place) * room as u128) >> 64;
        let mut at = usize::try_from(wide).unwrap_or_default();
        // Ends: there are fewer names than slots.
        for _ in 0..room {
            let slot = &mut self.slots[at];
            if slot.line == 0 {
                let line = u32::try_from(line).unwrap_or(u32::MAX).max(1);
                *slot = Slot { mark, line };
                return None;
            }
            if slot.mark == mark {
                return Some(u64::from(slot.line));
            }
            at = if at + 1 == room { 0 } else { at + 1 };
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_again_on_its_first_line() {
        const NAMES: u64 = 100_000;
        let mut seen = NamesSeen::with_room_for(NAMES);
        for n in 1..=NAMES {
            assert_eq!(seen.line_of(&format!("R-{n}"), n), None);
        }
        for n in 1..=NAMES {
            assert_eq!(seen.line_of(&format!("R-{n}"), n + NAMES), Some(n));
        }
    }
}
