//! A year that nobody watches: the program run by lines of a crontab alone, a minute at a time by a
//! clock that stands in between, with what goes wrong in a year, and people who come only when a
//! mail says so.
//!
//! Every line is a process of its own. What must show: each alert that should come comes once and
//! goes again, no other comes; each is mailed once; and the report of every month ties to what
//! Stripe made, to the cent. By default some weeks with a few payouts; `tests/run --year PAYOUTS` is
//! twelve months with so many payouts each.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use payouts::model::alert::AlertCode;
use payouts::model::money::{Currency, with_currency};
use payouts::model::time::Time;
use payouts::sandbox::{BalanceUpdate, Fault};
use serde_json::Value;

use crate::common::clients::SmtpServer;
use crate::common::db::{TestDb, on_both};
use crate::common::env::Run;
use crate::common::outside_number;
use crate::common::shop::{Shop, creator};
use crate::notify_smtp;

/// The jobs of `packaging/cron/payouts`, less often: minute, hour, day, command.
const CRONTAB: &str = "\
0    *    *  retry --due
5    *    *  process
20   */2  *  events pull
*/30 *    *  check --mail
10   *    *  notify
30   5    *  reconcile
";

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A line of the crontab.
struct Line {
    minutes: Vec<i64>,
    hours: Vec<i64>,
    command: Vec<&'static str>,
}

impl Line {
    fn all() -> Vec<Self> {
        CRONTAB
            .lines()
            .map(|line| {
                let mut fields = line.split_whitespace();
                let minutes = numbers(fields.next().unwrap(), 60);
                let hours = numbers(fields.next().unwrap(), 24);
                assert_eq!(fields.next(), Some("*"), "every day");
                Self {
                    minutes,
                    hours,
                    command: fields.collect(),
                }
            })
            .collect()
    }

    fn is_due(&self, now: i64) -> bool {
        let minute = now / MINUTE;
        self.minutes.contains(&(minute % 60)) && self.hours.contains(&(minute / 60 % 24))
    }
}

/// What `*`, `*/2` or `5` stand for, below a bound.
fn numbers(field: &str, bound: i64) -> Vec<i64> {
    match field.strip_prefix('*') {
        Some("") => (0..bound).collect(),
        Some(step) => {
            let step: usize = step.strip_prefix('/').unwrap().parse().unwrap();
            (0..bound).step_by(step).collect()
        }
        None => vec![field.parse().unwrap()],
    }
}

/// What goes wrong in a month, or what people do about it.
type Act = fn(&mut Year);

/// A month: what happens when, counted in hours from the morning on which its batch is loaded,
/// and the alerts that must come of it with the hours between which each stands.
struct Month {
    what: &'static str,
    acts: &'static [(i64, Act)],
    alerts: &'static [(&'static str, i64, i64)],
    /// Whether one amount of the batch is fifty times too high.
    slip: bool,
}

const MONTHS: &[Month] = &[
    Month {
        what: "answers are lost and connections break, and every run mends what the last one left",
        acts: &[
            (0, |year| year.trouble()),
            (30, |year| year.stripe_is_well()),
        ],
        alerts: &[],
        slip: false,
    },
    Month {
        what: "one in ten accounts is closed; people mend them in the evening",
        acts: &[
            (0, |year| year.close_accounts(10)),
            (8, |year| year.mend_accounts_and_retry()),
        ],
        alerts: &[("failure_rate", 0, 8)],
        slip: false,
    },
    Month {
        what: "somebody makes a transfer by hand",
        acts: &[
            (2, |year| year.transfer_by_hand()),
            (26, |year| year.accept_findings()),
        ],
        alerts: &[("findings_open", 5, 26)],
        slip: false,
    },
    Month {
        what: "two accounts are closed, and nobody looks for a day and a half",
        acts: &[
            (0, |year| year.close_accounts(50)),
            (36, |year| year.mend_accounts_and_retry()),
        ],
        alerts: &[("failed_long", 25, 36)],
        slip: false,
    },
    Month {
        what: "Stripe cannot be reached for five hours",
        acts: &[
            (30, |year| year.cut_off_from_stripe()),
            (35, |year| year.reach_stripe_again()),
        ],
        alerts: &[("stripe_unreachable", 30, 35), ("process_failed", 31, 35)],
        slip: false,
    },
    Month {
        what: "the machine is off for two days and a half",
        acts: &[(20, |year| year.machine_off_until(80))],
        alerts: &[("process_overdue", 80, 81), ("reconcile_overdue", 80, 95)],
        slip: false,
    },
    Month {
        what: "the balance is gone when the batch comes, and filled up on the next day",
        acts: &[
            (0, |year| year.drain_balance()),
            (20, |year| year.fill_balance()),
        ],
        alerts: &[("balance_short", 0, 21)],
        slip: false,
    },
    Month {
        what: "money is taken back at Stripe, which the events tell",
        acts: &[(3, |year| year.reverse_one())],
        alerts: &[],
        slip: false,
    },
    Month {
        what: "a slip of the keyboard pays one creator fifty times as much",
        acts: &[],
        alerts: &[("unusual_amount", 0, 24)],
        slip: true,
    },
    Month {
        what: "one payout hangs for three hours",
        acts: &[
            (0, |year| year.lose_every_request_of_one()),
            (3, |year| year.stripe_is_well()),
        ],
        alerts: &[("payouts_stuck", 1, 4)],
        slip: false,
    },
    Month {
        what: "a run is killed as it sends",
        acts: &[(0, |year| year.kill_the_next_run())],
        alerts: &[],
        slip: false,
    },
    Month {
        what: "somebody retries a payout again and again that cannot work, and cancels it at last",
        acts: &[
            (0, |year| year.close_accounts(100)),
            (2, |year| year.retry_failed()),
            (4, |year| year.retry_failed()),
            (6, |year| year.retry_failed()),
            (10, |year| year.cancel_failed()),
        ],
        alerts: &[("failed_often", 6, 10)],
        slip: false,
    },
];

/// The platform, its people, and the clock of everybody.
struct Year {
    shop: Shop,
    mail: SmtpServer,
    /// Payouts of each month.
    payouts: usize,
    /// UTC milliseconds.
    now: i64,
    /// When this month's batch is loaded.
    batch_at: i64,
    /// How many batches were loaded.
    batches: usize,
    /// No line runs before.
    off_until: i64,
    kill_next: bool,
    /// Creators whose accounts are closed.
    closed: Vec<usize>,
    /// How often each command ended with each code.
    ended: BTreeMap<String, u32>,
    /// Alerts that must come: which, and the hours after which each is raised and cleared.
    expected: Vec<(&'static str, [i64; 2])>,
    /// Transfers that the program did not make.
    by_hand: Vec<String>,
}

impl Year {
    fn begin(db: TestDb, payouts: usize) -> Self {
        let (shop, mail) = notify_smtp::shop(db, "implicit", &["alert", "digest", "failed"]);
        let creators: String = (0..payouts)
            .map(|number| creator(&format!("c{number}")))
            .collect();
        shop.db.execute(&creators);
        let year = Self {
            mail,
            payouts,
            now: shop.stripe.now_ms(),
            batch_at: 0,
            batches: 0,
            off_until: 0,
            kill_next: false,
            closed: Vec::new(),
            ended: BTreeMap::new(),
            expected: Vec::new(),
            by_hand: Vec::new(),
            shop,
        };
        // A database that was just made has had no run yet.
        year.people(&["process"], 0);
        year.people(&["reconcile"], 0);
        year
    }

    /// Lets a month pass: its batch is loaded two days after it begins.
    fn pass(&mut self, month: &Month, until: i64, lines: &[Line]) {
        self.batch_at = (self.now / DAY + 2) * DAY + 7 * HOUR;
        for (code, from, to) in month.alerts {
            self.expected
                .push((code, [from, to].map(|hours| self.batch_at + hours * HOUR)));
        }
        while self.now < until {
            self.set_clock(self.now + MINUTE);
            if self.now == self.batch_at {
                self.load_batch(month.slip);
            }
            for (after, act) in month.acts {
                if self.now == self.batch_at + after * HOUR {
                    act(self);
                }
            }
            for line in lines {
                if self.now >= self.off_until && line.is_due(self.now) {
                    self.run(line);
                }
            }
        }
        assert_eq!(
            self.closed, [0_usize; 0],
            "people mended what they broke: {}",
            month.what
        );
    }

    fn set_clock(&mut self, now: i64) {
        self.now = now;
        self.shop.stripe.set_clock(now).expect("the clock moves");
        self.shop.env.set_now(&Time::from_millis(now).to_string());
    }

    /// One line of the crontab.
    fn run(&mut self, line: &Line) {
        let kill = self.kill_next && line.command == ["process"];
        if kill {
            self.kill_next = false;
            self.shop
                .env
                .set("PAYOUTS_TEST_FAILPOINT", "send.leaving=kill");
        }
        let run = self.shop.env.run(&line.command);
        if kill {
            self.shop.env.unset("PAYOUTS_TEST_FAILPOINT");
            assert_eq!(run.code(), 137, "{run}");
        }
        assert!(
            ![2, 70].contains(&run.code()) || line.command[0] == "check",
            "{run}"
        );
        let name = format!("{} {}", line.command.join(" "), run.code());
        *self.ended.entry(name).or_default() += 1;
    }

    /// What somebody types.
    fn people(&self, args: &[&str], code: i32) -> Run {
        self.shop.env.run(args).expect_code(code)
    }

    /// Finance loads a month's file, looks it over, and lets it go.
    fn load_batch(&mut self, slip: bool) {
        self.batches += 1;
        let mut file = "creator,amount,reference\n".to_owned();
        for number in 0..self.payouts {
            // A creator's payments differ by a tenth up and down.
            let base = 2_000 + number * 37 % 4_000;
            let mut cents = base * (90 + (number + self.batches) * 7 % 20) / 100;
            if slip && number == 1 {
                cents *= 50;
            }
            writeln!(
                file,
                "cr_c{number},{}.{:02},B{}-{number}",
                cents / 100,
                cents % 100,
                self.batches
            )
            .unwrap();
        }
        let name = format!("batch{}.csv", self.batches);
        self.shop.env.write(&name, file);
        let loaded = self.people(&["create", "--file", &name, "-o", "json"], 0);
        let answer: Value = serde_json::from_str(&loaded.stdout).unwrap();
        let batch = answer["batch"]["id"].as_str().expect("a batch").to_owned();
        self.people(&["release", &batch], 0);
    }

    /// A creator's requests meet faults, each kind some of them.
    fn trouble(&mut self) {
        let kinds = [
            Fault::ResetBefore,
            Fault::ResetAfter,
            Fault::Error500After,
            Fault::Rate429,
            Fault::Html503,
            Fault::Conflict409,
            Fault::CutBody,
        ];
        for (number, fault) in (0..self.payouts).step_by(11).zip(kinds.into_iter().cycle()) {
            self.shop.fault(&format!("c{number}"), fault, 1);
        }
    }

    fn lose_every_request_of_one(&mut self) {
        self.shop.fault("c0", Fault::ResetBefore, 1_000);
    }

    fn stripe_is_well(&mut self) {
        self.shop.stripe.faults_clear();
    }

    /// Closes the accounts of one creator in so many.
    fn close_accounts(&mut self, one_in: usize) {
        self.closed = (0..self.payouts).step_by(one_in).collect();
        self.set_accounts("_closed");
    }

    fn set_accounts(&self, suffix: &str) {
        let update = |number: &usize| {
            format!(
                "UPDATE creators SET \"stripeAccountId\" = 'acct_c{number}{suffix}' WHERE id = 'cr_c{number}';"
            )
        };
        self.shop
            .db
            .execute(&self.closed.iter().map(update).collect::<String>());
    }

    fn failed(&self) -> Vec<String> {
        let query = "SELECT id FROM payouts WHERE status = 'FAILED' AND failed_reason NOT LIKE 'cancelled%'";
        self.shop
            .db
            .query_strings(query)
            .into_iter()
            .flatten()
            .flatten()
            .collect()
    }

    fn retry_failed(&mut self) {
        let ids = self.failed();
        assert!(!ids.is_empty());
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        self.people(&[&["retry"], &ids[..]].concat(), 0);
    }

    fn mend_accounts_and_retry(&mut self) {
        self.set_accounts("");
        self.closed.clear();
        self.retry_failed();
    }

    fn cancel_failed(&mut self) {
        for id in self.failed() {
            self.people(&["cancel", &id, "--reason", "paid by bank"], 0);
        }
        self.set_accounts("");
        self.closed.clear();
    }

    fn transfer_by_hand(&mut self) {
        let made = self.shop.transfer("c0", 4_200, "&transfer_group=BONUS-7");
        self.by_hand.push(made);
    }

    fn accept_findings(&mut self) {
        let open = "SELECT id FROM payout_findings WHERE state = 'open'";
        for row in self.shop.db.query_strings(open) {
            let id = row[0].clone().unwrap();
            self.people(&["reconcile", "--accept", &id, "--reason", "a bonus"], 0);
        }
    }

    fn cut_off_from_stripe(&mut self) {
        self.shop.env.set("STRIPE_API_BASE", "http://127.0.0.1:1");
    }

    fn reach_stripe_again(&mut self) {
        let base = self.shop.stripe.base_url();
        self.shop.env.set("STRIPE_API_BASE", &base);
    }

    fn machine_off_until(&mut self, hours: i64) {
        self.off_until = self.batch_at + hours * HOUR;
    }

    fn set_balance(&mut self, cents: i64) {
        let update = BalanceUpdate {
            currency: "usd".to_owned(),
            set: Some(cents),
            ..BalanceUpdate::default()
        };
        self.shop
            .stripe
            .change_balance(&update)
            .expect("the balance changes");
    }

    fn drain_balance(&mut self) {
        self.set_balance(5_000);
    }

    fn fill_balance(&mut self) {
        self.set_balance(1_000_000_000);
    }

    fn reverse_one(&mut self) {
        let newest = self.shop.transfers().pop().expect("something was paid");
        self.shop
            .stripe
            .reverse(&newest.id, 500)
            .expect("it is taken back");
    }

    fn kill_the_next_run(&mut self) {
        self.kill_next = true;
    }

    /// Each alert that must come came once, stood as long as it must, and no other came; and each
    /// was mailed when it came and when it went.
    fn assert_alerts(&self) {
        let rows = self.shop.db.query_strings(
            "SELECT code, CAST(raised_at AS TEXT), CAST(cleared_at AS TEXT) FROM payout_alerts ORDER BY raised_at, code",
        );
        let told = rows
            .iter()
            .map(|row| row.iter().flatten().cloned().collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>();
        let mut left = self.expected.clone();
        for row in &rows {
            let code = row[0].as_deref().unwrap();
            let [raised, cleared] = [1, 2].map(|at| row[at].as_deref().map(millis));
            let about = |at: Option<i64>, must: i64| at.is_some_and(|at| (at - must).abs() <= HOUR);
            let place = left.iter().position(|(name, [from, to])| {
                *name == code && about(raised, *from) && about(cleared, *to)
            });
            let place = place.unwrap_or_else(|| {
                panic!("{row:?} must not be; expected {left:#?}, all: {told:#?}")
            });
            left.remove(place);
        }
        assert!(
            left.is_empty(),
            "these never came: {left:#?}; came: {told:#?}"
        );
        let subjects: Vec<String> = self
            .mail
            .taken()
            .iter()
            .map(|mail| mail.header("Subject").to_owned())
            .collect();
        let again = subjects.iter().filter(|one| one.ends_with("more of it"));
        assert_eq!(again.count(), 0, "nothing grew: {subjects:#?}");
        for (code, _) in &self.expected {
            let count = |subject: String| subjects.iter().filter(|one| **one == subject).count();
            let severity = code.parse::<AlertCode>().unwrap().severity();
            let raised = count(format!("payouts: {severity} {code}"));
            let cleared = count(format!("payouts: cleared {code}"));
            let times = self
                .expected
                .iter()
                .filter(|(other, _)| other == code)
                .count();
            let mails = times * RECIPIENTS;
            assert_eq!(
                (raised, cleared),
                (mails, mails),
                "mails of {code} in {subjects:#?}"
            );
        }
    }

    #[expect(
        clippy::print_stdout,
        reason = "figures for whoever runs the whole year"
    )]
    fn tell(&self) {
        println!(
            "how often each line ended with which code: {:#?}",
            self.ended
        );
    }

    /// The report of a period, as CSV and as a page, is what Stripe made in it.
    fn assert_report(&self, period: &str, from: i64, until: i64) {
        let made: i64 = self
            .shop
            .transfers()
            .iter()
            .filter(|made| (from / 1000..until / 1000).contains(&made.created))
            .filter(|made| !self.by_hand.contains(&made.id))
            .map(|made| made.amount)
            .sum();
        let csv = self
            .people(&["report", "--period", period, "-o", "csv", "--quiet"], 0)
            .stdout;
        let mut rows = csv.lines();
        let column = rows
            .next()
            .unwrap()
            .split(',')
            .position(|name| name == "paid_cents")
            .unwrap();
        let paid: i64 = rows
            .map(|row| fields(row)[column].parse::<i64>().unwrap())
            .sum();
        assert_eq!(paid, made, "{period}");
        let page = self
            .people(&["report", "--period", period, "-o", "html"], 0)
            .stdout;
        let amount = with_currency(made, Currency::USD);
        assert!(
            page.contains(&amount),
            "{amount} is not on the page of {period}"
        );
    }
}

/// UTC milliseconds of a moment as either database writes it.
fn millis(text: &str) -> i64 {
    let utc =
        chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").expect("a moment");
    utc.and_utc().timestamp_millis()
}

/// The cells of a line of CSV in which nothing is quoted but texts without commas.
fn fields(row: &str) -> Vec<&str> {
    row.split(',').collect()
}

/// Addresses in `PAYOUTS_MAIL_TO`.
const RECIPIENTS: usize = 2;

/// Some weeks of them, five days each.
const SHORT: [usize; 3] = [0, 1, 2];
const SHORT_DAYS: i64 = 5;
const SHORT_PAYOUTS: usize = 60;

on_both! {
    fn a_year_from_cron_lines_alone(db: TestDb) {
        let lines = Line::all();
        let full = outside_number("PAYOUTS_TEST_YEAR").map(|payouts| usize::try_from(payouts).unwrap());
        let mut year = Year::begin(db, full.unwrap_or(SHORT_PAYOUTS));
        let mut periods = Vec::new();
        for (number, month) in MONTHS.iter().enumerate() {
            if full.is_none() && !SHORT.contains(&number) {
                continue;
            }
            let from = year.now;
            let (period, until) = if full.is_some() { calendar_month(from) } else { days(from) };
            year.pass(month, until, &lines);
            periods.push((period, from, until));
        }
        year.assert_alerts();
        for (period, from, until) in &periods {
            year.assert_report(period, *from, *until);
        }
        year.people(&["reconcile"], 0);
        year.shop.assert_paid_exactly_once();
        year.tell();
    }
}

/// The calendar month that a moment lies in, as `report` takes it, and when it ends.
fn calendar_month(at: i64) -> (String, i64) {
    use chrono::Datelike as _;
    let day = chrono::DateTime::from_timestamp_millis(at)
        .unwrap()
        .date_naive();
    let next = day.with_day(1).unwrap() + chrono::Months::new(1);
    let ends = next
        .and_time(chrono::NaiveTime::MIN)
        .and_utc()
        .timestamp_millis();
    (day.format("%Y-%m").to_string(), ends)
}

/// The next days, the same way.
fn days(from: i64) -> (String, i64) {
    let first = (from + MINUTE) / DAY * DAY;
    let until = first + SHORT_DAYS * DAY;
    let name = |at: i64| Time::from_millis(at).day();
    (format!("{}..{}", name(first), name(until - DAY)), until)
}
