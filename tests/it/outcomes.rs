//! Every row of the outcome table × {first send, resend} × {the money not moved, moved}: what the
//! program makes of an answer, and that the next runs end where the protocol says, whatever is true.
//!
//! One payout for each cell, sent by the real program. The answers come from a [`Front`], since a
//! simulator that keeps its word never gives most of them with the money moved: a definite no
//! after the transfer was made is a lie, and harmless all the same, because the guard of the next
//! run finds the transfer.

use std::collections::HashMap;
use std::time::Duration;

use crate::common::db::on_both;
use crate::common::front::{Answer, Front, Step};
use crate::common::shop::Shop;

use Answer::{Cut, Gone, Nothing, Says, Silence, Truth};
use Cell::{Back, Doubt, Failed, Never, Paid, Stuck};

/// Sends of one attempt within a run.
const SENDS_MAX: usize = 6;
/// How long an answer may take, which is how long [`Silence`] lasts.
const TIMEOUT: &str = "1s";
const LEASE_OVER: Duration = Duration::from_secs(121);

/// What becomes of a payout in the run that gets the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    /// It cannot happen: whoever was not reached executes nothing, and a transfer that was not made
    /// is not answered.
    Never,
    /// COMPLETED, exit code 0.
    Paid,
    /// FAILED, one attempt burnt, and the exit code.
    Failed(i32),
    /// PENDING again, nothing burnt, and the exit code.
    Back(i32),
    /// PROCESSING, exit code 5; the next run sends it again or finds the transfer.
    Doubt,
    /// The same, and the next run must not send it.
    Stuck,
}

/// A row of the outcome table, as the program must take it.
struct Row {
    answer: Answer,
    /// The code on record.
    code: &'static str,
    /// It is sent again under its key, for as long as a run does so.
    again: bool,
    /// First send: not moved, moved. Resend: not moved, moved.
    cells: [Cell; 4],
}

const fn row(answer: Answer, code: &'static str, again: bool, cells: [Cell; 4]) -> Row {
    Row {
        answer,
        code,
        again,
        cells,
    }
}

/// An error in Stripe's form, of a kind and with a code.
macro_rules! error {
    ($status:literal, $code:literal) => {
        error!($status, "", "invalid_request_error", $code)
    };
    ($status:literal, $headers:literal, $type:literal, $code:literal) => {
        Says(
            $status,
            $headers,
            concat!(
                r#"{"error":{"type":""#,
                $type,
                r#"","code":""#,
                $code,
                r#"","message":"no"}}"#
            ),
        )
    };
}

const REPLAYED: &str = "Idempotent-Replayed: true\r\n";
const WITHOUT_CODE: &str = r#"{"error":{"type":"api_error","message":"no"}}"#;
const HTML: &str = "<html>no</html>";
const ANOTHER: &str = r#"{"id":"tr_another","object":"transfer","amount":7,"currency":"usd","created":1793611800,"livemode":false}"#;
const AGAIN: bool = true;
const ONCE: bool = false;

/// A definite no speaks of the first send alone; of a resend only when it is replayed.
const NO: [Cell; 4] = [Failed(1), Failed(1), Doubt, Doubt];
const DOUBT: [Cell; 4] = [Doubt; 4];
/// Nothing was executed, and every other request would be answered alike.
const STOPS: [Cell; 4] = [Back(3), Back(3), Doubt, Doubt];
const SLOWS: [Cell; 4] = [Back(1), Back(1), Doubt, Doubt];
/// The stored answer of the one execution under the key.
const STORED_NO: [Cell; 4] = [Failed(1); 4];

#[rustfmt::skip]
const MATRIX: &[Row] = &[
    //   what comes back                                  code on record         sent    first, resend
    row(Gone,                                             "connection_failed",   AGAIN, [Back(3), Never, Doubt, Doubt]),
    row(Nothing,                                          "no_answer",           AGAIN, DOUBT),
    row(Silence,                                          "no_answer",           AGAIN, DOUBT),
    row(Cut,                                              "no_answer",           AGAIN, DOUBT),
    row(Truth,                                            "",                    ONCE,  [Never, Paid, Never, Paid]),
    row(Says(200, "", "{}"),                              "unreadable_answer",   AGAIN, DOUBT),
    row(Says(200, "", HTML),                              "unreadable_answer",   AGAIN, DOUBT),
    row(Says(200, "", ANOTHER),                           "transfer_differs",    ONCE,  DOUBT),
    row(error!(400, "", "idempotency_error", ""),         "",                    ONCE,  DOUBT),
    row(error!(409, "idempotency_key_in_use"),            "idempotency_key_in_use", AGAIN, DOUBT),
    row(Says(409, "", WITHOUT_CODE),                      "",                    AGAIN, DOUBT),
    row(error!(400, "approval_required"),                 "approval_required",   ONCE,  DOUBT),
    row(error!(429, "rate_limit"),                        "rate_limit",          AGAIN, SLOWS),
    row(error!(400, "rate_limit"),                        "rate_limit",          AGAIN, SLOWS),
    row(error!(429, "lock_timeout"),                      "lock_timeout",        AGAIN, SLOWS),
    row(Says(429, "", WITHOUT_CODE),                      "",                    AGAIN, SLOWS),
    row(error!(400, "balance_insufficient"),              "balance_insufficient", ONCE, [Failed(6), Failed(6), Doubt, Doubt]),
    row(error!(400, "insufficient_capabilities_for_transfer"), "insufficient_capabilities_for_transfer", ONCE, NO),
    row(error!(400, "transfers_not_allowed"),             "transfers_not_allowed", ONCE, NO),
    row(error!(400, "country_unsupported"),               "country_unsupported", ONCE,  NO),
    row(error!(400, "resource_missing"),                  "resource_missing",    ONCE,  NO),
    row(error!(400, "amount_too_large"),                  "amount_too_large",    ONCE,  NO),
    row(error!(403, "action_blocked"),                    "action_blocked",      ONCE,  NO),
    row(error!(400, "livemode_mismatch"),                 "livemode_mismatch",   ONCE,  [Failed(3), Failed(3), Doubt, Doubt]),
    row(error!(402, "card_declined"),                     "card_declined",       ONCE,  NO),
    row(error!(400, "something_new"),                     "something_new",       ONCE,  NO),
    row(Says(400, "", WITHOUT_CODE),                      "",                    ONCE,  NO),
    row(error!(403, "account_invalid"),                   "account_invalid",     ONCE,  STOPS),
    row(error!(401, "api_key_expired"),                   "api_key_expired",     ONCE,  STOPS),
    row(Says(401, "", WITHOUT_CODE),                      "",                    ONCE,  STOPS),
    row(error!(403, "more_permissions_required"),         "more_permissions_required", ONCE, STOPS),
    row(error!(404, "resource_missing"),                  "resource_missing",    ONCE,  STOPS),
    row(Says(400, REPLAYED, WITHOUT_CODE),                "",                    ONCE,  STORED_NO),
    row(Says(401, REPLAYED, WITHOUT_CODE),                "",                    ONCE,  STORED_NO),
    row(Says(500, REPLAYED, WITHOUT_CODE),                "",                    ONCE,  [Stuck, Doubt, Stuck, Doubt]),
    row(Says(424, "", WITHOUT_CODE),                      "",                    AGAIN, DOUBT),
    row(Says(500, "", WITHOUT_CODE),                      "",                    AGAIN, DOUBT),
    row(Says(500, "Stripe-Should-Retry: false\r\n", WITHOUT_CODE), "",           ONCE,  DOUBT),
    row(Says(502, "", HTML),                              "unreadable_answer",   AGAIN, DOUBT),
    row(Says(503, "", ""),                                "unreadable_answer",   AGAIN, DOUBT),
    row(Says(504, "", HTML),                              "unreadable_answer",   AGAIN, DOUBT),
    row(Says(307, "Location: /v1/transfers\r\n", ""),     "unreadable_answer",   ONCE,  DOUBT),
    row(Says(400, "", HTML),                              "unreadable_answer",   ONCE,  DOUBT),
    row(Says(401, "", HTML),                              "unreadable_answer",   ONCE,  DOUBT),
    row(Says(404, "", ""),                                "unreadable_answer",   ONCE,  DOUBT),
    row(Says(418, "", WITHOUT_CODE),                      "",                    ONCE,  DOUBT),
];

/// Which send gets the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Send {
    /// The first of its attempt.
    First,
    /// The second, after the answer to the first was lost.
    Again,
    /// The first of the next run, after the answers of a whole run were lost.
    NextRun,
}

/// Each send, with the money moved or not, and where its cell stands in a row. What a run left with
/// the money moved is found by the next one, which sends nothing.
const SENDS: [(usize, Send, bool); 5] = [
    (0, Send::First, false),
    (1, Send::First, true),
    (2, Send::Again, false),
    (3, Send::Again, true),
    (2, Send::NextRun, false),
];

impl Row {
    /// The run ends early over it, so that it can share none.
    fn stops(&self) -> bool {
        matches!(self.cells[0], Back(3) | Failed(3 | 6))
    }

    /// A no that settles only the first send.
    fn is_fresh_no(&self) -> bool {
        matches!(self.cells, [Failed(_), _, Doubt, _])
    }

    /// How often a run sends it.
    fn sends(&self, send: Send) -> usize {
        let lost = usize::from(send == Send::Again);
        match self.answer {
            // Who finds nobody is not counted.
            Gone => lost,
            _ if self.again => SENDS_MAX,
            // After a doubt it is asked for once more.
            _ if send != Send::First && self.is_fresh_no() => lost + 2,
            _ => lost + 1,
        }
    }
}

on_both! {
    fn every_answer_to_every_send_ends_where_the_protocol_says(db: TestDb) {
        let mut matrix = Matrix { shop: Shop::open(db), payouts: 0 };
        matrix.shop.env.set("PAYOUTS_TEST_TIMEOUT", TIMEOUT);
        for (at, send, moved) in SENDS {
            // What ends alike shares its runs, which is ten times as fast.
            let mut together: Vec<(Cell, Vec<&Row>)> = Vec::new();
            for row in MATRIX.iter().filter(|row| row.cells[at] != Never) {
                let cell = row.cells[at];
                match together.iter_mut().find(|(other, rows)| *other == cell && !rows[0].stops()) {
                    Some((_, rows)) if !row.stops() => rows.push(row),
                    _ => together.push((cell, vec![row])),
                }
            }
            for (cell, rows) in together {
                matrix.walk(&rows, cell, send, moved);
            }
        }
        matrix.shop.assert_paid_exactly_once();
    }
}

/// The payout of one cell.
struct Case<'a> {
    row: &'a Row,
    creator: String,
    payout: String,
}

struct Matrix {
    shop: Shop,
    payouts: usize,
}

impl Matrix {
    /// A payout for each row, from its first run to its end.
    fn walk(&mut self, rows: &[&Row], cell: Cell, send: Send, moved: bool) {
        let cases: Vec<Case<'_>> = rows.iter().map(|row| self.case(row)).collect();
        let made = self.shop.transfers().len();
        let lost = Step {
            executed: moved,
            answer: Nothing,
        };
        if send == Send::NextRun {
            let run = self.run(&cases, |_| vec![lost]);
            assert_eq!(run.code, 5, "{send:?}: {}", run.transcript);
            self.shop.pass(LEASE_OVER);
        }

        // The run that gets the answers.
        let run = self.run(&cases, |row| {
            let answered = Step {
                executed: moved && send == Send::First,
                answer: row.answer,
            };
            // One silence is enough, since it takes real time.
            let after = match row.answer {
                Silence => vec![Step {
                    answer: Nothing,
                    ..answered
                }],
                _ => Vec::new(),
            };
            let before = if send == Send::Again {
                vec![lost]
            } else {
                Vec::new()
            };
            [before, vec![answered], after].concat()
        });
        let (status, outcome, retries, code) = match cell {
            Never => unreachable!("it cannot happen"),
            Paid => ("COMPLETED", "paid", "0", 0),
            Failed(code) => ("FAILED", "declined", "1", code),
            Back(code) => ("PENDING", "not_sent", "0", code),
            Doubt | Stuck => ("PROCESSING", "unknown", "0", 5),
        };
        for case in &cases {
            let what = format!(
                "{:?}, {send:?}, moved: {moved}: {}",
                case.row.answer, run.transcript
            );
            let payout = &case.payout;
            let on_record = self.shop.db.query_strings(&format!(
                "SELECT status, outcome, CAST(retry_count AS TEXT), COALESCE(error_code, '')
                 FROM payouts JOIN payout_attempts ON payout_id = id WHERE id = '{payout}'"
            ));
            let expected =
                [status, outcome, retries, case.row.code].map(|text| Some(text.to_owned()));
            assert_eq!(on_record, [expected], "{what}");
            assert_eq!(run.sends(payout), case.row.sends(send), "{what}");
        }
        assert_eq!(
            run.code, code,
            "{send:?}, moved: {moved}: {}",
            run.transcript
        );
        let made_by = |shop: &Shop| shop.transfers().len() - made;
        assert_eq!(made_by(&self.shop), if moved { cases.len() } else { 0 });

        // The next ones, with a Stripe that keeps its word.
        self.shop.pass(LEASE_OVER);
        let run = self.run(&cases, |_| {
            vec![Step {
                executed: true,
                answer: Truth,
            }]
        });
        let lied = moved && matches!(cell, Failed(_) | Back(_));
        let (code, more, status) = match cell {
            Never => unreachable!("it cannot happen"),
            // The guard sees what this database does not know.
            _ if lied => (4, 0, status),
            Failed(_) | Paid => (0, 0, status),
            Stuck => (5, 0, status),
            Back(_) => (0, 1, "COMPLETED"),
            Doubt => (0, usize::from(!moved), "COMPLETED"),
        };
        assert_eq!(
            run.code, code,
            "{cell:?}, {send:?}, moved: {moved}: {}",
            run.transcript
        );
        for case in &cases {
            let what = format!(
                "{:?}, {send:?}, moved: {moved}: {}",
                case.row.answer, run.transcript
            );
            assert_eq!(
                (
                    run.sends(&case.payout),
                    self.shop.status(&case.payout).as_str()
                ),
                (more, status),
                "{what}"
            );
        }
        if lied {
            self.shop.reconcile(&["--fix"]).expect_code(0);
        }
        if cell == Stuck {
            // A person pays by hand what must not be sent again.
            for Case {
                creator, payout, ..
            } in &cases
            {
                self.shop.transfer(
                    creator,
                    1000,
                    &format!("&metadata[payout_id]={payout}&transfer_group={payout}"),
                );
            }
            self.shop.process(&[]).expect_code(0);
        }
        let paid = |case: &&Case<'_>| self.shop.status(&case.payout) == "COMPLETED";
        let paid = cases.iter().filter(paid).count();
        let unpaid = matches!(cell, Failed(_)) && !moved;
        assert_eq!(
            paid,
            if unpaid { 0 } else { cases.len() },
            "{cell:?}, {send:?}, moved: {moved}"
        );
        assert_eq!(
            made_by(&self.shop),
            paid,
            "{cell:?}, {send:?}, moved: {moved}"
        );
    }

    fn case<'a>(&mut self, row: &'a Row) -> Case<'a> {
        self.payouts += 1;
        let case = Case {
            row,
            creator: format!("c{}", self.payouts),
            payout: format!("cp{}", self.payouts),
        };
        self.shop.creator(&case.creator);
        self.shop.payout(&case.payout, &case.creator, 1000);
        case
    }

    /// A run of the program whose sends go by these steps.
    fn run(&mut self, cases: &[Case<'_>], steps: impl Fn(&Row) -> Vec<Step>) -> Ran {
        let script = cases
            .iter()
            .map(|case| (case.payout.clone(), steps(case.row)));
        let front = Front::before(&self.shop.stripe, script.collect());
        self.shop.env.set("STRIPE_API_BASE", &front.url());
        let run = self.shop.process(&[]);
        let direct = self.shop.stripe.base_url();
        self.shop.env.set("STRIPE_API_BASE", &direct);
        Ran {
            code: run.code,
            sends: front.sends(),
            transcript: run.to_string(),
        }
    }
}

struct Ran {
    code: i32,
    sends: HashMap<String, usize>,
    transcript: String,
}

impl Ran {
    fn sends(&self, payout: &str) -> usize {
        self.sends.get(payout).copied().unwrap_or_default()
    }
}
