//! Failpoints: the places where a test stops a run, makes it fail or kills it;
//! and planted bugs: rules of the protocol that a test takes away.
//!
//! Every durable boundary has two, `….writing` (all of it is written, nothing is
//! committed) and `….committed`, and so has every side of the network. They
//! exist only under the feature `testing`: without it `failpoint!` is nothing
//! and `planted!` is `false`, so that a release binary holds none of the names.
//!
//! A failpoint decides nothing and knows nobody: what happens at it is set from
//! outside, for the simulated process that a thread belongs to (`enter`) or,
//! in the real program, by one variable of its environment (`install`).

/// Marks a place. `failpoint!("x.writing")` stands in a function of the store and
/// returns the error that a test wants; `failpoint!(await "x", or value)` stands in
/// asynchronous code and returns the value instead. Where nothing can fail, `only` or no
/// value is said.
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(feature = "testing")]
        $crate::failpoint::hit($name)?;
    };
    (only $name:literal) => {
        #[cfg(feature = "testing")]
        {
            // Only what stops the process means something here.
            let _ = $crate::failpoint::hit($name);
        }
    };
    (await $name:literal) => {
        #[cfg(feature = "testing")]
        {
            // Only what stops the process means something here.
            let _ = $crate::failpoint::reach($name).await;
        }
    };
    (await $name:literal, or $instead:expr) => {
        #[cfg(feature = "testing")]
        if $crate::failpoint::reach($name).await.is_err() {
            return $instead;
        }
    };
}

/// Whether a rule of the protocol is broken on purpose.
macro_rules! planted {
    ($name:literal) => {{
        #[cfg(feature = "testing")]
        {
            $crate::failpoint::is_planted($name)
        }
        #[cfg(not(feature = "testing"))]
        {
            false
        }
    }};
}

pub(crate) use {failpoint, planted};

#[cfg(feature = "testing")]
pub use under_test::{
    ALL, Action, Event, Failure, OF_MAILS, PLANTED, Process, Trap, current, enter, hit, install,
    is_planted, reach,
};

#[cfg(feature = "testing")]
mod under_test {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::str::FromStr;
    use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

    use tokio::sync::watch;

    /// Every failpoint of what moves payouts and compares them, in the order of a run.
    pub const ALL: [&str; 53] = [
        "run_begin.writing",
        "run_begin.committed",
        "read.before",
        "read.answered",
        "adopt.writing",
        "adopt.committed",
        "stamp.writing",
        "stamp.committed",
        "pulse.writing",
        "pulse.committed",
        "take_over.writing",
        "take_over.committed",
        "claim.writing",
        "claim.committed",
        "gate.before",
        "send.before",
        "send.leaving",
        "send.answered",
        "record.before",
        "settle.writing",
        "settle.committed",
        "watermark.writing",
        "watermark.committed",
        "run_end.writing",
        "run_end.committed",
        "retry.writing",
        "retry.committed",
        "cancel.writing",
        "cancel.committed",
        "approve.writing",
        "approve.committed",
        "hold.writing",
        "hold.committed",
        "restore.writing",
        "restore.committed",
        "reversal.writing",
        "reversal.committed",
        "mark.writing",
        "mark.committed",
        "finding.fixed",
        "reconcile.listed",
        "progress.writing",
        "reconciliation.writing",
        "look_up.writing",
        "look_up.committed",
        "let_go.writing",
        "let_go.committed",
        "event.writing",
        "event.committed",
        "event_settle.writing",
        "event_settle.committed",
        "pull.writing",
        "pull.committed",
    ];

    /// The failpoints of sending mails, which moves no payout.
    pub const OF_MAILS: [&str; 6] = [
        "alerts.writing",
        "mail_claim.writing",
        "mail_claim.committed",
        "mail.sent",
        "mail_settle.writing",
        "mail_settle.committed",
    ];

    /// Every bug that can be planted: which rule is taken away.
    pub const PLANTED: [&str; 22] = [
        // An attempt without an answer is a definite no: the next one has a new key.
        "new_key_on_timeout",
        // A payment is recorded without an answer that proves it.
        "record_before_send",
        // An outcome is recorded whoever holds the attempt and whatever became of it.
        "settle_unconditionally",
        // A look-up that finds nothing, or fails, settles an attempt as not sent.
        "nothing_found_means_not_sent",
        // A resend builds its body anew, and differently.
        "changed_bytes_on_resend",
        // A key is never too old.
        "resend_after_a_day",
        // What was taken over counts as never sent.
        "take_over_forgets",
        // A claim takes what is due, whatever was asked for.
        "claim_without_limit",
        // Nobody looks whether the database forgot payments.
        "guard_off",
        // A server error that Stripe stored is a definite no.
        "stored_error_is_a_no",
        // A replayed answer is believed as it is.
        "replay_believed",
        // Two payouts of one statement may be in flight.
        "statement_not_taken",
        // Nothing is checked immediately before a send.
        "gate_open",
        // Holds are not looked at.
        "holds_ignored",
        // Letting go of one thing lets go of all.
        "release_lifts_all",
        // A claim asks for no approval.
        "approval_ignored",
        // What was cancelled is paid when other software puts it back.
        "cancellation_ignored",
        // Stripe is not searched for what other software paid.
        "others_not_looked_up",
        // A person lets go of an attempt that nobody has looked for, or only once.
        "release_without_look_ups",
        // A transfer that a person names is believed to exist, and to be the payout's.
        "paid_believed_unseen",
        // What was taken back is said to be kept, and is not.
        "reversal_not_kept",
        // An event counts as applied, and nobody looked at what it says.
        "event_settled_unheard",
    ];

    /// What happens at a failpoint.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Action {
        /// The process is gone, between two instructions.
        Kill,
        /// The step fails: the database is away, or the network.
        Fail(Failure),
        /// The process stands still until it is let go.
        Stall,
        /// A bug: the thread gives up, and what it says holds what nobody should read.
        Panic,
    }

    /// How a step fails.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Failure {
        /// Trying again may help.
        Passing,
        /// Trying again does not help.
        Lasting,
    }

    /// An action that waits at a failpoint.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Trap {
        /// One of [`ALL`] or [`OF_MAILS`].
        pub at: &'static str,
        /// Counted from 1: which time the failpoint is reached.
        pub nth: u64,
        /// What happens then.
        pub action: Action,
    }

    impl FromStr for Trap {
        type Err = String;

        /// Reads `claim.committed=kill` or `settle.writing@2=fail`.
        fn from_str(text: &str) -> Result<Self, String> {
            let (place, action) = text.split_once('=').unwrap_or((text, ""));
            let (at, nth) = place.split_once('@').unwrap_or((place, "1"));
            Ok(Self {
                at: ALL
                    .into_iter()
                    .chain(OF_MAILS)
                    .find(|name| *name == at)
                    .ok_or_else(|| format!("{at:?} is no failpoint"))?,
                nth: nth
                    .parse()
                    .map_err(|error| format!("{nth:?} is no number: {error}"))?,
                action: match action {
                    "kill" => Action::Kill,
                    "fail" => Action::Fail(Failure::Passing),
                    "fail_for_good" => Action::Fail(Failure::Lasting),
                    "stall" => Action::Stall,
                    "panic" => Action::Panic,
                    _ => {
                        return Err(format!(
                            "{action:?} is not kill, fail, fail_for_good, stall or panic"
                        ));
                    }
                },
            })
        }
    }

    /// What a simulated process came to.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Event {
        /// It stands still at this failpoint.
        Stalled(&'static str),
        /// It was told to be over by [`Process::ended`].
        Ended,
    }

    /// A process, real or simulated by some threads. Clones are the same one.
    #[derive(Debug, Clone)]
    pub struct Process(Arc<Shared>);

    #[derive(Debug)]
    struct Shared {
        state: Mutex<State>,
        changed: Condvar,
        killed: watch::Sender<bool>,
        planted: Option<&'static str>,
        /// Being killed means what it says.
        real: bool,
    }

    #[derive(Debug, Default)]
    struct State {
        traps: Vec<Trap>,
        hits: BTreeMap<&'static str, u64>,
        sprung: Vec<Trap>,
        stalled: Option<&'static str>,
        ended: bool,
    }

    thread_local! {
        static CURRENT: RefCell<Option<Process>> = const { RefCell::new(None) };
    }

    static INSTALLED: OnceLock<Process> = OnceLock::new();

    impl Process {
        /// A simulated process, with what happens in it and the bug it has.
        pub fn simulated(traps: Vec<Trap>, planted: Option<&'static str>) -> Self {
            Self::new(traps, planted, false)
        }

        fn new(traps: Vec<Trap>, planted: Option<&'static str>, real: bool) -> Self {
            Self(Arc::new(Shared {
                state: Mutex::new(State {
                    traps,
                    ..State::default()
                }),
                changed: Condvar::new(),
                killed: watch::Sender::new(false),
                planted,
                real,
            }))
        }

        fn state(&self) -> MutexGuard<'_, State> {
            // A thread that is killed holds no lock.
            self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
        }

        /// Whether it was killed.
        pub fn is_dead(&self) -> bool {
            *self.0.killed.borrow()
        }

        /// Resolves once it is killed; whoever runs it stops everything then.
        pub async fn death(&self) {
            let _ = self.0.killed.subscribe().wait_for(|killed| *killed).await;
        }

        /// Kills it wherever it is: it dies where it stalls, or at its next failpoint.
        pub fn kill(&self) {
            self.0.killed.send_replace(true);
            self.release();
        }

        /// Lets go of it where it stalls.
        pub fn release(&self) {
            self.state().stalled = None;
            self.0.changed.notify_all();
        }

        /// Says that nothing of it runs any more.
        pub fn ended(&self) {
            self.state().ended = true;
            self.0.changed.notify_all();
        }

        /// Blocks until it stalls or is over.
        pub fn wait(&self) -> Event {
            let mut state = self.state();
            loop {
                if state.ended {
                    return Event::Ended;
                }
                if let Some(at) = state.stalled {
                    return Event::Stalled(at);
                }
                state = self
                    .0
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }

        /// How often each failpoint was reached.
        pub fn hits(&self) -> BTreeMap<&'static str, u64> {
            self.state().hits.clone()
        }

        /// What happened at them.
        pub fn sprung(&self) -> Vec<Trap> {
            self.state().sprung.clone()
        }

        /// Counts the failpoint and says what is to happen.
        fn arrive(&self, name: &'static str) -> Option<Action> {
            if self.is_dead() {
                return Some(Action::Kill);
            }
            let mut state = self.state();
            let hits = state.hits.entry(name).or_default();
            *hits += 1;
            let nth = *hits;
            let trap = *state
                .traps
                .iter()
                .find(|trap| trap.at == name && trap.nth == nth)?;
            state.sprung.push(trap);
            if trap.action == Action::Kill {
                drop(state);
                self.die();
            }
            Some(trap.action)
        }

        fn die(&self) {
            if self.0.real {
                let _ = rustix::process::kill_process(
                    rustix::process::getpid(),
                    rustix::process::Signal::KILL,
                );
            }
            self.0.killed.send_replace(true);
        }

        /// Blocks this thread until it is let go.
        fn stall(&self, name: &'static str) {
            let mut state = self.state();
            state.stalled = Some(name);
            self.0.changed.notify_all();
            while state.stalled == Some(name) {
                state = self
                    .0
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Makes this thread one of a process.
    pub fn enter(process: Process) {
        CURRENT.set(Some(process));
    }

    /// The process that this thread belongs to.
    pub fn current() -> Option<Process> {
        CURRENT
            .with_borrow(Clone::clone)
            .or_else(|| INSTALLED.get().cloned())
    }

    /// Sets what happens at the failpoints of this program, once: traps with commas
    /// between them.
    ///
    /// # Errors
    /// What of it is not a trap.
    pub fn install(text: &str) -> Result<(), String> {
        let traps = text
            .split(',')
            .map(str::parse)
            .collect::<Result<Vec<Trap>, String>>()?;
        let _ = INSTALLED.set(Process::new(traps, None, true));
        Ok(())
    }

    /// Whether this bug is planted in the process of this thread.
    pub fn is_planted(name: &str) -> bool {
        current().is_some_and(|process| process.0.planted == Some(name))
    }

    fn give_up(name: &str) {
        panic!("planted at {name}: \x1b[2Jkey sk_test_MARKERofSecrets\nof postgres://u:MARKER@h/d");
    }

    /// A failpoint in code that blocks.
    ///
    /// # Errors
    /// As the trap there wants it.
    pub fn hit(name: &'static str) -> Result<(), Failure> {
        let Some(process) = current() else {
            return Ok(());
        };
        match process.arrive(name) {
            None => return Ok(()),
            Some(Action::Fail(failure)) => return Err(failure),
            Some(Action::Stall) => process.stall(name),
            Some(Action::Panic) => give_up(name),
            Some(Action::Kill) => {}
        }
        if process.is_dead() {
            // Without a word: the thread just ends, and what it held is dropped.
            std::panic::resume_unwind(Box::new("killed at a failpoint"));
        }
        Ok(())
    }

    /// A failpoint in asynchronous code. A stall stops the whole runtime, as a
    /// machine that goes to sleep does.
    ///
    /// # Errors
    /// As the trap there wants it.
    pub async fn reach(name: &'static str) -> Result<(), Failure> {
        let Some(process) = current() else {
            return Ok(());
        };
        match process.arrive(name) {
            None => return Ok(()),
            Some(Action::Fail(failure)) => return Err(failure),
            Some(Action::Stall) => process.stall(name),
            Some(Action::Panic) => give_up(name),
            Some(Action::Kill) => {}
        }
        if process.is_dead() {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}
