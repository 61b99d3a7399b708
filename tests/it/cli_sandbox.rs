//! `payouts sandbox` as the person at the other terminal sees it. What it does as a Stripe is in
//! the files `sandbox_…`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Stdio};

use crate::common::db::TestDb;
use crate::common::env::{Run, TestEnv};
use crate::common::seed::{PayoutRow, creator, item};
use crate::process::signal;

/// A machine with one payout that is due, on the machine's own time: the simulator runs with it.
fn machine(db: &TestDb) -> TestEnv {
    let mut env = TestEnv::new();
    env.use_database(db);
    env.unset("PAYOUTS_TEST_NOW");
    env.run(&["init", "--quiet"]).expect_code(0);
    creator(db, "ann", "Ann Example");
    PayoutRow::new("cp1", "ann").insert(db);
    item(db, "cp1", None, None);
    env
}

/// A simulator in another process, which is gone when the test is.
struct Server {
    child: Child,
    /// What it printed: the lines that point `payouts` at it.
    lines: String,
}

impl Server {
    fn start(env: &TestEnv, more: &[&str]) -> Self {
        let mut args = vec!["sandbox", "--listen", "127.0.0.1:0"];
        args.extend(more);
        let mut command = env.command(&args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let lines = stdout.lines().take(2).map(|line| line.unwrap() + "\n");
        let lines = lines.collect();
        Self { child, lines }
    }

    /// Runs `payouts` in a shell that has sourced the lines.
    fn sourced(&self, env: &TestEnv, args: &[&str]) -> Run {
        let source = r#"eval "$1" && shift && exec "$@""#;
        env.run_under(&["sh", "-c", source, "sh", &self.lines], args)
    }

    /// Ends it as Ctrl-C does; how it ended, and what it said.
    fn interrupt(mut self) -> (Option<i32>, String) {
        signal(&self.child, "INT");
        let mut said = String::new();
        std::io::Read::read_to_string(&mut self.child.stderr.take().unwrap(), &mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn what_it_prints_points_payouts_at_it() {
    let db = TestDb::sqlite();
    let env = machine(&db);
    let server = Server::start(&env, &[]);
    insta::assert_snapshot!(server.sourced(&env, &["process"]).transcript(), @r"
    $ payouts process
    Result  Payouts      Amount
    paid          1  500.00 USD
    --- stderr
    --- exit 0
    ");
    insta::assert_snapshot!(server.sourced(&env, &["process", "--dry-run"]).transcript(), @r"
    $ payouts process --dry-run
    Mode          test
    Account       acct_sandboxplatform
    To send       0 payouts
    Total         0.00 USD
    Balance       9,999,500.00 USD before, 9,999,500.00 USD after
    --- stderr
    --- exit 0
    ");
    let (code, said) = server.interrupt();
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.starts_with("a Stripe simulator at http://127.0.0.1:"),
        "{said}"
    );
    assert!(said.ends_with("/_sandbox; Ctrl-C stops it\n"), "{said}");
}

#[test]
fn an_interrupt_keeps_the_books() {
    let db = TestDb::sqlite();
    let env = machine(&db);
    let server = Server::start(&env, &["--state", "books.json", "--balance", "60000"]);
    server.sourced(&env, &["process"]).expect_code(0);
    assert_eq!(server.interrupt().0, Some(0));
    let books = fs::read_to_string(env.path("books.json")).unwrap();
    assert!(books.contains("payout_cp1_1"), "{books}");
    // The next one goes on with them, whatever balance it is told to open with.
    let server = Server::start(&env, &["--state", "books.json"]);
    let plan = server
        .sourced(&env, &["process", "--dry-run"])
        .expect_code(0);
    assert!(plan.stdout.contains("100.00 USD before"), "{plan}");
    assert_eq!(server.interrupt().0, Some(0));
}

#[test]
fn a_second_one_cannot_listen_where_the_first_does() {
    let env = TestEnv::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut run = env.run(&["sandbox", "--listen", &address]);
    // The port stands in the command line, where the redaction expects none.
    run.stderr = run.stderr.replace(&address, "127.0.0.1:12111");
    assert_eq!(run.code, 3, "{run}");
    insta::assert_snapshot!(run.stderr, @r"
    error: failed to start the sandbox
      1: cannot listen on 127.0.0.1:12111: Address already in use (os error 98)
    hint: --listen 127.0.0.1:0 takes a port that is free
    ");
}

#[test]
fn what_it_cannot_do_it_says_before_it_prints_anything() {
    let env = TestEnv::new();
    let run = |args: &[&str]| {
        let mut all = vec!["sandbox", "--listen", "127.0.0.1:0"];
        all.extend(args);
        env.run(&all).transcript()
    };
    env.write(
        "broken.json",
        "{\n  \"rules\": [\n    {\"on\": \"transfers.create\",}\n  ]\n}\n",
    );
    insta::assert_snapshot!(run(&["--faults", "broken.json"]), @r"
    $ payouts sandbox --listen 127.0.0.1:0 --faults broken.json
    --- stderr
    error: failed to read the faults in broken.json
      1: fault plan: trailing comma at line 3 column 31
    hint: the format is shown at `GET /_sandbox` of a running simulator
    --- exit 3
    ");
    env.write(
        "typo.json",
        "{\n  \"rules\": [\n    {\"on\": \"transfers.create\", \"fault\": \"explode\"}\n  ]\n}\n",
    );
    insta::assert_snapshot!(run(&["--faults", "typo.json"]), @r"
    $ payouts sandbox --listen 127.0.0.1:0 --faults typo.json
    --- stderr
    error: failed to read the faults in typo.json
      1: fault plan: unknown variant `explode`, expected one of `none`, `refuse`, `reset_before`, `reset_after`, `hang_before`, `hang_after`, `execute_late`, `cut_body`, `html_503`, `html_503_after`, `error_500_before`, `error_500_after`, `error_500_not_stored`, `conflict_409`, `rate_429`, `lock_429`, `error_424`, `redirect_307`, `late_listing`, `wrong_amount` at line 3 column 49
    hint: the format is shown at `GET /_sandbox` of a running simulator
    --- exit 3
    ");
    env.write("rule.json", "{\"rules\": [{\"on\": \"transfers.create\", \"fault\": \"error_500_after\"}, {\"on\": \"transfer.create\", \"fault\": \"error_500_after\"}]}");
    insta::assert_snapshot!(run(&["--faults", "rule.json"]), @r#"
    $ payouts sandbox --listen 127.0.0.1:0 --faults rule.json
    --- stderr
    error: failed to read the faults in rule.json
      1: fault plan: rule 2: "on": "transfer.create" is no endpoint; there are transfers.create, transfers.list, transfers.retrieve, transfers.update, reversals.create, reversals.list, reversals.retrieve, reversals.update, balance.retrieve, balance_transactions.list, balance_transactions.retrieve, account.retrieve, accounts.list, accounts.retrieve, events.list, events.retrieve
    hint: the format is shown at `GET /_sandbox` of a running simulator
    --- exit 3
    "#);
    insta::assert_snapshot!(run(&["--faults", "missing.json"]), @r"
    $ payouts sandbox --listen 127.0.0.1:0 --faults missing.json
    --- stderr
    error: failed to read the faults in missing.json
      1: No such file or directory (os error 2)
    --- exit 3
    ");
    insta::assert_snapshot!(run(&["--state", "no/such/folder/books.json"]), @r"
    $ payouts sandbox --listen 127.0.0.1:0 --state no/such/folder/books.json
    --- stderr
    error: failed to start the sandbox
      1: state file no/such/folder/books.json: No such file or directory (os error 2)
    --- exit 3
    ");
    insta::assert_snapshot!(run(&["--webhook", "http://example.com/events"]), @r#"
    $ payouts sandbox --listen 127.0.0.1:0 --webhook http://example.com/events
    --- stderr
    error: --webhook: webhook "http://example.com/events": only http:// to 127.0.0.1, [::1] or localhost is allowed
    --- exit 2
    "#);
    insta::assert_snapshot!(run(&["--currency", "xyz"]), @r#"
    $ payouts sandbox --listen 127.0.0.1:0 --currency xyz
    --- stderr
    error: failed to start the sandbox
      1: "xyz" is not a currency that Stripe transfers
    --- exit 3
    "#);
    insta::assert_snapshot!(run(&["--output", "json"]), @r"
    $ payouts sandbox --listen 127.0.0.1:0 --output json
    --- stderr
    error: `payouts sandbox` writes lines for a shell, and nothing else: leave out --output
    --- exit 2
    ");
    insta::assert_snapshot!(env.run(&["sandbox", "--listen", "0.0.0.0:12111"]).transcript(), @r"
    $ payouts sandbox --listen 0.0.0.0:12111
    --- stderr
    error: failed to start the sandbox
      1: the sandbox listens on loopback only, not on 0.0.0.0:12111
    hint: --allow-remote lets other machines in; nothing is protected there
    --- exit 3
    ");
    insta::assert_snapshot!(env.run(&["sandbox", "--listen", "here"]).transcript(), @r"
    $ payouts sandbox --listen here
    --- stderr
    error: invalid value 'here' for '--listen <ADDRESS>': invalid socket address syntax

    For more information, try '--help'.
    --- exit 2
    ");
}
