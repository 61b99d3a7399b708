//! The exit codes of one execution, and which of them the process ends with.

pub use crate::model::exit::Exit;
use crate::model::reconciliation::FindingKind;

/// The codes that apply to one execution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exits(std::collections::BTreeSet<Exit>);

impl Exits {
    /// Adds one.
    pub fn add(&mut self, exit: Exit) {
        self.0.insert(exit);
    }

    /// Adds what an open finding of this kind stands for.
    pub fn add_finding(&mut self, kind: FindingKind) {
        self.add(if kind.is_alarm() {
            Exit::Unresolved
        } else {
            Exit::Attention
        });
    }

    /// The strongest, which the process ends with.
    pub fn strongest(&self) -> Exit {
        self.0.first().copied().unwrap_or(Exit::Done)
    }

    /// The others, for the last line on stderr.
    pub fn others(&self) -> impl Iterator<Item = Exit> {
        self.0.iter().copied().skip(1).filter(|e| *e != Exit::Done)
    }
}

impl From<Exit> for Exits {
    fn from(exit: Exit) -> Self {
        Self(std::iter::once(exit).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_wins_and_the_rest_is_named() {
        let mut exits = Exits::default();
        assert_eq!(exits.strongest(), Exit::Done);
        for exit in [Exit::Attention, Exit::Interrupted, Exit::Unresolved] {
            exits.add(exit);
        }
        assert_eq!(exits.strongest(), Exit::Unresolved);
        assert_eq!(
            exits.others().collect::<Vec<_>>(),
            [Exit::Interrupted, Exit::Attention]
        );
        let order: Vec<u8> = Exit::ALL.iter().map(|e| e.code()).collect();
        assert_eq!(order, [70, 5, 130, 3, 4, 6, 1, 2, 0]);
    }
}
