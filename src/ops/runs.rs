//! What a person does about a run: what its exit code, or the lack of one, asks for.

use crate::model::run::{RunLine, RunState};

/// What to do next; a word that there is nothing, where there is nothing.
pub fn next_step(line: &RunLine) -> &'static str {
    let command = line.run.command.as_str();
    match (line.state, line.run.exit_code) {
        (RunState::Alive, _) => "nothing: it is at work",
        (RunState::Dead, _) => match command {
            "process" => {
                "run `payouts process`: it looks up at Stripe what this run left, before it sends anything"
            }
            "reconcile" => {
                "run `payouts reconcile --resume`: it goes on where this one was cut off"
            }
            "create" => {
                "look with `payouts batches list` and `payouts list`: each file was loaded as a whole or not at all; load it again if it is not there"
            }
            _ => "run it again: what it had written stands, and is not done twice",
        },
        (RunState::Ended, Some(0)) => "nothing: it did what it was asked for",
        (RunState::Ended, Some(1)) => match command {
            "process" => {
                "see who was not paid and why with `payouts list --status FAILED`; `payouts show ID` says what to do about each"
            }
            "reconcile" => {
                "see the findings, each with what to do, with `payouts reconcile --show last`"
            }
            _ => "read its summary: it ran to the end, and something is left to a person",
        },
        (RunState::Ended, Some(3)) => {
            "find what is missing with `payouts doctor`, then run it again"
        }
        (RunState::Ended, Some(4)) => {
            "read its summary for what was refused; nothing is sent before that is settled"
        }
        (RunState::Ended, Some(5)) => {
            "see what is unresolved with `payouts list --status PROCESSING`; the next `payouts process` looks it up, and `payouts resolve ID` settles what that cannot"
        }
        (RunState::Ended, Some(6)) => {
            "top up the platform's balance; the next `payouts process` goes on in order"
        }
        (RunState::Ended, Some(70)) => {
            "report the bug with its log; the next `payouts process` resolves what was in flight"
        }
        (RunState::Ended, Some(130)) => "run it again when you want it to go on",
        (RunState::Ended, _) => "read its summary",
    }
}
