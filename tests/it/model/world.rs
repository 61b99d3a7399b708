//! The world in which a schedule happens: a database, a Stripe, one machine's clock, and simulated
//! processes, each with its own session, store and threads. They call what the commands call.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use payouts::cli::exit_code_of;
use payouts::failpoint::{self, Event, Process, Trap};
use payouts::model::approval::ApprovalRule;
use payouts::model::hold::{HoldKind, HoldTarget};
use payouts::model::ids::PayoutId;
use payouts::model::money::Currency;
use payouts::model::payout::SendRules;
use payouts::model::time::Clock;
use payouts::ops::consent::{Agreement, Consent};
use payouts::ops::events::pull;
use payouts::ops::process::{Report, Session, Settings};
use payouts::ops::reconcile::{self, default_period};
use payouts::ops::resolve::{self, Looked, Resolver};
use payouts::ops::run_error::RunError;
use payouts::ops::{approve, cancel, hold, retry};
use payouts::sandbox::{
    AccountUpdate, BalanceUpdate, CapabilityStatus, FaultPlan, FaultRule, OpeningBalance, Options,
    Sandbox, SandboxClock, SandboxHandle, SourceType, TransferReport,
};
use payouts::store::queue::QueueFilter;
use payouts::store::thread::StoreThread;
use payouts::store::{Open, RunDescription, RunStamp, Store, StoreError};
use payouts::stripe::Stripe;
use payouts::stripe::transport::Timeouts;
use secrecy::SecretString;
use tokio::sync::watch;

use super::schedule::{Foreign, Misfortune, Named, Op, Payee, Run};
use crate::common::db::{Backend, Session as Behind, TestDb, TextRow};

/// Who runs what sends nothing that nobody approved.
pub(crate) const CAREFUL: &str = "careful";

/// When every schedule begins, in UTC milliseconds.
const START: i64 = 1_793_611_800_000;
/// After this long without a sign of life a run is over.
pub(crate) const LEASE: Duration = Duration::from_secs(120);
/// How long a request may take: what hangs costs it in real time.
const PATIENCE: Duration = Duration::from_millis(120);
/// Whoever sleeps here is past every check: to Stripe, a request that is slow to come.
const ON_THE_WIRE: &str = "send.leaving";
/// No request takes longer. One that took a day, while another run sent the same under the same key,
/// would be a second transfer, and no client could prevent it.
const ON_THE_WIRE_MILLIS_MAX: i64 = 20 * 3_600_000;
/// Creators whose accounts work.
const USUAL: [&str; 4] = ["ann", "ben", "cem", "dot"];
const INCAPABLE: &str = "eve_nocap";
const CLOSED: &str = "fay_closed";
/// What a person may look at again: all that is not known to be paid, and what was let go of.
const MAY_BE_IN_DOUBT: &str = "SELECT id FROM payouts p WHERE status <> 'COMPLETED' OR EXISTS
    (SELECT 1 FROM payout_attempts a WHERE a.payout_id = p.id AND a.outcome = 'released') ORDER BY id";

/// A payout, as whoever created it knows it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) id: String,
    pub(crate) creator: &'static str,
    pub(crate) cents: i64,
    pub(crate) statement: Option<String>,
    pub(crate) foreign: Option<Foreign>,
    /// Other software paid it, and said so, before this tool can have looked.
    pub(crate) paid_by_others: bool,
    /// When its row was written.
    pub(crate) created: i64,
}

/// What came of a process that nobody killed.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) code: u8,
    /// Its run; none when it could not begin one.
    pub(crate) run: Option<String>,
    /// What it said.
    pub(crate) report: Option<Report>,
    pub(crate) error: Option<String>,
    /// The guard refused.
    pub(crate) forgotten: bool,
    /// How `resolve` found each payout.
    pub(crate) looked: Vec<Looked>,
}

/// A process that was started in a step.
pub(crate) struct Running {
    pub(crate) process: Process,
    thread: JoinHandle<Option<Ended>>,
    pub(crate) op: Op,
    named: Vec<PayoutId>,
    /// Where it sleeps, and since when.
    asleep: Option<(&'static str, i64)>,
    run: Arc<OnceLock<String>>,
}

impl Running {
    /// Its run, once it has begun one.
    pub(crate) fn run(&self) -> Option<&str> {
        self.run.get().map(String::as_str)
    }

    /// Since when a request of it is on the wire.
    pub(crate) fn on_the_wire_since(&self) -> Option<i64> {
        let (at, since) = self.asleep?;
        (at == ON_THE_WIRE).then_some(since)
    }
}

/// A process that is over: what it was to do, and what came of it unless it was killed.
pub(crate) struct Finished {
    pub(crate) process: Process,
    pub(crate) op: Op,
    pub(crate) ended: Option<Ended>,
    /// What it was told by name to work on.
    pub(crate) named: Vec<PayoutId>,
    /// It slept through other steps.
    pub(crate) slept: bool,
}

/// Where processes get their sessions, and leave them on PostgreSQL, where a new one costs more than all
/// that a process asks of it. Who is killed takes his with him.
#[derive(Clone)]
pub(crate) struct Sessions {
    url: String,
    left: Option<Arc<Mutex<Vec<Store>>>>,
}

impl Sessions {
    fn left(&self) -> Option<MutexGuard<'_, Vec<Store>>> {
        let left = self.left.as_ref()?;
        Some(left.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A session for a process of its own.
    pub(crate) fn take(&self, clock: &Clock) -> Result<Store, StoreError> {
        if let Some(store) = self.left().and_then(|mut left| left.pop()) {
            return Ok(store.at(clock.clone()));
        }
        let url = self.url.parse().expect("a database URL");
        Store::open(&url, Open::Existing, false, clock.clone())
    }

    /// Ends the process of a session.
    pub(crate) fn leave(&self, store: Store) {
        if let (Some(mut left), Ok(store)) = (self.left(), store.leave()) {
            left.push(store);
        }
    }
}

pub(crate) struct World {
    db: TestDb,
    pub(crate) sessions: Sessions,
    behind: Option<Behind>,
    pub(crate) stripe: SandboxHandle,
    /// What the time is, for everybody.
    millis: Arc<AtomicI64>,
    pub(crate) clock: Clock,
    pub(crate) payouts: Vec<Known>,
    /// Statements and what they owe.
    pub(crate) statements: Vec<(String, i64)>,
    pub(crate) asleep: VecDeque<Running>,
    pub(crate) backup: Option<usize>,
    pub(crate) planted: Option<&'static str>,
    /// What wakes next would come to Stripe under a key that is a day old, see [`ON_THE_WIRE_MILLIS_MAX`].
    pub(crate) lost_on_the_wire: bool,
    runtime: tokio::runtime::Runtime,
    schedules: u64,
}

impl World {
    pub(crate) fn new(backend: Backend) -> Self {
        let db = match backend {
            Backend::Sqlite => TestDb::sqlite_in_memory_file_system(),
            Backend::Postgres => TestDb::postgres(),
        };
        let millis = Arc::new(AtomicI64::new(START));
        let clock = Clock::on(Arc::clone(&millis));
        let mut store = db.store_at(clock.clone());
        store.migrate().expect("the migrations run");
        drop(store);
        let mut behind = db.session();
        for name in USUAL.into_iter().chain([INCAPABLE, CLOSED]) {
            behind.execute(&format!(
                r#"INSERT INTO users (id, email, "updatedAt") VALUES ('us_{name}', '{name}@example.org', '2026-01-01 00:00:00');
                INSERT INTO creators (id, "userId", "stageName", "stripeAccountId", "createdAt", "updatedAt")
                VALUES ('cr_{name}', 'us_{name}', '{name}', 'acct_{name}', '2026-01-01 00:00:00', '2026-01-01 00:00:00')"#
            ));
        }
        let stripe = Sandbox::spawn(Options {
            clock: SandboxClock::Followed(Arc::clone(&millis)),
            seed: Some(7),
            balances: vec![OpeningBalance {
                currency: "usd".to_owned(),
                source_type: SourceType::Card,
                amount: 1_000_000,
            }],
            ..Options::at_free_port()
        })
        .expect("a sandbox starts");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime starts");
        let sessions = Sessions {
            url: db.url().to_owned(),
            left: (backend == Backend::Postgres).then(Arc::default),
        };
        let mut world = Self {
            db,
            sessions,
            behind: Some(behind),
            stripe,
            millis,
            clock,
            payouts: Vec::new(),
            statements: Vec::new(),
            asleep: VecDeque::new(),
            backup: None,
            planted: None,
            lost_on_the_wire: false,
            runtime,
            schedules: 0,
        };
        world.keep("fresh");
        world
    }

    /// As on the first day.
    pub(crate) fn reset(&mut self) {
        self.end_sleepers();
        self.millis.store(START, Ordering::SeqCst);
        self.clock = Clock::on(Arc::clone(&self.millis));
        self.stripe.reset().expect("the sandbox forgets");
        self.stripe.faults_clear();
        self.put_back("fresh");
        self.payouts.clear();
        self.statements.clear();
        self.backup = None;
        self.schedules += 1;
        if self.schedules.is_multiple_of(100) {
            let behind = self.behind.get_or_insert_with(|| self.db.session());
            self.db.tidy(behind);
        }
    }

    pub(crate) fn execute(&mut self, sql: &str) {
        self.session().execute(sql);
    }

    pub(crate) fn rows(&mut self, sql: &str) -> Vec<TextRow> {
        self.session().query_strings(sql)
    }

    fn session(&mut self) -> &mut Behind {
        self.behind.get_or_insert_with(|| self.db.session())
    }

    pub(crate) fn now(&self) -> i64 {
        self.millis.load(Ordering::SeqCst)
    }

    pub(crate) fn transfers(&self) -> Vec<TransferReport> {
        self.stripe.ledger().transfers().cloned().collect()
    }

    pub(crate) fn known(&self, id: &str) -> Option<&Known> {
        self.payouts.iter().find(|known| known.id == id)
    }

    // --- copies of the database -----------------------------------------------------------------

    fn keep(&mut self, name: &str) {
        let behind = self.behind.get_or_insert_with(|| self.db.session());
        self.db.keep(behind, name);
    }

    fn put_back(&mut self, name: &str) {
        let behind = self.behind.take().unwrap_or_else(|| self.db.session());
        self.behind = Some(self.db.put_back(behind, name));
    }

    // --- what happens ---------------------------------------------------------------------------

    /// One step of a schedule; gives what ended in it.
    pub(crate) fn step(&mut self, op: &Op) -> Vec<Finished> {
        match op {
            Op::Process(_)
            | Op::Retry(_)
            | Op::Cancel(_)
            | Op::Reconcile(_)
            | Op::Pull(_)
            | Op::Approve(_)
            | Op::Hold { .. }
            | Op::Unhold
            | Op::UnholdOne
            | Op::LookAgain(_)
            | Op::LetGo(_)
            | Op::Paid { .. }
            | Op::Accept => return self.start(op.clone()).into_iter().collect(),
            Op::Wake { kill } => return self.wake(*kill).into_iter().collect(),
            Op::Payouts { count, to } => {
                for _ in 0..*count {
                    self.payout(*to, None);
                }
            }
            Op::Statement => self.statement(),
            Op::Foreign(kind) => self.foreign(*kind),
            Op::ForeignPays { named } => self.foreign_pays(*named),
            Op::ForeignResets { clean } => {
                let marks = if *clean {
                    ", retry_count = 0, last_retry_at = NULL, failed_reason = NULL"
                } else {
                    ""
                };
                self.execute(&format!(
                    "UPDATE payouts SET status = 'PENDING'{marks} WHERE status = 'FAILED'"
                ));
            }
            Op::ForeignUnmarks => self.execute(
                "UPDATE royalty_statements SET status = 'REVIEWED', paid_at = NULL WHERE status = 'PAID'",
            ),
            Op::Fault(misfortune) => self.misfortune(misfortune),
            Op::FaultsEnd => self.stripe.faults_clear(),
            Op::Release => self.release(),
            Op::Pass(seconds) => self.clock.advance(Duration::from_secs(*seconds)),
            Op::Step(millis) => self.clock.step(*millis),
            Op::Backup => {
                self.keep("kept");
                self.backup = Some(self.transfers().len());
            }
            Op::Restore => {
                if self.backup.is_some() {
                    // Whoever worked on the database that was lost is gone with it.
                    self.end_sleepers();
                    self.put_back("kept");
                }
            }
            Op::Balance(cents) => self.balance(*cents),
            Op::Capability(active) => {
                let update = AccountUpdate {
                    id: format!("acct_{INCAPABLE}"),
                    transfers: Some(if *active {
                        CapabilityStatus::Active
                    } else {
                        CapabilityStatus::Inactive
                    }),
                    ..AccountUpdate::default()
                };
                self.stripe
                    .update_account(update)
                    .expect("it is an account");
            }
            Op::Reverse { all } => {
                let last = self.transfers().into_iter().next_back();
                if let Some(transfer) = last {
                    let left = transfer.amount - transfer.amount_reversed;
                    let amount = if *all { left } else { left / 2 };
                    let _ = self.stripe.reverse(&transfer.id, amount);
                }
            }
        }
        Vec::new()
    }

    pub(crate) fn balance(&self, cents: i64) {
        let update = BalanceUpdate {
            currency: "usd".to_owned(),
            set: Some(cents),
            ..BalanceUpdate::default()
        };
        self.stripe
            .change_balance(&update)
            .expect("it is a balance");
    }

    /// Stripe goes on with what it holds, and is through with it.
    pub(crate) fn release(&self) {
        self.stripe.release();
        while self.stripe.hanging() > 0 {
            std::thread::yield_now();
        }
        while self.asleep.is_empty() && self.stripe.in_flight() > 0 {
            std::thread::yield_now();
        }
    }

    fn payout(&mut self, to: Payee, statement: Option<&str>) {
        let number = self.payouts.len();
        let creator = match to {
            Payee::Usual => USUAL[number % USUAL.len()],
            Payee::Incapable => INCAPABLE,
            Payee::Closed => CLOSED,
        };
        let cents = 1000 + i64::try_from(number).expect("few");
        let id = self.insert(creator, cents, statement, None);
        self.execute(&format!(
            "INSERT INTO payout_batch_items (payout_id) VALUES ('{id}')"
        ));
    }

    fn insert(
        &mut self,
        creator: &'static str,
        cents: i64,
        statement: Option<&str>,
        foreign: Option<Foreign>,
    ) -> String {
        let number = self.payouts.len();
        let id = format!("cp{number:02}");
        let now = self.clock.now();
        let created = now.utc().format("%F %T%.f");
        let statement_sql = statement.map_or("NULL".to_owned(), |id| format!("'{id}'"));
        let (status, retries) = match foreign {
            Some(Foreign::Processing) => ("PROCESSING", 0),
            Some(Foreign::Dirty) => ("PENDING", 1),
            _ => ("PENDING", 0),
        };
        self.execute(&format!(
            "INSERT INTO payouts (id, creator_id, royalty_statement_id, amount_cents, status, retry_count, created_at, updated_at)
             VALUES ('{id}', 'cr_{creator}', {statement_sql}, {cents}, '{status}', {retries}, '{created}', '{created}')"
        ));
        self.payouts.push(Known {
            id: id.clone(),
            creator,
            cents,
            statement: statement.map(str::to_owned),
            foreign,
            paid_by_others: false,
            created: self.now(),
        });
        id
    }

    fn statement(&mut self) {
        let number = self.statements.len();
        let (id, owed) = (format!("st{number}"), 1000);
        let creator = USUAL[number % USUAL.len()];
        self.execute(&format!(
            "INSERT INTO royalty_runs (id, period_start, period_end, updated_at)
             VALUES ('rr_{id}', '2026-09-01 00:00:00', '2026-10-01 00:00:00', '2026-10-01 00:00:00');
             INSERT INTO royalty_statements
                 (id, royalty_run_id, creator_id, total_earnings_cents, platform_fee_cents,
                  net_payable_cents, status, updated_at)
             VALUES ('{id}', 'rr_{id}', 'cr_{creator}', {owed}, 0, {owed}, 'REVIEWED', '2026-10-01 00:00:00')"
        ));
        for cents in [1000, 900] {
            let payout = self.insert(creator, cents, Some(&id), None);
            self.execute(&format!(
                "INSERT INTO payout_batch_items (payout_id) VALUES ('{payout}')"
            ));
        }
        self.statements.push((id, owed));
    }

    fn foreign(&mut self, kind: Foreign) {
        let number = self.payouts.len();
        let cents = 5000 + i64::try_from(number).expect("few");
        self.insert(USUAL[number % USUAL.len()], cents, None, Some(kind));
    }

    /// Other software pays the newest of its rows that nobody has touched yet.
    fn foreign_pays(&mut self, named: bool) {
        let untouched: Vec<String> = self
            .rows(
                "SELECT id FROM payouts p WHERE status <> 'COMPLETED' AND NOT EXISTS
                 (SELECT 1 FROM payout_attempts a WHERE a.payout_id = p.id)",
            )
            .into_iter()
            .filter_map(|row| row.into_iter().next().flatten())
            .collect();
        let Some(known) = self.payouts.iter_mut().rev().find(|known| {
            known.foreign.is_some() && !known.paid_by_others && untouched.contains(&known.id)
        }) else {
            return;
        };
        let mut body = format!(
            "amount={}&currency=usd&destination=acct_{}",
            known.cents, known.creator
        );
        if named {
            body.push_str("&metadata%5Bpayout_id%5D=");
            body.push_str(&known.id);
        }
        let (id, key) = (known.id.clone(), format!("others_{}", known.id));
        let stripe = client(&self.stripe.base_url(), 1);
        let send = stripe.transfer_send(&key, "2024-06-20", body, || true);
        let _ = self.runtime.block_on(send);
        // Under this key it may have paid before, and not said for what.
        let named = self.transfers().iter().any(|transfer| {
            transfer.idempotency_key.as_deref() == Some(&key)
                && transfer.metadata.get("payout_id").as_ref() == Some(&id)
        });
        // A sender that sleeps may have looked before.
        let seen = named && self.asleep.is_empty();
        for known in self.payouts.iter_mut().filter(|known| known.id == id) {
            known.paid_by_others = seen;
        }
    }

    fn misfortune(&self, misfortune: &Misfortune) {
        let rule = FaultRule {
            on: misfortune.on.map(str::to_owned),
            // Other software has its own luck.
            key_prefix: (misfortune.on == Some("transfers.create")).then(|| "payout_".to_owned()),
            late_seconds: misfortune.late_seconds,
            retry_after_seconds: misfortune.retry_after,
            ..FaultRule::new(misfortune.fault)
        };
        self.stripe
            .faults_add(FaultPlan::of([rule.times(misfortune.times)]))
            .expect("the fault is understood");
    }

    // --- processes ------------------------------------------------------------------------------

    /// Starts a process and follows it until it is over, or sleeps with nothing open.
    fn start(&mut self, op: Op) -> Option<Finished> {
        let (trap, sleep) = match &op {
            Op::Process(run) => (run.trap, run.sleep),
            Op::Retry(trap)
            | Op::Cancel(trap)
            | Op::Reconcile(trap)
            | Op::Pull(trap)
            | Op::LookAgain(trap)
            | Op::LetGo(trap)
            | Op::Paid { trap, .. }
            | Op::Approve(trap)
            | Op::Hold { trap, .. } => (*trap, 100),
            _ => (None, 0),
        };
        let mut running = self.spawn(op, trap);
        loop {
            match running.process.wait() {
                Event::Ended => return Some(Self::join(running, false)),
                Event::Stalled(at) if holds_the_database(at) || self.asleep.len() >= 2 => {
                    let sleep = if at == ON_THE_WIRE {
                        sleep.min(200)
                    } else {
                        sleep
                    };
                    self.clock.advance(Duration::from_secs(sleep));
                    running.process.release();
                }
                Event::Stalled(at) => {
                    running.asleep = Some((at, self.now()));
                    self.asleep.push_back(running);
                    return None;
                }
            }
        }
    }

    pub(crate) fn wake(&mut self, kill: bool) -> Option<Finished> {
        let running = self.asleep.pop_front()?;
        let too_late = running.on_the_wire_since().is_some_and(|since| {
            self.now() - since >= ON_THE_WIRE_MILLIS_MAX || self.lost_on_the_wire
        });
        if kill || too_late {
            running.process.kill();
        } else {
            running.process.release();
        }
        while let Event::Stalled(_) = running.process.wait() {
            running.process.release();
        }
        Some(Self::join(running, true))
    }

    fn end_sleepers(&mut self) {
        while self.wake(true).is_some() {}
    }

    fn join(running: Running, slept: bool) -> Finished {
        let Running {
            process,
            thread,
            op,
            named,
            ..
        } = running;
        let ended = match thread.join() {
            Ok(ended) => ended,
            Err(_) if process.is_dead() => None,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        Finished {
            process,
            op,
            ended,
            named,
            slept,
        }
    }

    fn spawn(&mut self, op: Op, trap: Option<Trap>) -> Running {
        let process = Process::simulated(trap.into_iter().collect(), self.planted);
        let named: Vec<PayoutId> = match op {
            Op::Retry(_) => self.ids("SELECT id FROM payouts WHERE status = 'FAILED' ORDER BY id"),
            Op::Approve(_) => {
                self.ids("SELECT id FROM payouts WHERE status = 'PENDING' ORDER BY id")
            }
            Op::Cancel(_) | Op::Hold { .. } => {
                self.ids("SELECT id FROM payouts WHERE status = 'PENDING' ORDER BY id DESC LIMIT 1")
            }
            Op::Accept => self.ids("SELECT id FROM payout_findings WHERE state = 'open'"),
            Op::LookAgain(_) | Op::LetGo(_) => self.ids(MAY_BE_IN_DOUBT),
            Op::Paid { .. } => self.ids(MAY_BE_IN_DOUBT).pop().into_iter().collect(),
            _ => Vec::new(),
        };
        let transfer = match (&op, named.last()) {
            (Op::Paid { named, .. }, Some(payout)) => self.transfer_named(*named, payout),
            _ => String::new(),
        };
        let run = Arc::new(OnceLock::new());
        let work = Work {
            base: self.stripe.base_url(),
            clock: self.clock.clone(),
            process: process.clone(),
            op: op.clone(),
            payouts: named.clone(),
            transfer,
            run: Arc::clone(&run),
            sessions: self.sessions.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("process".to_owned())
            .spawn(move || {
                let _over = Over(work.process.clone());
                failpoint::enter(work.process.clone());
                work.run()
            })
            .expect("a thread starts");
        Running {
            process,
            thread,
            op,
            named,
            asleep: None,
            run,
        }
    }

    /// The transfer that a person says has paid a payout.
    fn transfer_named(&self, named: Named, payout: &PayoutId) -> String {
        let others = format!("others_{payout}");
        let its_own = |transfer: &&TransferReport| {
            transfer.metadata.get("payout_id").as_deref() == Some(payout.as_str())
                || transfer.idempotency_key.as_deref() == Some(&others)
        };
        let transfers = self.transfers();
        let found = match named {
            Named::Right => transfers.iter().find(its_own),
            Named::OfAnother => transfers.iter().rfind(|transfer| !its_own(transfer)),
            Named::Invented => None,
        };
        found.map_or("tr_invented".to_owned(), |transfer| transfer.id.clone())
    }

    fn ids(&mut self, sql: &str) -> Vec<PayoutId> {
        self.rows(sql)
            .into_iter()
            .filter_map(|row| row.into_iter().next().flatten())
            .map(PayoutId::new)
            .collect()
    }
}

/// Says that a process is over when everything of it is gone, also when it is killed.
struct Over(Process);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.ended();
    }
}

/// Whether others must wait while a process sleeps here.
fn holds_the_database(at: &str) -> bool {
    at.ends_with(".writing") || at == "finding.fixed"
}

fn client(base: &str, connections: usize) -> Stripe {
    let timeouts = Timeouts {
        connect: Duration::from_secs(5),
        whole: PATIENCE,
    };
    let key = SecretString::from("sk_test_model");
    Stripe::new(&key, Some(base), connections, timeouts).expect("the key is one")
}

/// What a simulated process does.
struct Work {
    base: String,
    clock: Clock,
    process: Process,
    op: Op,
    payouts: Vec<PayoutId>,
    /// What a person names.
    transfer: String,
    run: Arc<OnceLock<String>>,
    sessions: Sessions,
}

impl Work {
    /// None when it was killed.
    fn run(&self) -> Option<Ended> {
        match self.run_recorded() {
            _ if self.process.is_dead() => None,
            Ok(ended) => ended,
            Err(error) => Some(Ended {
                code: 3,
                run: None,
                report: None,
                error: Some(error.with_cause()),
                forgotten: false,
                looked: Vec::new(),
            }),
        }
    }

    fn run_recorded(&self) -> Result<Option<Ended>, StoreError> {
        let mut store = self.sessions.take(&self.clock)?;
        let command = self.op.word().to_lowercase();
        let actor = match &self.op {
            Op::Process(run) if run.approvals => CAREFUL,
            _ => "model",
        };
        let stamp = store.run_begin(RunDescription {
            command,
            arguments: String::new(),
            actor: actor.to_owned(),
            host: "model".to_owned(),
        })?;
        let _ = self.run.set(stamp.run_id.as_str().to_owned());
        let (mut ended, store) = match &self.op {
            Op::LookAgain(_) | Op::LetGo(_) | Op::Paid { .. } => self
                .with_stripe(store, async |db| {
                    Ended::decided(&stamp, self.decide(db, &stamp).await)
                }),
            Op::Process(run) => self.with_stripe(store, async |db| {
                Ended::of(&stamp, self.pay(db, &stamp, run).await)
            }),
            Op::Reconcile(_) => self.with_stripe(store, async |db| {
                Ended::said(&stamp, self.reconcile(db, &stamp).await)
            }),
            Op::Pull(_) => self.with_stripe(store, async |db| {
                Ended::said(&stamp, self.pull(db, &stamp).await)
            }),
            _ => {
                let moved = self.by_hand(&mut store, &stamp);
                (
                    Some(Ended::said(&stamp, moved.map_err(RunError::from))),
                    Some(store),
                )
            }
        };
        if let (Some(ended), Some(mut store)) = (&mut ended, store) {
            if let Err(error) = store.run_end(&stamp.run_id, i32::from(ended.code), "") {
                ended.code = ended.code.max(3);
                ended.error = Some(error.with_cause());
            }
            self.sessions.leave(store);
        }
        Ok(ended)
    }

    /// Runs something on a runtime of its own, until it ends or the process is killed. Gives the
    /// store back if its thread still lives.
    fn with_stripe(
        &self,
        store: Store,
        work: impl AsyncFnOnce(StoreThread) -> Ended,
    ) -> (Option<Ended>, Option<Store>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime starts");
        let (db, thread) = StoreThread::start(store).expect("a thread starts");
        let process = self.process.clone();
        let ended = runtime.block_on(async {
            let here = process.clone();
            let entered = db.call(move |_| {
                failpoint::enter(here);
                Ok(())
            });
            entered.await.expect("the store's thread runs");
            tokio::select! {
                biased;
                () = process.death() => None,
                ended = work(db) => Some(ended),
            }
        });
        drop(runtime);
        let store = match thread.join() {
            Ok(store) => Some(store),
            Err(_) if process.is_dead() => None,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        (ended, store)
    }

    async fn pay(&self, db: StoreThread, stamp: &RunStamp, run: &Run) -> Result<Report, RunError> {
        let settings = Settings {
            filter: QueueFilter::default(),
            rules: SendRules {
                min_cents: 100,
                max_cents: 1_000_000,
                total_max_cents: None,
                approval: run.approvals.then_some(ApprovalRule {
                    threshold_cents: 0,
                    roles_only: false,
                }),
                named_batch: None,
            },
            payouts_max: run.limit.unwrap_or(u64::MAX),
            total_max_cents: i64::MAX,
            run_max_cents: None,
            day_max_cents: None,
            concurrency: run.workers,
            rate: None,
            lease: LEASE,
            unusual_times: 6,
            currency: Currency::USD,
        };
        let payouts_max = settings.payouts_max;
        let stripe = Arc::new(client(&self.base, run.workers));
        let mut session =
            Session::open(db, stripe, self.clock.clone(), settings, &mut |_| {}).await?;
        session.resolve_earlier(Some(stamp), &mut |_| {}).await?;
        let agreement = if run.planned {
            session.plan(&mut |_| {}).await?.agreement()
        } else {
            Agreement {
                until: None,
                rows: None,
                resends_max: usize::MAX,
                payouts_max,
                total_max_cents: i64::MAX,
                account: session.account().to_owned(),
                livemode: session.livemode(),
            }
        };
        let (_signals, interrupted) = watch::channel(0);
        let consent = Consent::given_for(agreement);
        session
            .execute(stamp, &consent, interrupted, &mut |_| {})
            .await
    }

    async fn reconcile(&self, db: StoreThread, stamp: &RunStamp) -> Result<(), RunError> {
        let now = self.clock.now();
        let period = db.call(move |store| default_period(store, now)).await?;
        let request = reconcile::Request {
            period,
            fix: true,
            currency: Currency::USD,
            lease: LEASE,
            rate: None,
            balance: true,
            resumed: None,
        };
        let stripe = Arc::new(client(&self.base, 1));
        reconcile::reconcile(db, stripe, &self.clock, request, stamp, &mut |_| {})
            .await
            .map(drop)
    }

    async fn pull(&self, db: StoreThread, stamp: &RunStamp) -> Result<(), RunError> {
        let request = pull::Request {
            currency: Currency::USD,
            lease: LEASE,
            rate: None,
        };
        let stripe = Arc::new(client(&self.base, 1));
        pull::pull(db, stripe, &self.clock, request, stamp, &mut |_| {})
            .await
            .map(drop)
    }

    /// As `payouts resolve` does it; a transfer that is refused is refused with the words.
    async fn decide(
        &self,
        db: StoreThread,
        stamp: &RunStamp,
    ) -> Result<Result<Vec<Looked>, String>, RunError> {
        let settings = resolve::Settings {
            currency: Currency::USD,
            lease: LEASE,
            rate: None,
        };
        let stripe = Arc::new(client(&self.base, 1));
        let stamp = stamp.clone();
        let resolver =
            Resolver::open(db, stripe, &self.clock, settings, stamp, &mut |_| {}).await?;
        if matches!(self.op, Op::Paid { .. }) {
            let Some(payout) = self.payouts.first() else {
                return Ok(Ok(Vec::new()));
            };
            let recorded = resolver.record_paid(payout, &self.transfer).await?;
            return Ok(recorded.map(|looked| vec![looked]));
        }
        let mut looked = resolver.look(&self.payouts).await?;
        if matches!(self.op, Op::LetGo(_)) {
            for one in &mut looked {
                if let Some(Ok(_)) = one.release {
                    *one = resolver.release(one.clone(), "nobody knows").await?;
                }
            }
        }
        Ok(Ok(looked))
    }

    fn by_hand(&self, store: &mut Store, stamp: &RunStamp) -> Result<(), StoreError> {
        match &self.op {
            Op::Retry(_) => {
                let request = retry::Request {
                    which: retry::Which::Ids(self.payouts.clone()),
                    payouts_max: usize::MAX,
                    force: true,
                    rules: retry::rules(5, vec![Duration::from_secs(300)]),
                };
                let plan = retry::plan(store, &request)?;
                retry::execute(store, stamp, &request, plan).map(drop)
            }
            Op::Cancel(_) => {
                let which = cancel::Which::Ids(self.payouts.clone());
                let plan = cancel::plan(store, &which)?;
                cancel::execute(store, stamp, "not wanted", plan).map(drop)
            }
            Op::Approve(_) => {
                let which = approve::Which {
                    payouts: self.payouts.clone(),
                    ..approve::Which::default()
                };
                let approving = approve::plan(store, &which, &stamp.actor, false)?;
                approve::execute(store, stamp, None, approving).map(drop)
            }
            Op::Hold { all, .. } => {
                let targets = if *all {
                    vec![HoldTarget::all()]
                } else {
                    self.payouts
                        .iter()
                        .map(|payout| HoldTarget {
                            kind: HoldKind::Payout,
                            id: payout.as_str().to_owned(),
                        })
                        .collect()
                };
                hold::set(store, stamp, &targets, "wait", None).map(drop)
            }
            Op::Unhold | Op::UnholdOne => {
                let mut targets: Vec<HoldTarget> = store
                    .holds()?
                    .into_iter()
                    .map(|hold| HoldTarget {
                        kind: hold.kind,
                        id: hold.target,
                    })
                    .collect();
                if matches!(self.op, Op::UnholdOne) {
                    targets.sort_by(|a, b| (a.kind.as_str(), &a.id).cmp(&(b.kind.as_str(), &b.id)));
                    targets.truncate(1);
                }
                let looked = hold::look(store, &targets)?;
                hold::release(store, stamp, looked, None).map(drop)
            }
            Op::Accept => {
                for finding in &self.payouts {
                    // One that may not be accepted stays open.
                    let _ = store.findings_accept(
                        stamp,
                        &[finding.as_str().to_owned()],
                        "known",
                        &HashMap::new(),
                    );
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Ended {
    fn of(stamp: &RunStamp, came: Result<Report, RunError>) -> Self {
        match came {
            Ok(report) => Self {
                code: exit_code_of(&report),
                run: Some(stamp.run_id.as_str().to_owned()),
                report: Some(report),
                error: None,
                forgotten: false,
                looked: Vec::new(),
            },
            Err(error) => Self::said(stamp, Err(error)),
        }
    }

    fn decided(stamp: &RunStamp, came: Result<Result<Vec<Looked>, String>, RunError>) -> Self {
        let (looked, refusal) = match came {
            Ok(Ok(looked)) => (looked, None),
            Ok(Err(refusal)) => (Vec::new(), Some(refusal)),
            Err(error) => return Self::said(stamp, Err(error)),
        };
        let open = looked.iter().any(|one| one.outcome.is_open());
        let code = match &refusal {
            Some(_) => 4,
            None if open => 5,
            None => 0,
        };
        Self {
            code,
            error: refusal,
            looked,
            ..Self::said(stamp, Ok(()))
        }
    }

    fn said(stamp: &RunStamp, came: Result<(), RunError>) -> Self {
        Self {
            code: if came.is_ok() { 0 } else { 3 },
            run: Some(stamp.run_id.as_str().to_owned()),
            report: None,
            looked: Vec::new(),
            forgotten: matches!(
                came,
                Err(RunError::Forgotten { .. } | RunError::TooManyTransfers { .. })
            ),
            error: came
                .err()
                .map(|error| match std::error::Error::source(&error) {
                    Some(cause) => format!("{error}: {cause}"),
                    None => error.to_string(),
                }),
        }
    }
}
