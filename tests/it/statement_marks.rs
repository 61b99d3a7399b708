//! A platform that does not let its statements be marked: the payment is recorded all the same, and
//! somebody is told.

use crate::common::db::TestDb;
use crate::common::shop::Shop;

const REFUSING_TRIGGER: &str = "
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'statements are closed'; END $$;
    CREATE TRIGGER closed BEFORE UPDATE ON royalty_statements
        FOR EACH ROW EXECUTE FUNCTION refuse();";

/// A shop with a payout of a whole statement, made by the tool.
fn shop(db: TestDb) -> Shop {
    let shop = Shop::open(db);
    shop.creator("ann");
    shop.statement("s1", "ann", 5000);
    shop
}

fn create(shop: &Shop) {
    let args = [
        "create",
        "--creator",
        "cr_ann",
        "--statement",
        "s1",
        "--amount",
        "50.00",
    ];
    shop.env.run(&args).expect_code(0);
}

fn paid_but_not_marked(shop: &Shop) {
    let run = shop.process(&[]).expect_code(1);
    assert!(
        run.stderr
            .contains("is paid, but its statement s1 could not be marked"),
        "{run}"
    );
    assert_eq!(shop.one("SELECT status FROM payouts"), "COMPLETED");
    assert_eq!(
        shop.one("SELECT status FROM royalty_statements"),
        "REVIEWED"
    );
    assert_eq!(
        shop.one("SELECT COUNT(*) FROM payout_statement_claims"),
        "0"
    );
    shop.assert_paid_exactly_once();
    // What is paid is not paid again, marked or not.
    let again = [
        "create",
        "--creator",
        "cr_ann",
        "--statement",
        "s1",
        "--amount",
        "50.00",
    ];
    assert_ne!(shop.env.run(&again).code, 0);
    shop.process(&[]).expect_code(0);
    shop.assert_paid_exactly_once();
}

#[test]
fn a_trigger_that_refuses_the_mark_leaves_the_payment_recorded() {
    let shop = shop(TestDb::postgres());
    create(&shop);
    shop.db.execute(REFUSING_TRIGGER);
    paid_but_not_marked(&shop);
}

#[test]
fn a_role_that_may_only_read_statements_creates_and_pays() {
    let db = TestDb::postgres();
    let schema = db
        .query_strings("SELECT current_schema()::text")
        .swap_remove(0)
        .swap_remove(0)
        .expect("a test database is a schema");
    let mut shop = shop(db);
    // Named like the schema, so that tests that run at once have their own.
    let role = format!("{schema}_reader");
    shop.db.execute(&format!(
        "CREATE ROLE {role} LOGIN;
        GRANT USAGE ON SCHEMA {schema} TO {role};
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role};
        REVOKE INSERT, UPDATE, DELETE ON royalty_statements, royalty_runs, creators, users FROM {role}"
    ));
    let url = format!("{}&user={role}", shop.db.url());
    shop.env.set("DATABASE_URL", &url);
    create(&shop);
    paid_but_not_marked(&shop);
    shop.db
        .execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}
