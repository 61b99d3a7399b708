//! Transfers, reversals, balance and accounts, as requests and answers.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose answer has another shape has failed"
)]

use payouts::sandbox::{
    AccountUpdate, BalanceUpdate, CapabilityStatus, OpeningBalance, Options, SourceType,
};
use serde_json::{Value, json};

use crate::sandbox_client::{START_MS, get, ids, made, options, post, sandbox, start, transfer};

fn path_of(transfer: &Value) -> String {
    format!("/v1/transfers/{}", transfer["id"].as_str().unwrap())
}

#[test]
fn a_transfer_looks_as_at_stripe() {
    let sandbox = sandbox();
    let form =
        "&description=royalties&metadata[payout_id]=p1&metadata[attempt]=1&transfer_group=p1";
    let made = transfer(&sandbox, form).ok();
    let id = made["id"].as_str().unwrap();
    assert!(id.starts_with("tr_1S"), "{id}");
    assert!(
        made["balance_transaction"]
            .as_str()
            .unwrap()
            .starts_with("txn_1S")
    );
    assert!(
        made["destination_payment"]
            .as_str()
            .unwrap()
            .starts_with("py_1S")
    );
    let expected = json!({
        "id": id,
        "object": "transfer",
        "amount": 100,
        "amount_reversed": 0,
        "balance_transaction": made["balance_transaction"],
        "created": START_MS / 1000,
        "currency": "usd",
        "description": "royalties",
        "destination": "acct_1",
        "destination_payment": made["destination_payment"],
        "livemode": false,
        "metadata": {"payout_id": "p1", "attempt": "1"},
        "reversals": {"object": "list", "data": [], "has_more": false, "total_count": 0, "url": format!("/v1/transfers/{id}/reversals")},
        "reversed": false,
        "source_transaction": null,
        "source_type": "card",
        "transfer_group": "p1",
    });
    assert_eq!(made, expected);
    assert_eq!(get(&sandbox, &path_of(&made)).ok(), expected);
}

#[test]
fn every_answer_has_stripes_headers() {
    let sandbox = sandbox();
    for request in [
        transfer(&sandbox, ""),
        get(&sandbox, "/v1/balance"),
        get(&sandbox, "/v1/nothing"),
    ] {
        let answer = request.header("Stripe-Version", "2024-06-20").send();
        assert!(
            answer.header("request-id").unwrap().starts_with("req_"),
            "{}",
            answer.body
        );
        assert_eq!(answer.header("stripe-version"), Some("2024-06-20"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("date"), Some("Thu, 01 Oct 2026 00:00:00 GMT"));
    }
    sandbox.advance(61).unwrap();
    assert_eq!(
        get(&sandbox, "/v1/balance").send().header("date"),
        Some("Thu, 01 Oct 2026 00:01:01 GMT")
    );
}

#[test]
fn wrong_parameters_are_named() {
    let sandbox = sandbox();
    let long = |length| "x".repeat(length);
    for (form, code, param) in [
        (
            "currency=usd&destination=acct_1",
            Some("parameter_missing"),
            "amount",
        ),
        (
            "amount=1&destination=acct_1",
            Some("parameter_missing"),
            "currency",
        ),
        (
            "amount=1&currency=usd",
            Some("parameter_missing"),
            "destination",
        ),
        (
            "amount=0&currency=usd&destination=acct_1",
            Some("parameter_invalid_integer"),
            "amount",
        ),
        (
            "amount=-1&currency=usd&destination=acct_1",
            Some("parameter_invalid_integer"),
            "amount",
        ),
        (
            "amount=1.5&currency=usd&destination=acct_1",
            Some("parameter_invalid_integer"),
            "amount",
        ),
        (
            "amount=1e3&currency=usd&destination=acct_1",
            Some("parameter_invalid_integer"),
            "amount",
        ),
        (
            "amount=%2B5&currency=usd&destination=acct_1",
            Some("parameter_invalid_integer"),
            "amount",
        ),
        (
            "amount=9223372036854775808&currency=usd&destination=acct_1",
            Some("parameter_invalid_integer"),
            "amount",
        ),
        (
            "amount=&currency=usd&destination=acct_1",
            Some("parameter_invalid_empty"),
            "amount",
        ),
        ("amount=1&currency=xyz&destination=acct_1", None, "currency"),
        (
            "amount=150&currency=isk&destination=acct_1",
            Some("parameter_invalid_integer"),
            "amount",
        ),
        (
            "amount=15&currency=kwd&destination=acct_1",
            Some("parameter_invalid_integer"),
            "amount",
        ),
        (
            "amount=1&currency=usd&destination=acct_1&source_type=cash",
            None,
            "source_type",
        ),
        (
            "amount=1&currency=usd&destination=acct_1&colour=red",
            Some("parameter_unknown"),
            "colour",
        ),
        (
            "amount=1&currency=usd&destination=acct_1&metadata[a][b]=c",
            Some("parameter_unknown"),
            "metadata[a][b]",
        ),
        (
            "amount=1&currency=usd&destination=acct_1&amount[x]=1",
            Some("parameter_unknown"),
            "amount[x]",
        ),
        (
            "amount=1&currency=usd&destination=acct_1&expand[]=owner",
            None,
            "expand",
        ),
        (
            &format!(
                "amount=1&currency=usd&destination=acct_1&metadata[{}]=v",
                long(41)
            ),
            None,
            "metadata",
        ),
        (
            &format!(
                "amount=1&currency=usd&destination=acct_1&metadata[k]={}",
                long(501)
            ),
            None,
            "metadata[k]",
        ),
        (
            &format!(
                "amount=1&currency=usd&destination=acct_1&description={}",
                long(5001)
            ),
            None,
            "description",
        ),
        (
            &format!(
                "amount=1&currency=usd&destination=acct_1&transfer_group={}",
                long(256)
            ),
            None,
            "transfer_group",
        ),
    ] {
        let error = post(&sandbox, "/v1/transfers", form).refused(400);
        assert_eq!(
            (error["code"].as_str(), error["param"].as_str()),
            (code, Some(param)),
            "{form}: {error}"
        );
        assert_eq!(error["type"], "invalid_request_error");
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty())
        );
    }
    assert_eq!(made(&sandbox), 0);
}

#[test]
fn the_largest_of_everything_is_taken() {
    let sandbox = sandbox();
    let value = "%C3%A9".repeat(500);
    let pairs = (0..50).map(|n| format!("&metadata[{n:040}]={value}"));
    let metadata = pairs.collect::<Vec<_>>().concat();
    let form = format!(
        "&description={}&transfer_group={}{metadata}",
        "x".repeat(5000),
        "g".repeat(255)
    );
    assert_eq!(
        transfer(&sandbox, &form).ok()["metadata"]
            .as_object()
            .unwrap()
            .len(),
        50
    );
    let error = transfer(&sandbox, &format!("{form}&metadata[one_more]=v")).refused(400);
    assert_eq!(error["param"], "metadata");
}

#[test]
fn currencies_are_stripes_own_and_may_be_written_in_capitals() {
    let balances =
        [("mga", 1), ("isk", 200), ("kwd", 20)].map(|(currency, amount)| OpeningBalance {
            currency: currency.to_owned(),
            source_type: SourceType::Card,
            amount,
        });
    let sandbox = start(Options {
        balances: balances.to_vec(),
        ..options()
    });
    for (currency, amount) in [("mga", 1), ("ISK", 200), ("Kwd", 20)] {
        let made = post(
            &sandbox,
            "/v1/transfers",
            &format!("amount={amount}&currency={currency}&destination=acct_1"),
        )
        .ok();
        assert_eq!(made["currency"], currency.to_lowercase());
    }
}

#[test]
fn destinations_behave_by_their_names() {
    let sandbox = sandbox();
    for (destination, code, param) in [
        ("acct_closed1", "resource_missing", Some("destination")),
        ("acct_missing", "resource_missing", Some("destination")),
        ("ba_1", "resource_missing", Some("destination")),
        ("acct_", "resource_missing", Some("destination")),
        ("acct_nocap", "insufficient_capabilities_for_transfer", None),
        ("acct_country_xx", "country_unsupported", None),
        ("acct_standard", "not_allowed_on_standard_account", None),
        ("acct_notallowed", "transfers_not_allowed", None),
        ("acct_blocked", "request_blocked", None),
        ("acct_approval", "approval_required", None),
        ("acct_other_error", "sandbox_unlisted_code", None),
    ] {
        let form = format!("amount=1&currency=usd&destination={destination}");
        let request = post(&sandbox, "/v1/transfers", &form).key(destination);
        let error = request.refused(400);
        assert_eq!(
            (error["code"].as_str(), error["param"].as_str()),
            (Some(code), param),
            "{destination}"
        );
        // It was executed, so it is stored.
        assert_eq!(
            request.send().header("idempotent-replayed"),
            Some("true"),
            "{destination}"
        );
    }
    assert_eq!(made(&sandbox), 0);
    assert_eq!(
        sandbox.ledger().accounts[0].balances[0].available,
        1_000_000_000
    );
}

#[test]
fn our_own_account_and_charges_are_no_way_to_pay() {
    let sandbox = sandbox();
    let error = post(
        &sandbox,
        "/v1/transfers",
        "amount=1&currency=usd&destination=acct_sandboxplatform",
    )
    .refused(400);
    assert_eq!(error["param"], "destination");
    let error = transfer(&sandbox, "&source_transaction=ch_1").refused(400);
    assert_eq!(
        (error["code"].as_str(), error["param"].as_str()),
        (Some("resource_missing"), Some("source_transaction"))
    );
}

#[test]
fn money_is_taken_from_its_own_currency_and_source() {
    let fund = |currency: &str, source_type, amount| OpeningBalance {
        currency: currency.to_owned(),
        source_type,
        amount,
    };
    let balances = vec![
        fund("usd", SourceType::Card, 150),
        fund("usd", SourceType::BankAccount, 70),
        fund("eur", SourceType::Card, 10),
    ];
    let sandbox = start(Options {
        balances,
        ..options()
    });
    transfer(&sandbox, "").ok();
    assert_eq!(
        transfer(&sandbox, "").refused(400)["code"],
        "balance_insufficient"
    );
    assert_eq!(
        transfer(&sandbox, "&source_type=bank_account").refused(400)["code"],
        "balance_insufficient"
    );
    post(
        &sandbox,
        "/v1/transfers",
        "amount=70&currency=usd&destination=acct_1&source_type=bank_account",
    )
    .ok();
    post(
        &sandbox,
        "/v1/transfers",
        "amount=10&currency=eur&destination=acct_1",
    )
    .ok();
    post(
        &sandbox,
        "/v1/transfers",
        "amount=1&currency=gbp&destination=acct_1",
    )
    .refused(400);

    let balance = get(&sandbox, "/v1/balance").ok();
    assert_eq!(balance["object"], "balance");
    assert_eq!(
        balance["available"][0],
        json!({"amount": 50, "currency": "usd", "source_types": {"card": 50, "bank_account": 0}})
    );
    assert_eq!(
        balance["available"][1],
        json!({"amount": 0, "currency": "eur", "source_types": {"card": 0}})
    );
    assert_eq!(balance["pending"][0]["amount"], 0);
}

#[test]
fn the_balance_can_be_drained_and_filled() {
    let sandbox = sandbox();
    let usd = |amount, set| BalanceUpdate {
        currency: "usd".to_owned(),
        amount,
        set,
        ..BalanceUpdate::default()
    };
    assert_eq!(sandbox.change_balance(&usd(None, Some(100))).unwrap(), 100);
    assert_eq!(sandbox.change_balance(&usd(Some(-150), None)).unwrap(), -50);
    transfer(&sandbox, "").refused(400);
    sandbox.top_up("usd", 150).unwrap();
    transfer(&sandbox, "").ok();
    assert!(sandbox.change_balance(&usd(Some(1), Some(1))).is_err());
    assert!(sandbox.top_up("xyz", 1).is_err());
}

#[test]
fn an_update_changes_words_and_nothing_else() {
    let sandbox = sandbox();
    let path = path_of(&transfer(&sandbox, "&description=old&metadata[a]=1&metadata[b]=2").ok());
    let updated = post(
        &sandbox,
        &path,
        "description=new&metadata[a]=&metadata[b]=3&metadata[c]=4",
    )
    .ok();
    assert_eq!(updated["description"], "new");
    assert_eq!(updated["metadata"], json!({"b": "3", "c": "4"}));
    assert_eq!(
        post(&sandbox, &path, "description=").ok()["description"],
        Value::Null
    );
    assert_eq!(
        post(&sandbox, &path, "metadata=").ok()["metadata"],
        json!({})
    );
    assert_eq!(
        post(&sandbox, &path, "amount=5").refused(400)["code"],
        "parameter_unknown"
    );
    let many = (0..50)
        .map(|n| format!("metadata[k{n}]=v"))
        .collect::<Vec<_>>()
        .join("&");
    post(&sandbox, &path, &many).ok();
    assert_eq!(
        post(&sandbox, &path, "metadata[k50]=v").refused(400)["param"],
        "metadata"
    );
    assert_eq!(
        post(&sandbox, "/v1/transfers/tr_1", "description=a").refused(404)["code"],
        "resource_missing"
    );
}

#[test]
fn a_transfer_is_reversed_only_when_all_of_it_came_back() {
    let sandbox = sandbox();
    let before = sandbox.ledger();
    let path = path_of(&transfer(&sandbox, "").ok());
    let reversals = format!("{path}/reversals");
    let first = post(
        &sandbox,
        &reversals,
        "amount=30&metadata[why]=mistake&description=d&refund_application_fee=false",
    )
    .ok();
    assert_eq!(first["object"], "transfer_reversal");
    assert_eq!(
        (&first["amount"], &first["currency"]),
        (&json!(30), &json!("usd"))
    );
    assert_eq!(first["metadata"], json!({"why": "mistake"}));
    let part = get(&sandbox, &path).ok();
    assert_eq!(
        (&part["amount_reversed"], &part["reversed"], &part["amount"]),
        (&json!(30), &json!(false), &json!(100))
    );

    assert_eq!(
        post(&sandbox, &reversals, "amount=71").refused(400)["param"],
        "amount"
    );
    post(&sandbox, &reversals, "amount=0").refused(400);
    let rest = post(&sandbox, &reversals, "").ok();
    assert_eq!(rest["amount"], 70);
    let all = get(&sandbox, &path).ok();
    assert_eq!(
        (&all["amount_reversed"], &all["reversed"]),
        (&json!(100), &json!(true))
    );
    assert_eq!(
        ids(&all["reversals"]),
        [rest["id"].as_str().unwrap(), first["id"].as_str().unwrap()]
    );
    assert_eq!(
        post(&sandbox, &reversals, "").refused(400)["code"],
        "transfer_already_reversed"
    );

    assert!(before.accounts.is_empty());
    assert_eq!(
        sandbox.ledger().accounts[0].balances[0].available,
        1_000_000_000
    );
    assert_eq!(
        ids(&get(&sandbox, &format!("{reversals}?limit=1")).ok()),
        [rest["id"].as_str().unwrap()]
    );
    let first_path = format!("{reversals}/{}", first["id"].as_str().unwrap());
    assert_eq!(get(&sandbox, &first_path).ok(), first);
    assert_eq!(
        post(&sandbox, &first_path, "metadata[why]=").ok()["metadata"],
        json!({})
    );

    let other = path_of(&transfer(&sandbox, "").ok());
    let wrong_parent = format!("{other}/reversals/{}", first["id"].as_str().unwrap());
    assert_eq!(
        get(&sandbox, &wrong_parent).refused(404)["code"],
        "resource_missing"
    );
}

#[test]
fn a_transfer_shows_its_ten_newest_reversals() {
    let sandbox = sandbox();
    let path = path_of(&transfer(&sandbox, "").ok());
    let made: Vec<Value> = (0..11)
        .map(|_| post(&sandbox, &format!("{path}/reversals"), "amount=1").ok())
        .collect();
    let shown = get(&sandbox, &path).ok()["reversals"].clone();
    let newest: Vec<&str> = made
        .iter()
        .rev()
        .take(10)
        .map(|reversal| reversal["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids(&shown), newest);
    assert_eq!(
        (&shown["has_more"], &shown["total_count"]),
        (&json!(true), &json!(11))
    );
}

#[test]
fn a_creator_without_money_cannot_be_reversed() {
    let sandbox = sandbox();
    let path = path_of(
        &post(
            &sandbox,
            "/v1/transfers",
            "amount=1&currency=usd&destination=acct_spent",
        )
        .ok(),
    );
    assert_eq!(
        post(&sandbox, &format!("{path}/reversals"), "").refused(400)["code"],
        "balance_insufficient"
    );
    assert_eq!(get(&sandbox, &path).ok()["amount_reversed"], 0);
}

#[test]
fn every_movement_is_a_balance_transaction() {
    let sandbox = sandbox();
    let made = transfer(&sandbox, "&description=royalties").ok();
    sandbox.advance(10).unwrap();
    let reversal = post(
        &sandbox,
        &format!("{}/reversals", path_of(&made)),
        "amount=40",
    )
    .ok();
    sandbox.top_up("usd", 5).unwrap();

    let all = get(&sandbox, "/v1/balance_transactions").ok();
    let told: Vec<(&str, i64)> = all["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            (
                item["type"].as_str().unwrap(),
                item["amount"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [("topup", 5), ("transfer_refund", 40), ("transfer", -100)]
    );
    let transfers = get(&sandbox, "/v1/balance_transactions?type=transfer").ok();
    let entry = &transfers["data"][0];
    assert_eq!(
        ids(&transfers),
        [made["balance_transaction"].as_str().unwrap()]
    );
    assert_eq!(
        (&entry["net"], &entry["fee"], &entry["source"]),
        (&json!(-100), &json!(0), &made["id"])
    );
    assert_eq!(
        (
            &entry["reporting_category"],
            &entry["description"],
            &entry["status"]
        ),
        (&json!("transfer"), &json!("royalties"), &json!("available"))
    );
    assert_eq!(
        &get(
            &sandbox,
            &format!("/v1/balance_transactions/{}", entry["id"].as_str().unwrap())
        )
        .ok(),
        entry
    );
    for (filter, expected) in [
        (
            format!("source={}", made["id"].as_str().unwrap()),
            vec![&made["balance_transaction"]],
        ),
        (
            format!("source={}", reversal["id"].as_str().unwrap()),
            vec![&reversal["balance_transaction"]],
        ),
        (
            format!("type=transfer&source={}", reversal["id"].as_str().unwrap()),
            vec![],
        ),
        (
            format!("created[gt]={}&type=transfer_refund", START_MS / 1000),
            vec![&reversal["balance_transaction"]],
        ),
        ("type=payout".to_owned(), vec![]),
        ("currency=eur".to_owned(), vec![]),
    ] {
        let list = get(&sandbox, &format!("/v1/balance_transactions?{filter}")).ok();
        assert_eq!(
            ids(&list),
            expected
                .iter()
                .map(|id| id.as_str().unwrap())
                .collect::<Vec<_>>(),
            "{filter}"
        );
    }
}

/// The balance tells what moved it, in one page and without a look-up for each.
#[test]
fn what_moved_the_balance_is_shown_when_asked_for() {
    let sandbox = sandbox();
    let id = transfer(&sandbox, "&metadata[payout_id]=p1").ok()["id"].clone();
    let path = format!("/v1/transfers/{}", id.as_str().unwrap());
    let reversal = post(&sandbox, &format!("{path}/reversals"), "amount=40").ok();
    sandbox.top_up("usd", 5).unwrap();
    let now = get(&sandbox, &path).ok();
    let sources = |expand: &str| {
        let list = get(&sandbox, &format!("/v1/balance_transactions?{expand}")).ok();
        let entries = list["data"].as_array().unwrap();
        let source = |entry: &Value| entry["source"].clone();
        entries.iter().map(source).collect::<Vec<_>>()
    };

    let shown = sources("expand[]=data.source");
    assert_eq!(shown[1..], [reversal.clone(), now.clone()]);
    assert_eq!(shown[1]["transfer"], id);
    assert_eq!(
        (&shown[0]["object"], &shown[0]["amount"]),
        (&json!("topup"), &json!(5))
    );
    // What is on the way to the transfer is expanded too.
    for expand in [
        "expand[]=data.source.transfer",
        "expand[0]=data.source&expand[1]=data.source.transfer",
    ] {
        let shown = sources(expand);
        assert_eq!(
            (&shown[1]["object"], &shown[1]["amount"]),
            (&json!("transfer_reversal"), &json!(40))
        );
        assert_eq!(shown[1]["transfer"], now);
        assert_eq!(shown[2], now);
    }

    let entry = format!(
        "/v1/balance_transactions/{}",
        reversal["balance_transaction"].as_str().unwrap()
    );
    let shown = get(&sandbox, &format!("{entry}?expand[]=source")).ok();
    assert_eq!(shown["source"], reversal);
    let shown = get(&sandbox, &format!("{entry}?expand[]=source.transfer")).ok();
    assert_eq!(shown["source"]["transfer"], now);
    for wrong in [
        "/v1/balance_transactions?expand[]=source".to_owned(),
        "/v1/balance_transactions?expand[]=data.fee".to_owned(),
        format!("{entry}?expand[]=data.source"),
    ] {
        assert_eq!(get(&sandbox, &wrong).refused(400)["param"], "expand");
    }
}

#[test]
fn reversals_are_listed_in_pages() {
    let sandbox = sandbox();
    let made = transfer(&sandbox, "").ok();
    let reversals = format!("{}/reversals", path_of(&made));
    for amount in 1..=12 {
        post(&sandbox, &reversals, &format!("amount={amount}")).ok();
        sandbox.advance(1).unwrap();
        // Those of another transfer lie between them.
        let other = format!("{}/reversals", path_of(&transfer(&sandbox, "").ok()));
        post(&sandbox, &other, "").ok();
    }
    let page = |query: &str| {
        let list = get(&sandbox, &format!("{reversals}?{query}")).ok();
        let entries = list["data"].as_array().unwrap();
        let amounts: Vec<_> = entries
            .iter()
            .map(|entry| entry["amount"].as_i64().unwrap())
            .collect();
        let last = entries.last().map(|entry| entry["id"].clone());
        (amounts, list["has_more"] == true, last)
    };
    let (amounts, has_more, last) = page("limit=5");
    assert_eq!((amounts, has_more), (vec![12, 11, 10, 9, 8], true));
    let last = last.unwrap();
    let last = last.as_str().unwrap();
    let (amounts, has_more, _) = page(&format!("limit=5&starting_after={last}"));
    assert_eq!((amounts, has_more), (vec![7, 6, 5, 4, 3], true));
    let (amounts, has_more, _) = page(&format!("limit=3&ending_before={last}"));
    assert_eq!((amounts, has_more), (vec![11, 10, 9], true));
    let (amounts, has_more, _) = page(&format!("created[lt]={}", START_MS / 1000 + 2));
    assert_eq!((amounts, has_more), (vec![2, 1], false));

    let expanded = get(
        &sandbox,
        &format!("{reversals}?limit=1&expand[]=data.transfer&expand[]=data.balance_transaction"),
    )
    .ok();
    let newest = &expanded["data"][0];
    assert_eq!(newest["transfer"], get(&sandbox, &path_of(&made)).ok());
    assert_eq!(newest["balance_transaction"]["amount"], 12);
    assert_eq!(newest["balance_transaction"]["source"], newest["id"]);
}

#[test]
fn accounts_show_whether_they_can_be_paid() {
    let sandbox = sandbox();
    assert_eq!(
        get(&sandbox, "/v1/account").ok()["id"],
        "acct_sandboxplatform"
    );
    assert_eq!(
        get(&sandbox, "/v1/account").api_key("sk_test_other").ok()["id"],
        "acct_sandboxother"
    );
    for (id, capability, payouts_enabled) in [
        ("acct_1", "active", true),
        ("acct_nocap", "inactive", false),
        ("acct_nopayouts", "active", false),
    ] {
        let account = get(&sandbox, &format!("/v1/accounts/{id}")).ok();
        assert_eq!(
            (&account["id"], &account["object"]),
            (&json!(id), &json!("account"))
        );
        assert_eq!(account["capabilities"]["transfers"], capability);
        assert_eq!(account["payouts_enabled"], payouts_enabled);
    }
    assert_eq!(
        get(&sandbox, "/v1/accounts/acct_nocap").ok()["requirements"]["disabled_reason"],
        "requirements.past_due"
    );
    assert_eq!(
        get(&sandbox, "/v1/accounts/acct_closed").refused(403)["code"],
        "account_invalid"
    );
}

#[test]
fn a_capability_can_be_lost_and_won() {
    let sandbox = sandbox();
    let update = |id: &str, transfers| AccountUpdate {
        id: id.to_owned(),
        transfers: Some(transfers),
        ..AccountUpdate::default()
    };
    transfer(&sandbox, "").ok();
    sandbox
        .update_account(AccountUpdate {
            disabled_reason: Some("under_review".to_owned()),
            ..update("acct_1", CapabilityStatus::Inactive)
        })
        .unwrap();
    assert_eq!(
        transfer(&sandbox, "").refused(400)["code"],
        "insufficient_capabilities_for_transfer"
    );
    let account = get(&sandbox, "/v1/accounts/acct_1").ok();
    assert_eq!(
        (
            &account["capabilities"]["transfers"],
            &account["requirements"]["disabled_reason"]
        ),
        (&json!("inactive"), &json!("under_review"))
    );

    sandbox
        .update_account(update("acct_nocap", CapabilityStatus::Active))
        .unwrap();
    post(
        &sandbox,
        "/v1/transfers",
        "amount=1&currency=usd&destination=acct_nocap",
    )
    .ok();
    assert_eq!(
        ids(&get(&sandbox, "/v1/accounts").ok()),
        ["acct_nocap", "acct_1"]
    );
    assert!(
        sandbox
            .update_account(update("acct_closed", CapabilityStatus::Active))
            .is_err()
    );
}

#[test]
fn api_keys_decide_account_mode_and_permission() {
    let sandbox = sandbox();
    let made = transfer(&sandbox, "").ok();
    for (api_key, read, write) in [
        ("sk_test_1", 200, 200),
        ("rk_test_1", 200, 200),
        ("rk_test_readonly", 200, 403),
        ("rk_test_noaccess", 403, 403),
        ("sk_test_expired", 401, 401),
        ("sk_live_1", 401, 401),
        ("rk_live_1", 401, 401),
        ("pk_test_1", 401, 401),
        ("sk_test_", 401, 401),
        ("", 401, 401),
    ] {
        assert_eq!(
            get(&sandbox, "/v1/account").api_key(api_key).send().status,
            read,
            "{api_key:?}"
        );
        assert_eq!(
            transfer(&sandbox, "").api_key(api_key).send().status,
            write,
            "{api_key:?}"
        );
    }
    let other = get(&sandbox, &path_of(&made))
        .api_key("sk_test_other")
        .refused(404);
    assert_eq!(other["code"], "resource_missing");
    let basic = get(&sandbox, &path_of(&made))
        .header("Authorization", "Basic c2tfdGVzdF8xOg==")
        .ok();
    assert_eq!(basic["id"], made["id"]);
    assert_eq!(
        get(&sandbox, "/v1/account")
            .header("Authorization", "Basic !")
            .send()
            .status,
        401
    );
    let error = get(&sandbox, "/v1/account")
        .api_key("sk_live_0123456789abcdef")
        .refused(401);
    let message = error["message"].as_str().unwrap();
    assert!(message.ends_with("sk_live_************cdef"), "{message}");
    let error = get(&sandbox, "/v1/account")
        .api_key("sk_live_01234567")
        .refused(401);
    let message = error["message"].as_str().unwrap();
    assert!(message.ends_with("sk_live_********"), "{message}");
}

#[test]
fn live_books_are_their_own() {
    let sandbox = start(Options {
        allow_live: true,
        ..options()
    });
    let live = transfer(&sandbox, "").api_key("sk_live_1").ok();
    assert_eq!(live["livemode"], true);
    get(&sandbox, &path_of(&live)).refused(404);
    assert_eq!(
        get(&sandbox, "/v1/transfers").api_key("sk_live_1").ok()["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        get(&sandbox, "/v1/balance").ok()["available"][0]["amount"],
        1_000_000_000
    );
    assert_eq!(
        get(&sandbox, "/v1/balance").api_key("sk_live_1").ok()["livemode"],
        true
    );
}

#[test]
fn acting_on_a_connected_account_is_refused() {
    let sandbox = sandbox();
    let error = transfer(&sandbox, "")
        .header("Stripe-Account", "acct_1")
        .refused(403);
    assert_eq!(error["code"], "account_invalid");
    transfer(&sandbox, "")
        .header("Stripe-Account", "acct_sandboxplatform")
        .ok();
    assert_eq!(made(&sandbox), 1);
}

#[test]
fn unknown_paths_and_bodies_that_are_no_forms_are_refused() {
    let sandbox = sandbox();
    for (method, path) in [
        ("GET", "/v1/payouts"),
        ("POST", "/v1/payouts"),
        ("DELETE", "/v1/transfers/tr_1"),
        ("PUT", "/v1/transfers"),
        ("GET", "/v1/transfers/"),
        ("GET", "/v1/transfers/a/b"),
        ("GET", "/v1/transfers/a/reversals/b/c"),
        ("POST", "/v1/balance"),
        ("GET", "/v2/transfers"),
        ("GET", "/"),
    ] {
        let error = get(&sandbox, path).method(method).refused(404);
        assert!(
            error["message"]
                .as_str()
                .unwrap()
                .starts_with("Unrecognized request URL"),
            "{method} {path}"
        );
    }
    let json = post(
        &sandbox,
        "/v1/transfers",
        r#"{"amount":100,"currency":"usd","destination":"acct_1"}"#,
    );
    let error = json
        .header("Content-Type", "application/json")
        .key("k")
        .refused(400);
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("application/x-www-form-urlencoded")
    );
    let large = post(&sandbox, "/v1/transfers", &"a".repeat((1 << 20) + 1)).send();
    assert_eq!(large.status, 413);
    assert_eq!(made(&sandbox), 0);
}

#[test]
fn chunked_bodies_and_queries_are_read_like_any_other() {
    let sandbox = sandbox();
    let chunked = transfer(&sandbox, "&metadata[payout_id]=p%2F1")
        .chunked()
        .ok();
    assert_eq!(chunked["metadata"], json!({"payout_id": "p/1"}));
    let query = post(
        &sandbox,
        "/v1/transfers?amount=100&currency=usd",
        "destination=acct_1",
    )
    .ok();
    assert_eq!(query["amount"], 100);
}

#[test]
fn fields_can_be_expanded() {
    let sandbox = sandbox();
    let made = transfer(&sandbox, "").ok();
    let expanded = get(
        &sandbox,
        &format!(
            "{}?expand[]=balance_transaction&expand[1]=destination",
            path_of(&made)
        ),
    )
    .ok();
    assert_eq!(expanded["balance_transaction"]["source"], made["id"]);
    assert_eq!(
        expanded["destination"]["capabilities"]["transfers"],
        "active"
    );
    let list = get(&sandbox, "/v1/transfers?expand[]=data.balance_transaction").ok();
    assert_eq!(list["data"][0]["balance_transaction"]["net"], -100);
    get(&sandbox, "/v1/transfers?expand[]=balance_transaction").refused(400);
}
