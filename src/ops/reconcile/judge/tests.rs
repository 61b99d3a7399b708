use super::*;
use crate::model::ids::RunId;
use crate::model::payout::Payout;
use crate::model::time::Time;
use proptest::prelude::*;

const DATABASE: &str = "db1";

fn terms() -> Terms {
    Terms {
        currency: Currency::USD,
        livemode: false,
        database_id: DATABASE.to_owned(),
    }
}

/// `tr_1`, over 10.00 USD to `acct_ann`, which names nobody.
fn transfer() -> Transfer {
    Transfer {
        id: "tr_1".to_owned(),
        amount: 1000,
        amount_reversed: 0,
        currency: "usd".to_owned(),
        destination: Some("acct_ann".to_owned()),
        created: Time::from_millis(0),
        livemode: false,
        metadata: std::collections::BTreeMap::new(),
        transfer_group: None,
        reversals: Vec::new(),
    }
}

fn saying(pairs: &[(&str, &str)]) -> Transfer {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Transfer {
        metadata: pairs.iter().map(pair).collect(),
        ..transfer()
    }
}

/// Payout `p1` over 10.00 USD to ann, without an attempt.
fn entry(status: PayoutStatus, transfer: Option<&str>) -> LedgerEntry {
    let now = Time::from_millis(0);
    LedgerEntry {
        id: PayoutId::new("p1"),
        payout: Some(Payout {
            id: PayoutId::new("p1"),
            creator_id: CreatorId::new("ann"),
            royalty_statement_id: None,
            amount_cents: 1000,
            stripe_transfer_id: transfer.map(str::to_owned),
            status,
            processed_at: None,
            failed_reason: None,
            retry_count: 0,
            last_retry_at: None,
            created_at: now,
            updated_at: now,
        }),
        destination: Some("acct_ann".to_owned()),
        attempts: Vec::new(),
        busy: false,
    }
}

fn attempt(number: i32, outcome: AttemptOutcome, transfer: Option<&str>) -> Attempt {
    let now = Time::from_millis(0);
    Attempt {
        payout_id: PayoutId::new("p1"),
        attempt: number,
        idempotency_key: format!("payout_p1_{number}"),
        body: String::new(),
        amount_cents: 1000,
        currency: Currency::USD,
        destination: "acct_ann".to_owned(),
        transfer_group: "p1".to_owned(),
        royalty_statement_id: None,
        stripe_account: "acct_0".to_owned(),
        livemode: false,
        api_version: String::new(),
        run_id: RunId::new("r"),
        outcome,
        created_at: now,
        first_sent_at: now,
        last_sent_at: None,
        send_count: 1,
        stored_error: false,
        settled_at: None,
        http_status: None,
        error_type: None,
        error_code: None,
        error_message: None,
        request_id: None,
        replayed: false,
        transfer_id: transfer.map(str::to_owned),
    }
}

fn held(entry: LedgerEntry) -> TransferLedger {
    TransferLedger {
        holders: vec![entry],
        ..TransferLedger::default()
    }
}

fn named(entry: LedgerEntry) -> TransferLedger {
    TransferLedger {
        named: Some(entry),
        ..TransferLedger::default()
    }
}

/// The kinds that are found, and whether it may be adopted.
fn kinds(transfer: &Transfer, ledger: &TransferLedger) -> (Vec<&'static str>, bool) {
    let judged = judge(transfer, ledger, &terms());
    let kinds = judged.found.iter().map(|f| f.kind.as_str()).collect();
    (kinds, judged.may_be_adopted())
}

use AttemptOutcome as O;
use PayoutStatus::{Completed, Failed, Pending, Processing};

#[test]
fn what_the_table_holds_as_it_is_is_matched() {
    let mut entry = entry(Completed, Some("tr_1"));
    let judged = judge(&transfer(), &held(entry.clone()), &terms());
    assert!(judged.matched && judged.found.is_empty());
    // The creator has another account since.
    entry.destination = Some("acct_new".to_owned());
    assert!(judge(&transfer(), &held(entry.clone()), &terms()).matched);
    entry.attempts = vec![attempt(1, O::Paid, Some("tr_1"))];
    assert!(judge(&transfer(), &held(entry), &terms()).matched);
}

#[test]
fn what_stripe_paid_and_the_table_does_not_say_is_behind() {
    for status in [Pending, Processing, Failed, Completed] {
        let behind = (vec!["status_behind"], true);
        assert_eq!(kinds(&transfer(), &named(entry(status, None))), behind);
    }
    // Whatever its attempt says: declined for certain, given back, released.
    for outcome in [O::Sending, O::Unknown, O::Declined, O::NotSent, O::Released] {
        let mut entry = entry(Failed, None);
        entry.attempts = vec![attempt(1, outcome, None)];
        assert_eq!(
            kinds(&transfer(), &named(entry)),
            (vec!["status_behind"], true)
        );
    }
    // Set back behind our back, although the attempt holds the transfer.
    let mut set_back = entry(Pending, None);
    set_back.attempts = vec![attempt(1, O::Paid, Some("tr_1"))];
    assert_eq!(
        kinds(&transfer(), &held(set_back)),
        (vec!["status_behind"], true)
    );
}

#[test]
fn what_a_live_run_is_at_work_on_is_no_finding() {
    let mut entry = entry(Processing, None);
    entry.attempts = vec![attempt(1, O::Sending, None)];
    entry.busy = true;
    assert_eq!(kinds(&transfer(), &named(entry.clone())), (vec![], false));
    assert_eq!(judge_without_transfer(&entry, true), None);
    // A transfer that differs is one all the same.
    let other = Transfer {
        amount: 999,
        ..transfer()
    };
    assert_eq!(
        kinds(&other, &named(entry)),
        (vec!["amount_differs"], false)
    );
}

#[test]
fn every_difference_is_named_and_forbids_adoption() {
    let wrong = Transfer {
        amount: 1001,
        currency: "eur".to_owned(),
        destination: None,
        livemode: true,
        ..transfer()
    };
    let all = vec![
        "mode_differs",
        "currency_differs",
        "amount_differs",
        "destination_differs",
    ];
    assert_eq!(
        kinds(&wrong, &named(entry(Pending, None))),
        (all.clone(), false)
    );
    let mut sent = entry(Processing, None);
    sent.attempts = vec![attempt(1, O::Unknown, None)];
    assert_eq!(kinds(&wrong, &named(sent)), (all, false));
    // The row was changed after it was sent.
    let mut changed = entry(Processing, None);
    changed.attempts = vec![attempt(1, O::Unknown, None)];
    if let Some(row) = &mut changed.payout {
        row.amount_cents = 900;
    }
    assert_eq!(
        kinds(&transfer(), &named(changed)),
        (vec!["amount_differs"], false)
    );
}

#[test]
fn a_second_transfer_is_one_however_the_first_is_held() {
    let two = (vec!["two_transfers"], false);
    assert_eq!(
        kinds(&transfer(), &named(entry(Completed, Some("tr_0")))),
        two
    );
    let mut by_attempt = entry(Pending, None);
    by_attempt.attempts = vec![attempt(1, O::Paid, Some("tr_0"))];
    assert_eq!(kinds(&transfer(), &named(by_attempt)), two);
    let mut surplus = entry(Completed, Some("tr_0"));
    surplus.attempts = vec![attempt(2, O::Surplus, Some("tr_1"))];
    assert_eq!(kinds(&transfer(), &held(surplus.clone())), two);
    // Taken back whole, it is no longer too many.
    let reversed = Transfer {
        amount_reversed: 1000,
        ..transfer()
    };
    let taken_back = (vec!["reversed_fully"], false);
    assert_eq!(kinds(&reversed, &held(surplus.clone())), taken_back);
    let kept = TransferLedger {
        reversed_cents: 1000,
        ..held(surplus)
    };
    assert_eq!(kinds(&reversed, &kept), (vec![], false));
    let unrecorded = named(entry(Completed, Some("tr_0")));
    assert_eq!(kinds(&reversed, &unrecorded), (vec![], false));
    let both = TransferLedger {
        holders: vec![
            entry(Completed, Some("tr_1")),
            entry(Completed, Some("tr_1")),
        ],
        ..TransferLedger::default()
    };
    assert_eq!(kinds(&transfer(), &both).0, ["two_payouts", "two_payouts"]);
}

#[test]
fn a_row_that_holds_what_another_creator_was_paid_differs() {
    let paid_to = |creator| TransferLedger {
        paid_to: Some(CreatorId::new(creator)),
        ..held(LedgerEntry {
            destination: Some("acct_new".to_owned()),
            ..entry(Completed, Some("tr_1"))
        })
    };
    // Her account was another one then.
    assert_eq!(kinds(&transfer(), &paid_to("ann")).0, [""; 0]);
    let to_bob = judge(&transfer(), &paid_to("bob"), &terms());
    assert!(!to_bob.matched && to_bob.has(FindingKind::DestinationDiffers));
    // What an attempt sent, it says itself.
    let mut sent = paid_to("bob");
    sent.holders[0].attempts = vec![attempt(1, O::Paid, Some("tr_1"))];
    assert_eq!(kinds(&transfer(), &sent).0, [""; 0]);
}

#[test]
fn what_is_known_of_a_reversal_is_told_once() {
    let reversed = |cents| Transfer {
        amount_reversed: cents,
        ..transfer()
    };
    let kept = |cents| TransferLedger {
        reversed_cents: cents,
        ..held(entry(Completed, Some("tr_1")))
    };
    assert_eq!(kinds(&reversed(300), &kept(0)).0, ["reversed_partly"]);
    assert_eq!(kinds(&reversed(300), &kept(300)).0, [""; 0]);
    assert_eq!(kinds(&reversed(400), &kept(300)).0, ["reversed_partly"]);
    assert_eq!(kinds(&reversed(1000), &kept(300)).0, ["reversed_fully"]);
    assert!(judge(&reversed(300), &kept(0), &terms()).matched);
}

#[test]
fn what_nobody_knows_is_forgotten_only_when_this_database_made_it() {
    let nobody = TransferLedger::default();
    assert_eq!(
        kinds(&transfer(), &nobody),
        (vec!["unknown_transfer"], false)
    );
    let other = saying(&[("database", "db2"), ("payout_id", "p1")]);
    assert_eq!(kinds(&other, &nobody).0, ["unknown_transfer"]);
    let ours = saying(&[("database", DATABASE), ("payout_id", "p1")]);
    let judged = judge(&ours, &nobody, &terms());
    assert_eq!(judged.found[0].kind, FindingKind::ForgottenPayout);
    assert_eq!(judged.found[0].payout_id, Some(PayoutId::new("p1")));
    let mut deleted = entry(Completed, None);
    deleted.payout = None;
    deleted.attempts = vec![attempt(1, O::Paid, Some("tr_1"))];
    assert_eq!(
        kinds(&transfer(), &held(deleted)),
        (vec!["payout_deleted"], false)
    );
}

#[test]
fn edited_metadata_does_not_outweigh_the_ledger() {
    let edited = saying(&[("payout_id", "p2")]);
    let ledger = held(entry(Completed, Some("tr_1")));
    assert_eq!(kinds(&edited, &ledger).0, ["metadata_differs"]);
    // A group of other software is none of our business.
    let grouped = Transfer {
        transfer_group: Some("OCTOBER".to_owned()),
        ..transfer()
    };
    assert_eq!(kinds(&grouped, &ledger).0, [""; 0]);
}

#[test]
fn rows_in_doubt_without_a_transfer() {
    let said = |entry: &LedgerEntry| {
        judge_without_transfer(entry, true).map(|f| (f.kind.as_str(), f.attempt))
    };
    let mut open = entry(Processing, None);
    open.attempts = vec![attempt(1, O::Declined, None), attempt(2, O::Unknown, None)];
    assert_eq!(said(&open), Some(("unresolved", Some(2))));
    open.payout = None;
    assert_eq!(said(&open), Some(("unresolved", Some(2))));
    assert_eq!(said(&entry(Processing, None)), Some(("unresolved", None)));
    assert_eq!(
        said(&entry(Completed, None)),
        Some(("missing_at_stripe", None))
    );
    assert_eq!(said(&entry(Completed, Some("tr_1"))), None);
    assert_eq!(said(&entry(Failed, None)), None);
    // A group that was not read whole proves nothing missing, and clears nothing either.
    assert_eq!(judge_without_transfer(&entry(Completed, None), false), None);
    assert!(judge_without_transfer(&open, false).is_some());
}

#[test]
fn a_lost_payout_is_what_its_transfer_proves_and_nothing_less() {
    let whole = [
        ("payout_id", "p1"),
        ("creator_id", "ann"),
        ("database", DATABASE),
        ("reference", "OCT-1"),
        ("royalty_statement_id", "st1"),
    ];
    let lost = lost_payout(&saying(&whole), &terms()).unwrap();
    assert_eq!((lost.transfer.amount_cents, lost.id.as_str()), (1000, "p1"));
    assert_eq!(lost.reference.as_deref(), Some("OCT-1"));
    for missing in ["payout_id", "creator_id", "database"] {
        let rest: Vec<_> = whole
            .into_iter()
            .filter(|(key, _)| *key != missing)
            .collect();
        assert!(lost_payout(&saying(&rest), &terms()).is_err(), "{missing}");
    }
    for change in [
        |t: &mut Transfer| t.livemode = true,
        |t: &mut Transfer| t.currency = "eur".to_owned(),
        |t: &mut Transfer| t.amount = 0,
        |t: &mut Transfer| t.amount = i64::from(i32::MAX) + 1,
    ] {
        let mut changed = saying(&whole);
        change(&mut changed);
        assert!(lost_payout(&changed, &terms()).is_err());
    }
}

#[test]
fn an_id_is_what_stripe_may_have_made() {
    for id in ["tr_1", "tr_1Mx_z"] {
        assert!(is_transfer_id(id), "{id}");
    }
    for text in [
        "",
        "tr_",
        "tr_1 ",
        "po_1",
        "paid by wire",
        "tr_1/../x",
        "tr_é",
        "tr_1?a",
    ] {
        assert!(!is_transfer_id(text), "{text}");
    }
}

fn any_status() -> impl Strategy<Value = PayoutStatus> {
    prop::sample::select(PayoutStatus::ALL)
}

fn any_id() -> impl Strategy<Value = Option<&'static str>> {
    prop::sample::select(vec![None, Some("tr_1"), Some("tr_2")])
}

fn any_entry() -> impl Strategy<Value = LedgerEntry> {
    let row = (any_status(), any_id(), 999..1002_i32, any::<bool>());
    let outcomes = prop::collection::vec(
        (
            prop::sample::select(AttemptOutcome::ALL),
            any_id(),
            999..1002_i32,
        ),
        0..3,
    );
    (row, outcomes, any::<bool>()).prop_map(|((status, held, cents, gone), tries, busy)| {
        let mut entry = entry(status, held);
        if let Some(row) = &mut entry.payout {
            row.amount_cents = cents;
        }
        if gone {
            entry.payout = None;
        }
        let numbered = (1..).zip(tries);
        entry.attempts = numbered
            .map(|(number, (outcome, held, cents))| Attempt {
                amount_cents: cents,
                ..attempt(number, outcome, held)
            })
            .collect();
        entry.busy = busy;
        entry
    })
}

fn any_transfer() -> impl Strategy<Value = Transfer> {
    let metadata = prop::sample::select(vec![
        vec![],
        vec![("payout_id", "p1")],
        vec![("payout_id", "p1"), ("attempt", "2")],
        vec![("payoutId", "p2"), ("database", DATABASE)],
    ]);
    (metadata, 999..1002_i64, 0..1002_i64, any::<bool>()).prop_map(
        |(metadata, amount, reversed, euros)| Transfer {
            amount,
            amount_reversed: reversed.min(amount),
            currency: if euros { "eur" } else { "usd" }.to_owned(),
            ..saying(&metadata)
        },
    )
}

proptest! {
    /// What is adopted is the payout's only transfer, over its amount, in its currency.
    #[test]
    fn only_what_fits_is_adopted(transfer in any_transfer(), entry in any_entry(), holds in any::<bool>()) {
        let ledger = if holds { held(entry.clone()) } else { named(entry.clone()) };
        let judged = judge(&transfer, &ledger, &terms());
        if judged.may_be_adopted() {
            let row = entry.payout.as_ref().expect("a row");
            prop_assert_eq!(transfer.amount, i64::from(row.amount_cents));
            prop_assert_eq!(&transfer.currency, "usd");
            prop_assert!(!entry.busy);
            let holds_this = row.stripe_transfer_id.as_deref() == Some(&transfer.id);
            prop_assert!(holds_this || transfers_of(&entry).all(|id| id == transfer.id));
        }
    }

    /// A glance that agrees says what looking at everything says.
    #[test]
    fn a_glance_agrees_only_where_all_agrees(
        transfer in any_transfer(), cents in 999..1002_i32, of_attempt in 999..1002_i32, live in any::<bool>(),
    ) {
        let mut whole = entry(Completed, Some("tr_1"));
        let paid = Attempt { amount_cents: of_attempt, livemode: live, ..attempt(1, O::Paid, Some("tr_1")) };
        let row = whole.payout.as_mut().expect("a row");
        row.amount_cents = cents;
        let plain = PlainlyHeld {
            payout_id: whole.id.clone(),
            amount_cents: cents,
            paid_at: row.created_at,
            attempt: 1,
            attempt_cents: of_attempt,
            currency: paid.currency,
            destination: paid.destination.clone(),
            livemode: live,
            first_sent_at: paid.first_sent_at,
        };
        whole.attempts = vec![paid];
        let judged = judge(&transfer, &held(whole.clone()), &terms());
        let nothing_found = judged.matched && judged.found.is_empty();
        prop_assert_eq!(agrees(&transfer, &plain, Word::Stripe), nothing_found && transfer.amount_reversed == 0);
        let judged = judge_told(&transfer, &held(whole), &terms(), Word::Report);
        let nothing_found = judged.matched && judged.found.is_empty();
        prop_assert_eq!(agrees(&transfer, &plain, Word::Report), nothing_found && transfer.amount_reversed == 0);
    }

    /// Silence means that the table holds the transfer on a COMPLETED payout over its
    /// amount, that a live run is at work on it, or that it was too many and is taken back.
    #[test]
    fn silence_means_agreement(transfer in any_transfer(), entry in any_entry(), holds in any::<bool>()) {
        let ledger = if holds { held(entry.clone()) } else { named(entry.clone()) };
        let judged = judge(&transfer, &ledger, &terms());
        if judged.found.is_empty() && !entry.busy && transfer.amount_reversed < transfer.amount {
            let row = entry.payout.as_ref().expect("a row");
            prop_assert!(holds && judged.matched);
            prop_assert_eq!(row.status, Completed);
            prop_assert_eq!(row.stripe_transfer_id.as_deref(), Some(transfer.id.as_str()));
            prop_assert_eq!(i64::from(row.amount_cents), transfer.amount);
        }
    }

    /// A transfer that names nobody and that nobody holds pays nobody, whatever its amount.
    #[test]
    fn an_amount_alone_never_matches(amount in any::<i64>(), to in prop::option::of("acct_[a-z]{3}")) {
        let alone = Transfer { amount, destination: to, ..transfer() };
        let judged = judge(&alone, &TransferLedger::default(), &terms());
        prop_assert!(!judged.matched && !judged.may_be_adopted());
        prop_assert_eq!(judged.found.len(), 1);
    }
}
