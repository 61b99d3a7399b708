//! How often what happened: a random test that never meets something proves nothing about it.

use std::collections::BTreeMap;
use std::fmt;

use payouts::failpoint::{ALL, Action};

use super::schedule::Op;
use super::world::{Finished, World};

/// Counts over many schedules.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) schedules: u64,
    steps: u64,
    ops: BTreeMap<String, u64>,
    reached: BTreeMap<&'static str, u64>,
    sprung: BTreeMap<String, u64>,
    faults: BTreeMap<String, u64>,
    verdicts: BTreeMap<String, u64>,
    codes: BTreeMap<String, u64>,
    /// What `resolve` came to.
    decided: BTreeMap<String, u64>,
}

fn count<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K, times: u64) {
    *counts.entry(key).or_default() += times;
}

impl Tally {
    pub(crate) fn step(&mut self, op: &Op, finished: &[Finished]) {
        self.steps += 1;
        count(&mut self.ops, op.word(), 1);
        for one in finished {
            for (name, times) in one.process.hits() {
                count(&mut self.reached, name, times);
            }
            for trap in one.process.sprung() {
                let how = match trap.action {
                    Action::Kill => "kill",
                    Action::Fail(_) => "fail",
                    Action::Stall => "stall",
                    Action::Panic => "panic",
                };
                count(&mut self.sprung, format!("{} {how}", trap.at), 1);
            }
            let code = match &one.ended {
                Some(ended) => format!("{} {}", one.op.word(), ended.code),
                None => format!("{} killed", one.op.word()),
            };
            count(&mut self.codes, code, 1);
            let Some(ended) = &one.ended else { continue };
            for looked in &ended.looked {
                count(&mut self.decided, looked.outcome.to_string(), 1);
            }
            if matches!(one.op, Op::Paid { .. }) && ended.code == 4 {
                count(&mut self.decided, "refused".to_owned(), 1);
            }
        }
    }

    /// Adds what was counted elsewhere.
    pub(crate) fn add(&mut self, other: Self) {
        fn all<K: Ord>(to: &mut BTreeMap<K, u64>, from: BTreeMap<K, u64>) {
            for (key, times) in from {
                count(to, key, times);
            }
        }
        self.schedules += other.schedules;
        self.steps += other.steps;
        all(&mut self.ops, other.ops);
        all(&mut self.reached, other.reached);
        all(&mut self.sprung, other.sprung);
        all(&mut self.faults, other.faults);
        all(&mut self.verdicts, other.verdicts);
        all(&mut self.codes, other.codes);
        all(&mut self.decided, other.decided);
    }

    pub(crate) fn schedule(&mut self, world: &mut World) {
        self.schedules += 1;
        for line in world.stripe.requests() {
            if let Some(fault) = line.fault {
                count(&mut self.faults, fault.to_string(), 1);
            }
        }
        let answers = world.rows("SELECT verdict, http_status, replayed FROM payout_answers");
        for row in answers {
            let text = |at: usize| row[at].clone().unwrap_or_default();
            let replayed = if text(2) == "1" { " replayed" } else { "" };
            count(
                &mut self.verdicts,
                format!("{} {}{replayed}", text(1), text(0)),
                1,
            );
        }
    }

    /// Whether something happened at a failpoint.
    pub(crate) fn sprang(&self, at: &str) -> bool {
        self.sprung
            .keys()
            .any(|key| key.starts_with(&format!("{at} ")))
    }

    /// What happened less often than it must have, in so many schedules.
    pub(crate) fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for name in ALL {
            if self
                .reached
                .get(name)
                .is_none_or(|times| *times < self.schedules / 200)
            {
                missing.push(format!("failpoint {name}"));
            }
        }
        for op in [
            "Payouts",
            "Statement",
            "Foreign",
            "ForeignPays",
            "ForeignResets",
            "Process",
            "Retry",
            "ForeignUnmarks",
            "Cancel",
            "Reconcile",
            "Pull",
            "Hold",
            "Unhold",
            "UnholdOne",
            "Wake",
            "Fault",
            "FaultsEnd",
            "Release",
            "Pass",
            "Step",
            "Backup",
            "Restore",
            "Balance",
            "Capability",
            "Reverse",
            "LookAgain",
            "LetGo",
            "Paid",
        ] {
            if self
                .ops
                .get(op)
                .is_none_or(|times| *times < self.schedules / 100)
            {
                missing.push(format!("operation {op}"));
            }
        }
        let mut faults = Vec::new();
        for fault in [
            "reset_before",
            "reset_after",
            "hang_before",
            "hang_after",
            "execute_late",
            "cut_body",
            "html_503",
            "html_503_after",
            "error_500_before",
            "error_500_after",
            "error_500_not_stored",
            "conflict_409",
            "rate_429",
            "lock_429",
            "error_424",
            "redirect_307",
            "late_listing",
            "wrong_amount",
        ] {
            if !self.faults.contains_key(fault) {
                faults.push(format!("fault {fault}"));
            }
        }
        // There are many; a short run may pass some over.
        if self.schedules >= 1000 || faults.len() > 4 {
            missing.append(&mut faults);
        }
        for verdict in ["paid", "declined", "not_sent", "unknown", "mismatch"] {
            if !self.verdicts.keys().any(|key| key.contains(verdict)) {
                missing.push(format!("outcome {verdict}"));
            }
        }
        for how in ["released", "adopted", "unresolved", "refused"] {
            let times = self.decided.get(how).copied().unwrap_or(0);
            if times < self.schedules / 100 {
                missing.push(format!("resolve: {how}"));
            }
        }
        for how in ["kill", "fail", "stall"] {
            if !self.sprung.keys().any(|key| key.ends_with(how)) {
                missing.push(format!("action {how}"));
            }
        }
        missing
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} schedules, {} steps", self.schedules, self.steps)?;
        writeln!(f, "operations: {:?}", self.ops)?;
        writeln!(f, "failpoints reached: {:?}", self.reached)?;
        writeln!(f, "failpoints sprung: {:?}", self.sprung)?;
        writeln!(f, "faults: {:?}", self.faults)?;
        writeln!(f, "outcomes: {:?}", self.verdicts)?;
        writeln!(f, "exit codes: {:?}", self.codes)?;
        writeln!(f, "resolve: {:?}", self.decided)
    }
}
