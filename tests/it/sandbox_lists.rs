//! Pages, cursors and filters.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose answer has another shape has failed"
)]

use payouts::sandbox::SandboxHandle;
use serde_json::Value;

use crate::sandbox_client::{START_MS, get, ids, post, sandbox, start, transfer};

const START: i64 = START_MS / 1000;

/// Ten transfers, one a second; of every three one goes to `acct_x`, and all are of group `g0` or `g1`.
fn ten(sandbox: &SandboxHandle) -> Vec<String> {
    (0..10)
        .map(|n| {
            let destination = if n % 3 == 0 { "acct_x" } else { "acct_y" };
            let form = format!(
                "amount={}&currency=usd&destination={destination}&transfer_group=g{}",
                n + 1,
                n % 2
            );
            let made = post(sandbox, "/v1/transfers", &form).ok();
            sandbox.advance(1).unwrap();
            made["id"].as_str().unwrap().to_owned()
        })
        .collect()
}

/// The amounts in a list, which for `ten` are their number in time.
fn amounts(list: &Value) -> Vec<i64> {
    list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["amount"].as_i64().unwrap())
        .collect()
}

#[test]
fn lists_are_newest_first_and_ten_long() {
    let sandbox = sandbox();
    ten(&sandbox);
    transfer(&sandbox, "").ok();
    let list = get(&sandbox, "/v1/transfers").ok();
    assert_eq!(
        (&list["object"], &list["url"], &list["has_more"]),
        (&"list".into(), &"/v1/transfers".into(), &true.into())
    );
    assert_eq!(amounts(&list), [100, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
}

#[test]
fn starting_after_walks_to_older_ones_until_there_are_no_more() {
    let sandbox = sandbox();
    let made = ten(&sandbox);
    let mut seen = Vec::new();
    let mut path = "/v1/transfers?limit=4".to_owned();
    let mut pages = 0;
    loop {
        let list = get(&sandbox, &path).ok();
        seen.extend(ids(&list).iter().map(|id| (*id).to_owned()));
        pages += 1;
        if list["has_more"] == false {
            break;
        }
        path = format!(
            "/v1/transfers?limit=4&starting_after={}",
            seen.last().unwrap()
        );
    }
    assert_eq!(pages, 3);
    assert_eq!(
        seen.iter().rev().collect::<Vec<_>>(),
        made.iter().collect::<Vec<_>>()
    );
}

#[test]
fn a_page_that_ends_with_the_last_one_says_so() {
    let sandbox = sandbox();
    let made = ten(&sandbox);
    assert_eq!(
        get(&sandbox, "/v1/transfers?limit=10").ok()["has_more"],
        false
    );
    let page = get(
        &sandbox,
        &format!("/v1/transfers?starting_after={}", made[0]),
    )
    .ok();
    assert_eq!((ids(&page).len(), &page["has_more"]), (0, &false.into()));
}

#[test]
fn ending_before_walks_to_newer_ones() {
    let sandbox = sandbox();
    let made = ten(&sandbox);
    let page = get(
        &sandbox,
        &format!("/v1/transfers?limit=3&ending_before={}", made[4]),
    )
    .ok();
    assert_eq!(
        (amounts(&page), &page["has_more"]),
        (vec![8, 7, 6], &true.into())
    );
    let page = get(
        &sandbox,
        &format!("/v1/transfers?limit=3&ending_before={}", made[6]),
    )
    .ok();
    assert_eq!(
        (amounts(&page), &page["has_more"]),
        (vec![10, 9, 8], &false.into())
    );
}

#[test]
fn new_transfers_do_not_move_a_walk_to_older_ones() {
    let sandbox = sandbox();
    ten(&sandbox);
    let first = get(&sandbox, "/v1/transfers?limit=5").ok();
    transfer(&sandbox, "").ok();
    let last = (*ids(&first).last().unwrap()).to_owned();
    assert_eq!(
        amounts(
            &get(
                &sandbox,
                &format!("/v1/transfers?limit=5&starting_after={last}")
            )
            .ok()
        ),
        [5, 4, 3, 2, 1]
    );
}

#[test]
fn filters_hold_alone_and_together() {
    let sandbox = sandbox();
    ten(&sandbox);
    for (filter, expected) in [
        ("transfer_group=g0".to_owned(), vec![9, 7, 5, 3, 1]),
        ("transfer_group=nobody".to_owned(), vec![]),
        ("destination=acct_x".to_owned(), vec![10, 7, 4, 1]),
        (
            "destination=acct_x&transfer_group=g1".to_owned(),
            vec![10, 4],
        ),
        (format!("created={}", START + 3), vec![4]),
        (format!("created[gt]={}", START + 7), vec![10, 9]),
        (format!("created[gte]={}", START + 7), vec![10, 9, 8]),
        (format!("created[lt]={}", START + 2), vec![2, 1]),
        (format!("created[lte]={}", START + 2), vec![3, 2, 1]),
        (
            format!(
                "created[gte]={}&created[lt]={}&transfer_group=g0",
                START + 2,
                START + 7
            ),
            vec![7, 5, 3],
        ),
        (
            format!("created[gt]={0}&created[lt]={0}", START + 2),
            vec![],
        ),
        (
            format!("created[gte]={START}&limit=2&destination=acct_x"),
            vec![10, 7],
        ),
    ] {
        assert_eq!(
            amounts(&get(&sandbox, &format!("/v1/transfers?{filter}")).ok()),
            expected,
            "{filter}"
        );
    }
}

#[test]
fn a_cursor_works_inside_a_filter() {
    let sandbox = sandbox();
    let made = ten(&sandbox);
    // The cursor itself need not pass the filter.
    for (filter, expected) in [
        (
            format!("transfer_group=g0&limit=2&starting_after={}", made[6]),
            (vec![5, 3], true),
        ),
        (
            format!("transfer_group=g0&limit=2&starting_after={}", made[5]),
            (vec![5, 3], true),
        ),
        (
            format!("transfer_group=g0&limit=2&ending_before={}", made[4]),
            (vec![9, 7], false),
        ),
        (
            format!("created[lte]={}&starting_after={}", START + 4, made[8]),
            (vec![5, 4, 3, 2, 1], false),
        ),
        (
            format!("created[gte]={}&starting_after={}", START + 4, made[6]),
            (vec![6, 5], false),
        ),
    ] {
        let list = get(&sandbox, &format!("/v1/transfers?{filter}")).ok();
        assert_eq!(
            (amounts(&list), list["has_more"] == true),
            expected,
            "{filter}"
        );
    }
}

/// The balance's own list is paged, filtered and cut to a period as that of transfers is.
#[test]
fn balance_transactions_are_paged_within_a_type_and_a_period() {
    let sandbox = sandbox();
    for id in ten(&sandbox) {
        // A second after the last of them, and all at once.
        post(&sandbox, &format!("/v1/transfers/{id}/reversals"), "").ok();
    }
    let list = |query: &str| get(&sandbox, &format!("/v1/balance_transactions?{query}")).ok();
    let period = format!("created[gte]={}&created[lt]={}", START + 2, START + 9);
    let first = list(&format!("type=transfer&limit=4&{period}"));
    assert_eq!(
        (amounts(&first), &first["has_more"]),
        (vec![-9, -8, -7, -6], &true.into())
    );
    let cursor = *ids(&first).last().unwrap();
    let last = list(&format!(
        "type=transfer&limit=4&{period}&starting_after={cursor}"
    ));
    assert_eq!(
        (amounts(&last), &last["has_more"]),
        (vec![-5, -4, -3], &false.into())
    );
    let newer = list(&format!(
        "type=transfer&limit=2&{period}&ending_before={cursor}"
    ));
    assert_eq!(
        (amounts(&newer), &newer["has_more"]),
        (vec![-8, -7], &true.into())
    );
    let refunds = list("type=transfer_refund&limit=3");
    assert_eq!(amounts(&refunds), [10, 9, 8]);
    assert_eq!(refunds["data"][0]["created"], START + 10);
    assert_eq!(
        amounts(&list(&format!("type=transfer_refund&{period}"))),
        [0; 0]
    );
    // A cursor of one type cuts the list of another at its time.
    let cursor = *ids(&refunds).last().unwrap();
    let before = list(&format!("type=transfer&limit=1&starting_after={cursor}"));
    assert_eq!(amounts(&before), [-10]);
}

#[test]
fn many_in_one_second_keep_their_order() {
    let sandbox = sandbox();
    for n in 1..=5 {
        post(
            &sandbox,
            "/v1/transfers",
            &format!("amount={n}&currency=usd&destination=acct_1"),
        )
        .ok();
    }
    let page = get(&sandbox, &format!("/v1/transfers?limit=3&created={START}")).ok();
    assert_eq!(
        (amounts(&page), &page["has_more"]),
        (vec![5, 4, 3], &true.into())
    );
    let cursor = *ids(&page).last().unwrap();
    assert_eq!(
        amounts(
            &get(
                &sandbox,
                &format!("/v1/transfers?limit=3&created={START}&starting_after={cursor}")
            )
            .ok()
        ),
        [2, 1]
    );
}

#[test]
fn wrong_list_parameters_are_refused() {
    let sandbox = sandbox();
    let made = ten(&sandbox);
    for (query, code) in [
        ("limit=0".to_owned(), "parameter_invalid_integer"),
        ("limit=101".to_owned(), "parameter_invalid_integer"),
        ("limit=ten".to_owned(), "parameter_invalid_integer"),
        ("created=yesterday".to_owned(), "parameter_invalid_integer"),
        ("created[after]=1".to_owned(), "parameter_unknown"),
        ("metadata[payout_id]=1".to_owned(), "parameter_unknown"),
        ("amount=1".to_owned(), "parameter_unknown"),
        ("starting_after=tr_1".to_owned(), "resource_missing"),
        (
            format!("starting_after={}&ending_before={}", made[0], made[1]),
            "parameters_exclusive",
        ),
    ] {
        assert_eq!(
            get(&sandbox, &format!("/v1/transfers?{query}")).refused(400)["code"],
            code,
            "{query}"
        );
    }
    get(&sandbox, "/v1/transfers?limit=100").ok();
}

#[test]
fn ids_of_another_sandbox_are_unknown() {
    let mine = sandbox();
    let other = start(payouts::sandbox::Options {
        seed: Some(2),
        ..crate::sandbox_client::options()
    });
    let id = transfer(&other, "").ok()["id"].as_str().unwrap().to_owned();
    transfer(&mine, "").ok();
    get(&mine, &format!("/v1/transfers/{id}")).refused(404);
}
