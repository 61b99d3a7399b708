//! Schedules: what happens in what order, drawn from a seed.
//!
//! Most of a schedule follows one of a few themes (a lost answer, a sender that sleeps while others
//! take over, a restored backup …), because the rules worth testing take several things to go wrong
//! in a row; in between anything may happen.

use std::fmt;

use payouts::failpoint::{ALL, Action, Failure, Trap};
use payouts::sandbox::Fault;

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Op {
    /// New payouts of this tool's own.
    Payouts { count: usize, to: Payee },
    /// A statement, and two payouts that together are more than it owes.
    Statement,
    /// Other software writes a row.
    Foreign(Foreign),
    /// Other software pays one of its rows by itself, and says so at Stripe or not.
    ForeignPays { named: bool },
    /// Other software forgets that statements are paid.
    ForeignUnmarks,
    /// Other software puts what failed back: with the marks of a send, or without.
    ForeignResets { clean: bool },
    /// `process`.
    Process(Run),
    /// `retry` of everything that failed, named.
    Retry(Option<Trap>),
    /// `cancel` of the newest payout that is pending.
    Cancel(Option<Trap>),
    /// A person accepts every finding that is open.
    Accept,
    /// `reconcile --fix`.
    Reconcile(Option<Trap>),
    /// `events pull`.
    Pull(Option<Trap>),
    /// `approve` of everything that is pending.
    Approve(Option<Trap>),
    /// `hold` of a payout, or of everything.
    Hold { all: bool, trap: Option<Trap> },
    /// All holds are lifted.
    Unhold,
    /// One of them is.
    UnholdOne,
    /// `resolve` of everything that may be in doubt: a look, and no more.
    LookAgain(Option<Trap>),
    /// `resolve --release` of the same.
    LetGo(Option<Trap>),
    /// `resolve --paid` of the newest payout that may be in doubt.
    Paid { named: Named, trap: Option<Trap> },
    /// What sleeps longest goes on, or is killed in its sleep.
    Wake { kill: bool },
    /// Stripe misbehaves.
    Fault(Misfortune),
    /// Stripe behaves again, for what comes.
    FaultsEnd,
    /// Stripe goes on with what it holds.
    Release,
    /// Time passes, seconds.
    Pass(u64),
    /// The wall clock is set, milliseconds.
    Step(i64),
    /// A backup is made.
    Backup,
    /// The backup is put back.
    Restore,
    /// The platform's balance, in minor units.
    Balance(i64),
    /// Whether the account that lacks a capability has it.
    Capability(bool),
    /// A person takes the newest transfer back, in part or in full.
    Reverse { all: bool },
}

/// Whom new payouts pay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Payee {
    /// Whose account works.
    Usual,
    /// Whose account lacks a capability, for now.
    Incapable,
    /// Whose account is closed.
    Closed,
}

/// Which transfer a person names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Named {
    /// The payout's own, if there is one.
    Right,
    /// Another payout's.
    OfAnother,
    /// One that does not exist.
    Invented,
}

/// What other software writes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Foreign {
    Clean,
    /// It bears the marks of a send.
    Dirty,
    Processing,
}

/// How `process` is run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    /// In flight at once.
    pub(crate) workers: usize,
    pub(crate) limit: Option<u64>,
    /// A person looks at the plan first.
    pub(crate) planned: bool,
    /// Somebody must have approved whatever it sends.
    pub(crate) approvals: bool,
    pub(crate) trap: Option<Trap>,
    /// Where it stalls with a transaction open, it sleeps for so many seconds and goes on.
    pub(crate) sleep: u64,
}

/// A fault, and where.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Misfortune {
    pub(crate) fault: Fault,
    /// The endpoint; none is a connection.
    pub(crate) on: Option<&'static str>,
    pub(crate) times: u64,
    pub(crate) late_seconds: Option<u32>,
    pub(crate) retry_after: Option<u32>,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Op {
    /// The word it is counted by.
    pub(crate) fn word(&self) -> String {
        let text = format!("{self:?}");
        let end = text.find([' ', '(']).unwrap_or(text.len());
        text[..end].to_owned()
    }
}

/// Draws.
pub(crate) struct Dice(fastrand::Rng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.0.usize(..of.len())].clone()
    }

    /// True for so many of a hundred.
    fn percent(&mut self, chance: u32) -> bool {
        self.0.u32(..100) < chance
    }

    /// A whole schedule.
    pub(crate) fn schedule(&mut self) -> Vec<Op> {
        let mut ops = Vec::new();
        for op in self.theme() {
            while self.percent(18) {
                ops.push(self.anything());
            }
            ops.push(op);
        }
        ops
    }

    fn theme(&mut self) -> Vec<Op> {
        let payouts = |dice: &mut Self, to| Op::Payouts {
            count: dice.0.usize(1..=3),
            to,
        };
        let some = payouts(self, Payee::Usual);
        let one = Op::Payouts {
            count: 1,
            to: Payee::Usual,
        };
        match self.0.u32(..29) {
            0 | 1 => {
                let mut ops = vec![some];
                for _ in 0..self.0.usize(3..=7) {
                    ops.push(self.anything());
                }
                ops
            }
            2 | 16 | 17 => vec![some, self.fault(), self.process(), self.process()],
            20..=22 => self.nobody_knows(),
            23 | 24 => self.let_go_while_it_is_sent(),
            // Somebody approves, and something else is made or changed before it is sent.
            26 | 27 => vec![
                some,
                Op::Approve(self.trap()),
                self.fault(),
                payouts(self, Payee::Usual),
                self.process(),
                self.process(),
            ],
            // What was ended comes back.
            28 => vec![
                some,
                Op::Cancel(self.trap()),
                Op::ForeignResets {
                    clean: self.percent(70),
                },
                self.process(),
                self.process(),
            ],
            25 => {
                let kind = self.one(&[Foreign::Dirty, Foreign::Processing]);
                let mut ops = vec![Op::Foreign(kind)];
                if self.percent(30) {
                    ops.push(Op::ForeignPays {
                        named: self.percent(40),
                    });
                }
                ops.extend(self.decided_in_the_end());
                ops
            }
            // A sender sleeps while another run takes its attempt over.
            3 | 4 => {
                let at = self.one(&[
                    "claim.committed",
                    "gate.before",
                    "gate.before",
                    "send.before",
                    "send.leaving",
                    "send.answered",
                    "record.before",
                    "settle.committed",
                    "take_over.committed",
                ]);
                let mut ops = vec![some, self.stalls_at(at, 1), self.pass()];
                if self.percent(50) {
                    ops.push(self.refused_for_a_while());
                }
                ops.push(self.process());
                if self.percent(40) {
                    ops.push(Op::FaultsEnd);
                    ops.push(Op::Retry(None));
                    ops.push(self.process());
                }
                if self.percent(40) {
                    ops.push(self.pass());
                }
                ops.push(Op::Wake {
                    kill: self.percent(15),
                });
                ops.push(self.process());
                ops
            }
            // The database forgets payments.
            5 => {
                let mut ops = vec![some];
                if self.percent(60) {
                    ops.push(self.process());
                }
                ops.push(Op::Backup);
                if self.percent(50) {
                    ops.push(payouts(self, Payee::Usual));
                }
                ops.push(Op::Process(plain()));
                if self.percent(40) {
                    ops.push(self.pass());
                }
                ops.extend([Op::Restore, self.pass(), self.process()]);
                if self.percent(70) {
                    ops.extend([Op::Reconcile(self.trap()), self.process()]);
                }
                ops
            }
            // What exists is not listed, or only later; or it is made later.
            6 | 7 => {
                let hidden =
                    self.one(&[Fault::LateListing, Fault::LateListing, Fault::ExecuteLate]);
                let fault = Op::Fault(Misfortune {
                    fault: hidden,
                    on: Some("transfers.create"),
                    times: 1,
                    late_seconds: (hidden == Fault::LateListing)
                        .then(|| self.one(&[60, 900, 200_000, 200_000])),
                    retry_after: None,
                });
                let mut dies = plain();
                dies.trap = (hidden == Fault::LateListing).then(|| Trap {
                    at: self.one(&["send.answered", "record.before", "settle.writing"]),
                    nth: 1,
                    action: Action::Kill,
                });
                let mut ops = vec![some, fault, Op::Process(dies), self.pass(), self.process()];
                if self.percent(50) {
                    ops.push(Op::Retry(None));
                    ops.push(self.process());
                }
                if self.percent(50) {
                    ops.push(self.pass());
                }
                ops.extend([Op::Release, self.process()]);
                ops
            }
            8 => {
                let mut ops = vec![Op::Statement];
                if self.percent(50) {
                    let at = self.one(&["claim.committed", "send.before", "send.answered"]);
                    ops.push(self.stalls_at(at, 1));
                }
                ops.extend([self.process(), Op::Wake { kill: false }, self.process()]);
                if self.percent(60) {
                    ops.extend([Op::ForeignUnmarks, Op::Reconcile(self.trap())]);
                }
                ops
            }
            9 => {
                let kind = self.one(&[
                    Foreign::Clean,
                    Foreign::Clean,
                    Foreign::Dirty,
                    Foreign::Processing,
                ]);
                let mut ops = vec![Op::Foreign(kind)];
                if self.percent(70) {
                    ops.push(Op::ForeignPays {
                        named: self.percent(80),
                    });
                }
                ops.extend([self.process(), self.process()]);
                ops
            }
            // A transfer is taken back, and heard of, in one way or the other.
            10 => vec![
                some,
                self.process(),
                Op::Reverse {
                    all: self.percent(50),
                },
                if self.percent(50) {
                    Op::Reconcile(self.trap())
                } else {
                    Op::Pull(self.trap())
                },
                self.process(),
            ],
            // A request is slow to come; meanwhile another run is refused what it asks for again.
            12 | 13 => vec![
                one,
                self.stalls_at("send.leaving", 1),
                Op::Pass(self.one(&[130, 700, 4000])),
                self.refused_for_a_while(),
                self.process(),
                Op::FaultsEnd,
                // Its answer is lost too, so that nobody hears of it.
                Op::Fault(Misfortune {
                    fault: self.one(&[Fault::ResetAfter, Fault::ResetAfter, Fault::None]),
                    on: Some("transfers.create"),
                    times: 1,
                    late_seconds: None,
                    retry_after: None,
                }),
                Op::Wake { kill: false },
                self.process(),
            ],
            // A sender sleeps for a day before its last check.
            14 => vec![
                one,
                self.stalls_at("gate.before", 1),
                Op::Pass(self.one(&[130, 700, 4000])),
                self.process(),
                Op::Pass(self.one(&[90_000, 172_800])),
                Op::Wake { kill: false },
                self.process(),
            ],
            15 => vec![
                some,
                Op::Hold {
                    all: self.percent(30),
                    trap: None,
                },
                payouts(self, Payee::Usual),
                Op::Hold {
                    all: self.percent(30),
                    trap: None,
                },
                self.process(),
                Op::UnholdOne,
                self.process(),
                Op::Unhold,
                self.process(),
            ],
            11 => vec![
                one,
                Op::Fault(Misfortune {
                    fault: self.one(&[Fault::ResetAfter, Fault::CutBody, Fault::Html503After]),
                    on: Some("transfers.create"),
                    times: 1,
                    late_seconds: None,
                    retry_after: None,
                }),
                self.stalls_at("send.before", 2),
                Op::Reverse {
                    all: self.percent(50),
                },
                Op::Wake { kill: false },
                self.process(),
            ],
            _ => {
                let to = self.one(&[Payee::Incapable, Payee::Incapable, Payee::Closed]);
                let first = payouts(self, to);
                let mut ops = vec![first, self.process()];
                if self.percent(70) {
                    ops.push(Op::Capability(true));
                }
                if self.percent(30) {
                    ops.push(Op::ForeignResets {
                        clean: self.percent(50),
                    });
                } else {
                    ops.push(Op::Retry(self.trap()));
                }
                ops.extend([self.process(), self.process()]);
                ops
            }
        }
    }

    /// What becomes of a payment cannot be found out, for a day or for good.
    fn nobody_knows(&mut self) -> Vec<Op> {
        let to = self.one(&[Payee::Usual, Payee::Usual, Payee::Usual, Payee::Incapable]);
        let one = Op::Payouts {
            count: self.one(&[1, 1, 2]),
            to,
        };
        let (fault, times) = self.one(&[
            (Fault::Error500Before, 1),
            (Fault::Error500Before, 1),
            (Fault::Error500After, 1),
            (Fault::ResetBefore, 7),
            (Fault::ExecuteLate, 1),
            (Fault::ExecuteLate, 1),
            (Fault::LateListing, 1),
        ]);
        let mut first = plain();
        first.trap = (fault == Fault::LateListing).then_some(Trap {
            at: "send.answered",
            nth: 1,
            action: Action::Kill,
        });
        let mut ops = vec![
            one,
            Op::Fault(Misfortune {
                fault,
                on: Some("transfers.create"),
                times,
                late_seconds: (fault == Fault::LateListing)
                    .then(|| self.one(&[900, 100_000, 200_000])),
                retry_after: None,
            }),
            Op::Process(first),
        ];
        if self.percent(25) {
            let named = self.one(&[Named::Right, Named::OfAnother, Named::Invented]);
            ops.extend([
                Op::Pass(130),
                Op::Paid {
                    named,
                    trap: self.trap(),
                },
            ]);
        }
        ops.extend(self.decided_in_the_end());
        ops
    }

    /// Two look-ups, a day, and a person who lets go of it, or says that it was paid.
    fn decided_in_the_end(&mut self) -> Vec<Op> {
        let mut ops = Vec::new();
        for _ in 0..self.0.usize(1..=3) {
            ops.push(Op::Pass(self.one(&[2000, 4000, 4000, 40_000, 90_000])));
            ops.push(self.resolve());
        }
        if self.percent(70) {
            ops.extend([Op::Pass(90_000), Op::LookAgain(None), Op::Pass(4000)]);
        }
        ops.push(Op::LetGo(self.trap()));
        if self.percent(30) {
            ops.push(Op::LetGo(None));
        }
        if self.percent(30) {
            ops.push(Op::Release);
        }
        ops.push(self.process());
        if self.percent(50) {
            ops.extend([Op::Capability(self.percent(70)), Op::Retry(self.trap())]);
            ops.push(self.process());
        }
        if self.percent(50) {
            ops.push(Op::Release);
            ops.push(if self.percent(60) {
                self.process()
            } else {
                Op::Reconcile(self.trap())
            });
        }
        ops.push(self.resolve());
        ops
    }

    /// A run has an attempt in hand, or on the wire, when a person wants to let go of it.
    fn let_go_while_it_is_sent(&mut self) -> Vec<Op> {
        let one = Op::Payouts {
            count: 1,
            to: Payee::Usual,
        };
        let lost = Op::Fault(Misfortune {
            fault: Fault::ResetBefore,
            on: Some("transfers.create"),
            times: 6,
            late_seconds: None,
            retry_after: None,
        });
        let mut ops = vec![one, lost, Op::Process(plain())];
        for _ in 0..2 {
            ops.extend([Op::Pass(self.one(&[4000, 5000])), Op::LookAgain(None)]);
        }
        let at = self.one(&["gate.before", "send.before", "send.leaving", "send.leaving"]);
        ops.push(Op::Pass(self.one(&[60_000, 70_000, 73_000])));
        // Or the database forgets that it was sent again.
        if self.percent(30) {
            ops.extend([
                Op::Backup,
                Op::Fault(Misfortune {
                    fault: Fault::ExecuteLate,
                    on: Some("transfers.create"),
                    times: 1,
                    late_seconds: None,
                    retry_after: None,
                }),
                self.process(),
                Op::Restore,
                Op::Pass(self.one(&[4000, 9000, 20_000])),
                Op::LetGo(self.trap()),
                self.process(),
                Op::Release,
                self.process(),
            ]);
            return ops;
        }
        ops.extend([
            self.stalls_at(at, 1),
            Op::Pass(self.one(&[5, 60, 700, 4000, 9000, 20_000])),
            Op::LetGo(self.trap()),
            self.process(),
            Op::Wake { kill: false },
            self.process(),
        ]);
        ops
    }

    fn resolve(&mut self) -> Op {
        let trap = self.trap();
        match self.0.u32(..6) {
            0 | 1 => Op::LookAgain(trap),
            2 | 3 => Op::LetGo(trap),
            _ => Op::Paid {
                named: self.one(&[
                    Named::Right,
                    Named::Right,
                    Named::OfAnother,
                    Named::Invented,
                ]),
                trap,
            },
        }
    }

    fn anything(&mut self) -> Op {
        match self.0.u32(..38) {
            0..=2 => Op::Payouts {
                count: self.0.usize(1..=2),
                to: self.one(&[Payee::Usual, Payee::Usual, Payee::Incapable, Payee::Closed]),
            },
            3 => Op::Statement,
            4 => Op::Foreign(self.one(&[Foreign::Clean, Foreign::Dirty, Foreign::Processing])),
            5 => Op::ForeignPays {
                named: self.percent(70),
            },
            6 => Op::ForeignResets {
                clean: self.percent(40),
            },
            7..=11 => self.process(),
            12 => {
                let at = self.one(&ALL);
                self.stalls_at(at, 1)
            }
            13 => Op::Retry(self.trap()),
            14 => Op::Cancel(self.trap()),
            15 => Op::Reconcile(self.trap()),
            16 => Op::Hold {
                all: self.percent(30),
                trap: self.trap(),
            },
            17 => self.one(&[Op::Unhold, Op::UnholdOne]),
            18 => Op::Wake {
                kill: self.percent(30),
            },
            19..=22 => self.fault(),
            23 => Op::Release,
            24 => self.pass(),
            25 => Op::Step(self.0.i64(-20_000..=20_000)),
            26 => self.one(&[Op::Backup, Op::Restore]),
            27 => Op::Balance(self.one(&[0, 1500, 5000, 1_000_000])),
            28 => Op::Capability(self.percent(50)),
            29 => Op::ForeignUnmarks,
            30..=32 => self.resolve(),
            33 => Op::Approve(self.trap()),
            34..=36 => Op::Pull(self.trap()),
            _ => Op::Reverse {
                all: self.percent(50),
            },
        }
    }

    fn pass(&mut self) -> Op {
        Op::Pass(self.one(&[5, 70, 130, 130, 700, 4000, 80_000, 90_000, 90_000, 172_800]))
    }

    fn process(&mut self) -> Op {
        Op::Process(Run {
            workers: self.one(&[1, 4]),
            limit: self.percent(20).then(|| self.0.u64(1..=2)),
            planned: self.percent(20),
            approvals: self.percent(15),
            trap: self.trap(),
            sleep: self.one(&[1, 100, 200, 90_000]),
        })
    }

    fn stalls_at(&mut self, at: &'static str, nth: u64) -> Op {
        Op::Process(Run {
            trap: Some(Trap {
                at,
                nth,
                action: Action::Stall,
            }),
            sleep: self.one(&[100, 200, 90_000]),
            workers: self.one(&[1, 4]),
            ..plain()
        })
    }

    fn trap(&mut self) -> Option<Trap> {
        self.percent(45).then(|| Trap {
            at: self.one(&ALL),
            nth: self.one(&[1, 1, 1, 2, 3]),
            action: self.one(&[
                Action::Kill,
                Action::Kill,
                Action::Fail(Failure::Passing),
                Action::Fail(Failure::Lasting),
                Action::Stall,
            ]),
        })
    }

    /// Every send meets a refusal that nothing stores.
    fn refused_for_a_while(&mut self) -> Op {
        Op::Fault(Misfortune {
            fault: self.one(&[Fault::Rate429, Fault::Lock429]),
            on: Some("transfers.create"),
            times: 6,
            late_seconds: None,
            retry_after: None,
        })
    }

    fn fault(&mut self) -> Op {
        // What holds a request costs a time-out, so it is drawn less often.
        const ON_CREATE: [Fault; 30] = [
            Fault::ResetBefore,
            Fault::ResetBefore,
            Fault::ResetAfter,
            Fault::ResetAfter,
            Fault::HangBefore,
            Fault::HangBefore,
            Fault::HangAfter,
            Fault::HangAfter,
            Fault::ExecuteLate,
            Fault::CutBody,
            Fault::CutBody,
            Fault::Html503,
            Fault::Html503After,
            Fault::Html503After,
            Fault::Error500Before,
            Fault::Error500Before,
            Fault::Error500After,
            Fault::Error500After,
            Fault::Error500NotStored,
            Fault::Error500NotStored,
            Fault::Conflict409,
            Fault::Rate429,
            Fault::Rate429,
            Fault::Lock429,
            Fault::Error424,
            Fault::Redirect307,
            Fault::LateListing,
            Fault::LateListing,
            Fault::WrongAmount,
            Fault::WrongAmount,
        ];
        const ON_READ: [Fault; 6] = [
            Fault::ResetBefore,
            Fault::CutBody,
            Fault::Html503,
            Fault::Error500NotStored,
            Fault::Rate429,
            Fault::Error424,
        ];
        let mut misfortune = Misfortune {
            fault: Fault::Refuse,
            on: None,
            times: self.one(&[1, 1, 2, 6, 7]),
            late_seconds: None,
            retry_after: None,
        };
        match self.0.u32(..10) {
            0 => {}
            1 | 2 => {
                misfortune.fault = self.one(&ON_READ);
                misfortune.on = Some(self.one(&[
                    "transfers.list",
                    "transfers.list",
                    "transfers.retrieve",
                    "balance.retrieve",
                    "account.retrieve",
                ]));
            }
            _ => {
                misfortune.fault = self.one(&ON_CREATE);
                misfortune.on = Some("transfers.create");
                misfortune.late_seconds =
                    (misfortune.fault == Fault::LateListing).then(|| self.one(&[60, 900, 200_000]));
                misfortune.retry_after = (misfortune.fault == Fault::Rate429 && self.percent(40))
                    .then(|| self.one(&[1, 5, 40]));
            }
        }
        if matches!(
            misfortune.fault,
            Fault::HangBefore | Fault::HangAfter | Fault::ExecuteLate
        ) {
            misfortune.times = 1;
        }
        Op::Fault(misfortune)
    }
}

/// A run that nobody disturbs.
pub(crate) fn plain() -> Run {
    Run {
        workers: 4,
        limit: None,
        planned: false,
        approvals: false,
        trap: None,
        sleep: 100,
    }
}
