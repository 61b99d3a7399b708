//! Sends the mails that wait: what each may say at the moment it is sent, and what becomes
//! of it.
//!
//! A mail was made due when something happened; what it says is read when it goes out, and
//! must be true then. So nothing is believed of the row but what it is about.
//!
//! # What a creator hears
//!
//! - `paid`: once for each payout, when the row, the ledger and every comparison agree that
//!   it is paid, which is the rule of receipts. As long as something speaks against it the
//!   mail waits, for a week; then it is dropped. What was taken back wholly is no news, and
//!   neither is what was paid long before this tool heard of it.
//! - `failed`: only where the creator can do something, which the table of Stripe's answers
//!   says ([`advice_to_creator`]): it is about their account. Everything else, such as a
//!   balance that is short, is for operators, and what `retry --due` tries again by itself
//!   never needs the creator. An hour after the failure, if it stands then, and once a week
//!   for the same reason, however many payouts wait for the same account.
//!
//! # What operators hear
//!
//! - `digest`: of a run that left something that needs a person. A run that says exactly
//!   what the last one of its command said is silent for a day, unless one in between went
//!   well: a cron job that stumbles over the same stone every five minutes writes one mail.
//! - `alert`: as `payouts check` worded it.
//!
//! Nothing here touches a payout.

use std::collections::BTreeMap;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::failpoint::failpoint;
use crate::mail::{Address, Mail, MailError};
use crate::model::attempt::AttemptOutcome;
use crate::model::history::{HistoryEvent, hex};
use crate::model::ids::{CreatorId, PayoutId, RunId};
use crate::model::listing::{ListRules, ListedPayout};
use crate::model::money::Currency;
use crate::model::notification::{Notification, NotificationKind, NotificationState, next_try};
use crate::model::payout::PayoutStatus;
use crate::model::record::PayoutRecord;
use crate::model::time::Time;
use crate::ops::next_step::Circumstances;
use crate::ops::receipt::{self, Kept, Receipt, ReceiptError};
use crate::store::health::OpenTotal;
use crate::store::notifications::{Outcome, Wanted};
use crate::store::run_records::Aftermath;
use crate::store::{RunStamp, Store, StoreError};
use crate::stripe::classify::{advice, advice_to_creator};

/// A mail about a payment that something speaks against is looked at again after this time.
const DOUBT_WAITS: Duration = Duration::from_secs(60 * 60);

/// After this time it is dropped; what is older when it is first heard of is no news.
const NEWS: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A creator hears of the same reason once in this time.
const FAILURE_REPEATS: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A digest that says what the last one said is silent for this time.
const DIGEST_REPEATS: Duration = Duration::from_secs(24 * 60 * 60);

/// Settled mails are kept so long after what they tell.
pub const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// A mail before it is worded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its row.
    pub mail: Notification,
    /// To whom; none of what is for operators and not addressed yet.
    pub to: Option<Address>,
    /// What it tells.
    pub says: Says,
}

/// What a mail tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// A payout was paid.
    Paid(Box<Receipt>),
    /// A payout failed, and its creator can do something.
    Failed(Box<Failure>),
    /// What a run left.
    Digest(Box<RunDigest>),
    /// What `payouts check` said.
    Alert {
        /// One line.
        subject: String,
        /// Some lines.
        text: String,
    },
}

/// A failure that its creator hears of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The payout.
    pub record: PayoutRecord,
    /// Of its amount.
    pub currency: Currency,
    /// Stripe's code.
    pub code: String,
    /// When it failed.
    pub at: Time,
    /// What the creator can do.
    pub advice: &'static str,
    /// The account it was sent to, all but its end masked.
    pub account: String,
    /// Real money.
    pub livemode: bool,
}

/// What a run left, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDigest {
    /// The run and what it touched.
    pub aftermath: Aftermath,
    /// Those of its payouts that still need a person, by Stripe's code, with what to do.
    pub groups: Vec<DigestGroup>,
    /// All that is unresolved or on its way now.
    pub open: OpenTotal,
    /// Of every amount.
    pub currency: Currency,
}

/// Payouts that need the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestGroup {
    /// Stripe's code, or `unknown`.
    pub code: String,
    /// What a person should do.
    pub advice: &'static str,
    /// Which, as they are now.
    pub payouts: Vec<ListedPayout>,
}

/// What is done about a mail now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It goes out.
    Send(Box<Letter>),
    /// It is not true at the moment, or not known to be; why.
    Wait(String),
    /// It is not true any more, or not wanted; why.
    Drop(String),
    /// There is nowhere to send it; why.
    NoAddress(String),
}

/// What decides besides what is recorded.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Limits, currency and the moment.
    pub at: Circumstances,
    /// What payouts are judged by.
    pub list: ListRules,
}

/// Decides what is done about a mail.
pub fn decide(
    store: &mut Store,
    mail: &Notification,
    rules: &Rules,
) -> Result<Decision, StoreError> {
    match mail.kind {
        NotificationKind::Paid => paid(store, mail, rules),
        NotificationKind::Failed => failed(store, mail, rules),
        NotificationKind::Digest | NotificationKind::Alert => {
            if store.notification_wanted(mail.kind, None)? != Wanted::Yes {
                return Ok(Decision::Drop(format!("`{}` is switched off", mail.kind)));
            }
            let to = match mail.recipient.as_deref().map(Address::parse).transpose() {
                Err(why) => return Ok(Decision::NoAddress(why)),
                Ok(to) => to,
            };
            let says = match says_of(store, mail, rules)? {
                Ok(says) => says,
                Err(why) => return Ok(Decision::Drop(why)),
            };
            Ok(send(mail, to, says))
        }
    }
}

fn send(mail: &Notification, to: Option<Address>, says: Says) -> Decision {
    let mail = mail.clone();
    Decision::Send(Box::new(Letter { mail, to, says }))
}

/// What a mail for operators tells, or why there is nothing to tell.
fn says_of(
    store: &mut Store,
    mail: &Notification,
    rules: &Rules,
) -> Result<Result<Says, String>, StoreError> {
    if mail.kind == NotificationKind::Alert {
        return Ok(Ok(Says::Alert {
            subject: mail.subject.clone().unwrap_or_default(),
            text: mail.body.clone().unwrap_or_default(),
        }));
    }
    match digest(store, &RunId::new(mail.about.clone()), rules) {
        Ok(digest) => Ok(Ok(Says::Digest(Box::new(digest)))),
        Err(StoreError::NotFound) => Ok(Err("the run is not in payout_runs any more".to_owned())),
        Err(error) => Err(error),
    }
}

/// Whether a creator wants to hear of it and where they are, or why it is not sent.
fn reachable(
    store: &mut Store,
    mail: &Notification,
    record: &PayoutRecord,
) -> Result<Result<Address, Decision>, StoreError> {
    let creator: &CreatorId = &record.listed.payout.creator_id;
    let unwanted = match store.notification_wanted(mail.kind, Some(creator))? {
        Wanted::Yes => None,
        Wanted::SwitchedOff => Some(format!("`{}` is switched off", mail.kind)),
        Wanted::OptedOut => Some(format!("creator {creator} does not want `{}`", mail.kind)),
    };
    if let Some(why) = unwanted {
        return Ok(Err(Decision::Drop(why)));
    }
    let Some(of) = &record.creator else {
        return Ok(Err(Decision::NoAddress(format!(
            "there is no creator {creator} any more"
        ))));
    };
    if of.deleted_at.is_some() {
        return Ok(Err(Decision::NoAddress(format!(
            "creator {creator} was deleted"
        ))));
    }
    let Some(email) = of.email.as_deref().filter(|email| !email.trim().is_empty()) else {
        return Ok(Err(Decision::NoAddress(format!(
            "creator {creator} has no e-mail address"
        ))));
    };
    Ok(Address::of(&of.name, email).map_err(|_| {
        Decision::NoAddress(format!(
            "what creator {creator} has for an e-mail address is none"
        ))
    }))
}

fn paid(store: &mut Store, mail: &Notification, rules: &Rules) -> Result<Decision, StoreError> {
    let id = PayoutId::new(mail.about.clone());
    let receipt = match receipt::gather(store, &id, &rules.list, &rules.at) {
        Ok(receipt) => receipt,
        Err(ReceiptError::Store(StoreError::NotFound)) => {
            return Ok(Decision::Drop("the payout's row is gone".to_owned()));
        }
        Err(ReceiptError::Store(error)) => return Err(error),
        Err(ReceiptError::Refused { why, .. }) => {
            let waited = rules.at.now.millis_since(mail.created_at);
            let over = waited >= crate::model::time::millis_of(NEWS);
            return Ok(if over {
                Decision::Drop(why)
            } else {
                Decision::Wait(why)
            });
        }
    };
    if receipt.kept() == Kept::Nothing {
        return Ok(Decision::Drop("all of it was taken back".to_owned()));
    }
    let paid_at = receipt.record.listed.payout.processed_at;
    if let Some(at) = paid_at.filter(|at| *at < mail.created_at.minus(NEWS)) {
        return Ok(Decision::Drop(format!(
            "it was paid on {}, long before it was heard of",
            at.day()
        )));
    }
    Ok(match reachable(store, mail, &receipt.record)? {
        Ok(to) => send(mail, Some(to), Says::Paid(Box::new(receipt))),
        Err(decision) => decision,
    })
}

fn failed(store: &mut Store, mail: &Notification, rules: &Rules) -> Result<Decision, StoreError> {
    let id = PayoutId::new(mail.about.clone());
    let record = match store.payout_record(&id, &rules.list) {
        Ok(record) => record,
        Err(StoreError::NotFound) => {
            return Ok(Decision::Drop("the payout's row is gone".to_owned()));
        }
        Err(error) => return Err(error),
    };
    let failure = match failure(mail, record, rules.at.currency) {
        Ok(failure) => failure,
        Err(why) => return Ok(Decision::Drop(why)),
    };
    let creator = &failure.record.listed.payout.creator_id;
    let since = rules.at.now.minus(FAILURE_REPEATS);
    if store.failure_told(mail, creator, &failure.code, since)? {
        return Ok(Decision::Drop(format!(
            "creator {creator} was told of {} within a week",
            failure.code
        )));
    }
    Ok(match reachable(store, mail, &failure.record)? {
        Ok(to) => send(mail, Some(to), Says::Failed(Box::new(failure))),
        Err(decision) => decision,
    })
}

/// What a creator hears of a failure, or why nothing.
fn failure(
    mail: &Notification,
    record: PayoutRecord,
    currency: Currency,
) -> Result<Failure, String> {
    let payout = &record.listed.payout;
    if payout.status != PayoutStatus::Failed {
        return Err(format!("it is {} by now", payout.status));
    }
    if record.listed.cancelled {
        return Err("it was cancelled since".to_owned());
    }
    if record.payment_found().is_some() {
        return Err("a comparison with Stripe says that it may be paid".to_owned());
    }
    let is_this = |seq: i32| mail.id == format!("failed:{}:{seq}", payout.id);
    let last = record
        .history
        .iter()
        .rfind(|row| row.event == HistoryEvent::Declined);
    let Some(last) = last.filter(|row| is_this(row.seq)) else {
        return Err("it failed again since, and that is told".to_owned());
    };
    let attempt = record
        .last_attempt()
        .filter(|attempt| attempt.outcome == AttemptOutcome::Declined)
        .ok_or_else(|| "its last attempt was not refused".to_owned())?;
    let code = attempt.error_code.clone().unwrap_or_default();
    let advice = advice_to_creator(&code, attempt.http_status.unwrap_or(0)).ok_or_else(|| {
        format!(
            "its creator can do nothing about {}",
            if code.is_empty() { "it" } else { &code }
        )
    })?;
    let account = record
        .creator
        .as_ref()
        .map(|of| of.stripe_account_id.as_deref());
    if account.is_some_and(|account| account != Some(attempt.destination.as_str())) {
        return Err("the creator's account was changed since".to_owned());
    }
    Ok(Failure {
        at: last.at,
        advice,
        code,
        account: receipt::masked(&attempt.destination),
        livemode: attempt.livemode,
        currency,
        record,
    })
}

fn digest(store: &mut Store, run: &RunId, rules: &Rules) -> Result<RunDigest, StoreError> {
    let aftermath = store.run_aftermath(run)?;
    let listed = store.payouts_listed(&aftermath.payouts, &rules.list)?;
    let mut groups: BTreeMap<(String, &str), DigestGroup> = BTreeMap::new();
    for payout in listed {
        let unresolved = payout.is_unresolved();
        let stands =
            unresolved || (payout.payout.status == PayoutStatus::Failed && !payout.cancelled);
        if !stands {
            continue;
        }
        let last = payout.last_attempt.as_ref();
        let code = last.and_then(|last| last.error_code.as_deref());
        let kind = last.and_then(|last| last.error_type.as_deref());
        let advice = advice(code, kind, last.and_then(|last| last.http_status));
        let nameless = if unresolved { "no_answer" } else { "declined" };
        let code = code.or(kind).unwrap_or(nameless).to_owned();
        let group = groups
            .entry((code.clone(), advice))
            .or_insert_with(|| DigestGroup {
                advice,
                code,
                payouts: Vec::new(),
            });
        group.payouts.push(payout);
    }
    Ok(RunDigest {
        aftermath,
        groups: groups.into_values().collect(),
        open: store.attempts_open()?,
        currency: rules.at.currency,
    })
}

/// What a digest says, but for when and by which run.
fn fingerprint(digest: &RunDigest) -> String {
    let run = &digest.aftermath.run;
    let mut said = format!("{} {:?}", run.command, run.exit_code);
    for group in &digest.groups {
        let ids: Vec<&str> = group.payouts.iter().map(|p| p.payout.id.as_str()).collect();
        said.push_str(&format_line(&group.code, &ids.join(" ")));
    }
    said.push_str(&format_line(
        "payouts",
        &digest.aftermath.payouts_total.to_string(),
    ));
    for (kind, count) in &digest.aftermath.findings {
        said.push_str(&format_line(kind.as_str(), &count.to_string()));
    }
    if digest.aftermath.findings_new > 0 {
        // News, whatever kind it is of.
        said.push_str(&format_line("found by", run.id.as_str()));
    }
    // What stopped it, or what it did. Numbers in it may differ from run to run.
    let words = run.summary.as_deref().unwrap_or_default();
    said.extend(words.chars().filter(|c| !c.is_ascii_digit()));
    hex(&Sha256::digest(said))
}

fn format_line(name: &str, of: &str) -> String {
    format!("\n{name}: {of}")
}

// --- sending --------------------------------------------------------------------------------

/// The words of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// A page.
    pub html: String,
}

/// What sending needs besides the database.
pub struct Means<'a> {
    /// From whom.
    pub from: Address,
    /// The operators; may be nobody.
    pub operators: Vec<String>,
    /// Puts a mail into words.
    pub write: &'a dyn Fn(&Letter) -> Result<Written, String>,
    /// Hands a mail to a server.
    pub post: &'a mut dyn FnMut(&Mail) -> Result<(), MailError>,
}

impl std::fmt::Debug for Means<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Means")
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

/// What became of the mails that a run had.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Posted {
    /// A server took them.
    pub sent: u64,
    /// Tried again later.
    pub later: u64,
    /// Given up.
    pub given_up: u64,
    /// Not true any more, or not wanted.
    pub dropped: u64,
    /// Nowhere to send them.
    pub no_address: u64,
    /// For operators, of whom nobody has an address.
    pub unaddressed: u64,
    /// Each mail that was given up, with the server's words.
    pub gave_up: Vec<(String, String)>,
    /// Why sending stopped before the end.
    pub stopped: Option<Stopped>,
}

impl Posted {
    fn count(&mut self, mail: &Notification, outcome: Outcome) {
        match outcome {
            Outcome::Sent => self.sent += 1,
            Outcome::Again { .. } => self.later += 1,
            Outcome::Over { state, reason } => match state {
                NotificationState::Dropped => self.dropped += 1,
                NotificationState::NoAddress => self.no_address += 1,
                _ => {
                    self.given_up += 1;
                    self.gave_up.push((mail.id.clone(), reason));
                }
            },
        }
    }
}

/// Why sending stopped before the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// The mail server cannot be used.
    Server(MailError),
    /// A mail could not be put into words.
    Template(String),
}

/// Sends every mail that is due, one after the other.
pub fn post(
    store: &mut Store,
    stamp: &RunStamp,
    rules: &Rules,
    means: &mut Means<'_>,
) -> Result<Posted, StoreError> {
    let mut posted = Posted::default();
    let (database, _) = store.database_id()?;
    address(store, rules, &means.operators, &mut posted)?;
    while let Some(mail) = store.notification_claim(stamp)? {
        // Of one that was claimed before and not settled nobody knows whether it was sent.
        let (outcome, stopped) = one(store, &database, &mail, rules, means)?;
        store.notification_settle(stamp, &mail.id, &outcome)?;
        posted.count(&mail, outcome);
        if stopped.is_some() {
            posted.stopped = stopped;
            break;
        }
    }
    Ok(posted)
}

/// Mails for operators that one run addresses; the next one goes on.
const ADDRESSED_MAX: i64 = 1_000;

/// Addresses what is for operators, and drops digests that say nothing new.
fn address(
    store: &mut Store,
    rules: &Rules,
    operators: &[String],
    posted: &mut Posted,
) -> Result<(), StoreError> {
    let unaddressed = store.notifications_unaddressed(ADDRESSED_MAX)?;
    if operators.is_empty() {
        posted.unaddressed = u64::try_from(unaddressed.len()).unwrap_or(u64::MAX);
        return Ok(());
    }
    for mail in unaddressed {
        if store.notification_wanted(mail.kind, None)? != Wanted::Yes {
            store.notification_drop(&mail.id, &format!("`{}` is switched off", mail.kind))?;
            posted.dropped += 1;
            continue;
        }
        let says = match says_of(store, &mail, rules)? {
            Ok(says) => says,
            Err(why) => {
                store.notification_drop(&mail.id, &why)?;
                posted.dropped += 1;
                continue;
            }
        };
        let mut told = None;
        if let Says::Digest(digest) = &says {
            let fingerprint = fingerprint(digest);
            let command = &digest.aftermath.run.command;
            let not_before = mail.created_at.minus(DIGEST_REPEATS);
            let before = store.digest_before(&mail, command, not_before)?;
            if let Some((run, _)) = before.filter(|(_, said)| *said == fingerprint) {
                store.notification_drop(&mail.id, &format!("it says what run {run} said"))?;
                posted.dropped += 1;
                continue;
            }
            told = Some(fingerprint);
        }
        store.notification_address(&mail, told.as_deref(), operators)?;
    }
    Ok(())
}

/// Sends one mail, or says why not.
fn one(
    store: &mut Store,
    database: &str,
    mail: &Notification,
    rules: &Rules,
    means: &mut Means<'_>,
) -> Result<(Outcome, Option<Stopped>), StoreError> {
    let now = store.clock().now();
    let again = |due_at: Time, tried: bool, reason: String| Outcome::Again {
        due_at,
        tried,
        reason,
    };
    let over = |state, reason| Outcome::Over { state, reason };
    let letter = match decide(store, mail, rules)? {
        Decision::Send(letter) => letter,
        Decision::Wait(why) => return Ok((again(now.plus(DOUBT_WAITS), false, why), None)),
        Decision::Drop(why) => return Ok((over(NotificationState::Dropped, why), None)),
        Decision::NoAddress(why) => return Ok((over(NotificationState::NoAddress, why), None)),
    };
    let Some(to) = letter.to.clone() else {
        let why = "it is addressed to nobody".to_owned();
        return Ok((over(NotificationState::NoAddress, why), None));
    };
    let written = match (means.write)(&letter) {
        Ok(written) => written,
        Err(why) => return Ok((again(now, false, why.clone()), Some(Stopped::Template(why)))),
    };
    if mail.kind.is_for_creator() {
        let code = match &letter.says {
            Says::Failed(failure) => Some(failure.code.as_str()),
            _ => None,
        };
        store.notification_goes_to(&mail.id, to.address(), code)?;
    }
    let message = Mail {
        message_id: mail.message_id(database),
        from: means.from.clone(),
        to,
        at: now,
        subject: written.subject,
        text: written.text,
        html: written.html,
    };
    let sent = (means.post)(&message);
    failpoint!(only "mail.sent");
    Ok(match sent {
        Ok(()) => (Outcome::Sent, None),
        Err(error @ MailError::Server { .. }) => (
            // As late as it is: that a server cannot be used must not look like news.
            again(mail.due_at, false, error.to_string()),
            Some(Stopped::Server(error)),
        ),
        Err(MailError::Refused(why)) => (over(NotificationState::Failed, why), None),
        Err(MailError::Later(why)) => match next_try(mail.tries.saturating_add(1), now) {
            Some(due_at) => (again(due_at, true, why), None),
            None => (over(NotificationState::Failed, why), None),
        },
    })
}
