//! Pays creators through Stripe Connect transfers from a payouts table, exactly
//! once, and proves it.
//!
//! # Layers
//!
//! Imports point one way only; a test (`tests/it/layers.rs`) holds it so.
//!
//! ```text
//! main → cli → ops → store  → model
//!         │     ├──→ stripe → model
//!         │     └──→ mail   → model
//!         └→ output → ops results and events, model
//! ```
//!
//! | folder | holds |
//! |---|---|
//! | [`cli`] | what a person types and sees: one file a command, the question before money moves, exit codes |
//! | [`config`], [`env_vars`] | settings, resolved once: flag, environment, `.env`, default |
//! | [`ops`] | what the tool does: no flags, no printing, no SQL, no HTTP |
//! | [`store`] | how it is kept, on SQLite and PostgreSQL: the only user of Diesel's queries; synchronous, on a thread of its own |
//! | [`stripe`] | how money moves: one exchange at a time, and what its answer proves; the events that Stripe signs |
//! | [`mail`] | how a mail leaves: one message to one person, and what the server's answer means |
//! | [`output`] | tables, JSON, CSV, progress, the log: the only place that prints |
//! | [`sandbox`] | a Stripe simulator that shares no code with what it judges |
//! | [`failpoint`] | the places where a test stops, fails or kills a run; nothing in a release |
//! | [`model`] | payouts, attempts, amounts, moments, and the rules about them that need nothing else |
//!
//! # One payout, end to end
//!
//! `payouts create --file` reads the file (`ops::table_file`) and checks every row
//! against the database; then it reads it once more and writes payouts, their origin
//! and their history in one transaction. The batch is held.
//!
//! `payouts process` opens a [`ops::process::Session`]. Account and mode must be
//! the ones the database is stamped with; the rollback guard lists Stripe's
//! transfers since the watermark, each of which the ledger must remember. Then
//! attempts that earlier runs left open are looked up (`ops::search`) by their
//! transfer group and, at their destination, by what names their payout: what
//! Stripe holds is adopted, what it does not hold may go out again under its own
//! key. A person sees the plan and agrees; `Consent` is the proof, and
//! [`ops::process::Session::execute`] takes one.
//!
//! [`store::Store::queue_claim`] takes due payouts in the order of `created_at`,
//! `id`. One rule, [`model::payout::may_send`], decides inside the transaction
//! that also writes the attempt: number, key, exact body. It is committed before
//! a byte goes out. A sender asks the gate (sign of life, holds, age of the key)
//! before each send and again as its body leaves, posts the stored bytes under the stored key,
//! and hands the answer to [`stripe::classify`] (what it proves on its own) and
//! [`ops::process::verdict`] (what all answers prove together). The outcome is
//! recorded by [`store::Store::attempts_settle`] with conditional updates, many
//! in one transaction.
//!
//! # A comparison with Stripe
//!
//! `payouts reconcile` lists the transfers of a period, several windows of it at once
//! ([`ops::reconcile::listing`]), and asks [`store::Store::ledger_glance`] which of a page
//! the table plainly holds, and [`store::Store::ledger_of`] for all about the others.
//! [`ops::reconcile::judge`] says how the two differ. The other way round, what the table
//! holds is added up beside the reading, so that only what Stripe did not list is looked
//! up; and each day's sums are held against the lines of the balance. The findings are
//! kept, and so is how far the reading got;
//! with `--fix` those that prove themselves are repaired, a transfer by the same
//! functions with which `process` adopts one. With `--file`, the rows of a report
//! ([`ops::stripe_report`]) go the same way, and [`ops::reconcile::report`] asks Stripe
//! for what they do not say.
//!
//! # What Stripe says by itself
//!
//! `payouts events listen` and `events pull` ([`ops::events`]) store events and apply
//! them afterwards. An event is a hint: what follows from it is what a comparison of
//! that one transfer, as Stripe has it now, would come to. So their order and number
//! decide nothing, and only the storing must not be lost: a delivery is answered once
//! it is committed, many in one transaction. [`stripe::webhook`] proves who sent it.
//!
//! # Nobody knows
//!
//! What a lost answer leaves is unknown, and stays so until something proves it.
//! `payouts resolve` looks again, or checks the transfer that a person names. When
//! proof can no longer come, [`model::lookup::may_release`] says from when on a
//! person may let go of the attempt; the payout is pending again, the attempt stays
//! watched, and a transfer that it makes after all is an alarm.
//!
//! # What people do by hand
//!
//! `payouts retry` and `payouts cancel` move payouts by the rules in
//! [`model::standing`], asked once for what is shown and again under the locks of
//! the transaction that moves anything ([`store::standing`]). `payouts hold` sets
//! rows that the claim and every send look at ([`store::Store::holds_set`]);
//! `payouts approve` writes who agreed to what of a payout, which the same rule asks
//! for as decides about every claim and resend ([`model::approval`]).
//! None of them sends: what is sent is sent by `process` alone.
//!
//! # The books, and the proof of the history
//!
//! `payouts report` walks the payouts once, in the order of their ids;
//! [`model::report`] says what each is in a period. It is owed between two moments,
//! so the lines tie to zero whatever the rows say. `payouts doctor --verify-history`
//! walks the history in the order of its chains ([`ops::verify_history`]) and reads
//! rows as they stand, not as this tool would write them.
//!
//! The figures of `payouts stats` and of the page for managers are added up in the same
//! walk ([`ops::stats`]; what a success is, says [`model::stats`]), so that they cannot
//! differ from the books.
//!
//! A row that says COMPLETED is believed as far as nothing speaks against it
//! ([`model::record::PayoutRecord::payment_doubt`]): `payouts show` tells the doubt,
//! and [`ops::receipt`] makes a creator's receipt only where there is none.
//!
//! # A database that comes back from a backup
//!
//! `payouts backup` ([`ops::backup`]) copies an embedded database of one moment and
//! reads the copy back. What was paid since, a restored copy does not know: the rollback
//! guard of the next run notices it by Stripe's transfers, and `payouts reconcile --fix`
//! tells it ([`store::restore`]).
//!
//! # Mails
//!
//! What a creator is to hear of becomes a row in the transaction that writes the history,
//! the one place through which every change of a payout goes
//! ([`store::notifications`]); a run that leaves something for a person makes one where it
//! ends. `payouts notify` asks [`ops::notify`] what is still true of each when it goes out,
//! [`output::mail`] for its words, and hands it to [`mail`]. A row is leased, sent and
//! recorded, so that it is sent twice only after a crash between the last two, and then
//! under the same Message-ID.
//!
//! # While nobody looks
//!
//! Every command that writes is a run on record, with its exit code ([`model::exit`]).
//! `payouts check` ([`ops::check`]) asks [`store::vitals`] a few counts and Stripe two
//! questions, and holds them against [`model::alert::Thresholds`]. What it finds has an
//! [`model::alert::AlertCode`], and each of those an entry in the runbook
//! ([`output::runbook`]). With `--mail` it keeps which alerts stand
//! ([`store::Store::alerts_renew`]), so that each is told when it comes, when it grows
//! and when it goes.
//!
//! # What is said meanwhile
//!
//! Everything on stderr goes through [`output::ui::Ui`], which knows whether people or
//! machines read it: commands speak to it, operations through their events
//! ([`ops::event`]), and the layers below through `tracing`, to which [`output::log`]
//! listens when somebody asked for it. A fact is told where it becomes one: an
//! exchange by the transport, a claim, an outcome, a run's begin and end by the store,
//! once they are committed.
//!
//! # Invariants
//!
//! - An attempt is on disk before its first byte is on the wire, and a payout
//!   has at most one attempt that may have moved money: a unique index says so.
//! - A new key is made only after a definite no, or once a person has let go of the
//!   attempt before. Unknown stays unknown until a transfer, a stored refusal or a
//!   person ends it.
//! - COMPLETED means that a transfer with the payout's amount, currency and
//!   destination was seen. Facts are recorded whoever holds the claim, decisions
//!   only by whoever holds it.
//! - An equal amount is never a match: a transfer belongs to a payout by id, group
//!   or metadata.
//! - No transaction is open while a request is in flight.
//! - Every change of a payout has a history row in the same transaction.
//! - Time comes from one clock, cut to milliseconds.

pub mod cli;
pub mod config;
pub mod env_vars;
pub mod failpoint;
pub mod mail;
pub mod model;
pub mod ops;
pub mod output;
pub mod sandbox;
pub mod store;
pub mod stripe;
