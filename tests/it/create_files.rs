//! Files of payouts as spreadsheets and people write them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::common::db::{TestDb, on_both};
use crate::common::env::TestEnv;
use crate::common::seed::{creator, migrated, statement};

/// A machine whose database has two creators.
fn two_creators(db: &TestDb) -> TestEnv {
    drop(migrated(db));
    creator(db, "ann", "Ann Bell");
    creator(db, "ben", "Ben Cole");
    let mut env = TestEnv::new();
    env.use_database(db);
    env
}

/// Creator, amount, reference and line of all payouts.
fn stored(db: &TestDb) -> Vec<String> {
    let rows = db.query_strings(
        "SELECT p.creator_id, p.amount_cents, i.reference, i.line FROM payouts p
         JOIN payout_batch_items i ON i.payout_id = p.id ORDER BY p.created_at, i.line, i.reference",
    );
    let text = |cell: &Option<String>| cell.clone().unwrap_or_default();
    rows.iter()
        .map(|row| row.iter().map(text).collect::<Vec<_>>().join(" "))
        .collect()
}

fn empty(db: &TestDb) {
    for table in ["payout_batch_items", "payouts", "payout_batches"] {
        db.execute(&format!("DELETE FROM {table}"));
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    "\u{feff}"
        .encode_utf16()
        .chain(text.encode_utf16())
        .flat_map(unit)
        .collect()
}

on_both! {
    fn scenario_40_a_spreadsheet_s_file_is_read_exactly(db: TestDb) {
        let env = two_creators(&db);
        let expected = ["ann 125050 RÉ-1 2", "ben 700 R;2 3", "ann 123456 R-3 4"];
        let german = "\u{feff}Empfänger;Betrag;Beleg;Notiz;;\r\n\
            ann;1.250,50;RÉ-1;\"zwei\r\nZeilen\";;\r\n";
        let rest = "BEN@example.com;\"7\";\"R;2\";;;\r\n\"ann\";1234,56;R-3;=1+1;;\r\n;;;;;\r\n\r\n\r\n";
        let map = ["--map", "creator=empfänger", "--map", "amount=Betrag", "--map", "reference=BELEG", "--ignore", "notiz", "--decimal", ","];
        // A note of two lines is nobody's business, and moves the lines behind it.
        env.write("german.csv", format!("{german}{rest}"));
        let run = env.run(&[&["create", "-f", "german.csv"], &map[..]].concat()).expect_code(0);
        assert_eq!(run.stderr, "not read: Notiz\n");
        assert_eq!(stored(&db), ["ann 125050 RÉ-1 2", "ben 700 R;2 4", "ann 123456 R-3 5"]);

        let plain = "creator,amount,reference\nann,1250.50,RÉ-1\nben,7,R;2\nann,1234.56,R-3\n";
        let tabs = plain.replace(',', "\t");
        let windows: Vec<u8> = plain.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let files: [(&str, Vec<u8>, &[&str]); 9] = [
            ("plain", plain.into(), &[]),
            ("byte-order mark", format!("\u{feff}{plain}").into(), &[]),
            ("CRLF", plain.replace('\n', "\r\n").into(), &[]),
            ("CR", plain.replace('\n', "\r").into(), &[]),
            ("tabs", tabs.into(), &[]),
            ("said by a spreadsheet", format!("sep=,\n{plain}").replace("ann,1250.50", "\nann,1250.50").replace("\n\n", "\n").into(), &[]),
            ("UTF-16, little end first", utf16(plain, u16::to_le_bytes), &[]),
            ("UTF-16, big end first", utf16(plain, u16::to_be_bytes), &[]),
            ("Windows-1252", windows, &["--encoding", "windows-1252"]),
        ];
        for (name, bytes, flags) in files {
            empty(&db);
            let run = env.run_with_input(&[&["create", "-f", "-"], flags].concat(), bytes).expect_code(0);
            assert_eq!(run.stderr, "", "{name}");
            let lines_later = usize::from(name == "said by a spreadsheet");
            let moved: Vec<String> = expected.iter().map(|row| {
                let (text, line) = row.rsplit_once(' ').unwrap();
                format!("{text} {}", line.parse::<usize>().unwrap() + lines_later)
            }).collect();
            assert_eq!(stored(&db), moved, "{name}");
        }
    }

    fn scenario_40_what_cannot_be_read_exactly_is_refused_with_its_place(db: TestDb) {
        let env = two_creators(&db);
        env.write("old.csv", b"creator,amount,reference\r\nann,5,R-1\r\nann,5,R\xc9-2\r\n");
        env.write("comma.csv", "creator;amount;reference\nann;12,50;R-1\n");
        env.write("points.csv", "creator;amount;reference\nann;1.25;R-1\nann;12.34,5;R-2\nann;1.250;R-3\n");
        env.write("wide.csv", "Creator,Amount,Ref,Memo\nann,5,R-1,x\n");
        insta::allow_duplicates! {
            insta::assert_snapshot!(env.run(&["create", "-f", "old.csv"]).transcript(), @r"
            $ payouts create -f old.csv
            --- stderr
            Line  Column  Value  Reason
               3                 byte 8 of the line (0xC9) is not UTF-8
            by reason: 1 encoding
            error: old.csv cannot be read; nothing was created
            hint: save it as CSV UTF-8
            hint: say --encoding windows-1252 if an old Windows program wrote it
            --- exit 1
            ");
            insta::assert_snapshot!(env.run(&["create", "-f", "comma.csv"]).transcript(), @r"
            $ payouts create -f comma.csv
            --- stderr
            Line  Column  Value  Reason
               2  amount  12,50  a comma can be a decimal or a thousands separator; write 1250.00
            by reason: 1 amount
            error: 1 row of comma.csv cannot be created; nothing was created
            hint: say --decimal , if amounts are written with a decimal comma, such as 1.250,00
            --- exit 1
            ");
            insta::assert_snapshot!(env.run(&["create", "-f", "points.csv", "--decimal", ","]).transcript(), @r"
            $ payouts create -f points.csv --decimal ,
            --- stderr
            Line  Column  Value    Reason
               2  amount  1.25     a point must stand before each three digits, and a comma before the decimals, such as 1.250,00
               3  amount  12.34,5  a point must stand before each three digits, and a comma before the decimals, such as 1.250,00
            by reason: 2 amount
            error: 2 rows of points.csv cannot be created; nothing was created
            --- exit 1
            ");
            insta::assert_snapshot!(env.run(&["create", "-f", "wide.csv", "--map", "reference=Reference", "--ignore", "Memos"]).transcript(), @r"
            $ payouts create -f wide.csv --map reference=Reference --ignore Memos
            --- stderr
            Line  Column     Value      Reason
               1  Ref        Ref        unknown column; known are creator, amount, amount_cents, statement, reference, currency
               1  Memo       Memo       unknown column; known are creator, amount, amount_cents, statement, reference, currency
               1  Reference  Reference  the file has no column of this name, which is to be reference
               1  Memos      Memos      the file has no column of this name
            by reason: 4 header
            error: wide.csv cannot be read; nothing was created
            hint: --map COLUMN=NAME says which column is which, --ignore NAME that one is not needed
            --- exit 1
            ");
            insta::assert_snapshot!(env.run(&["create", "-f", "wide.csv", "--map", "price=Amount"]).transcript(), @r#"
            $ payouts create -f wide.csv --map price=Amount
            --- stderr
            error: invalid value 'price=Amount' for '--map <COLUMN=NAME>': there is no column "price"; known are creator, amount, amount_cents, statement, reference, currency

            For more information, try '--help'.
            --- exit 2
            "#);
        }
        assert_eq!(stored(&db), Vec::<String>::new());
        env.run(&["create", "-f", "wide.csv", "--map", "reference=ref", "--ignore", "*"]).expect_code(0);
        assert_eq!(stored(&db), ["ann 500 R-1 2"]);
    }

    fn scenario_40_bad_rows_go_to_a_file_that_can_be_put_right_and_loaded(db: TestDb) {
        let env = two_creators(&db);
        env.write("batch.csv", "creator;amount;reference;memo\r\n\
            ann;5,00;R-1;a\r\n\
            nobody;0,50;R-2;\"say \"\"hi\"\"\"\r\n\
            ben;6,00;-R-3;=1+1\r\n\
            zoe;7,00;-R-4;x\r\n\
            ann;8,00\r\n\
            ann;1;9;00;R-6\r\n");
        let flags = ["--decimal", ",", "--ignore", "memo", "--errors", "bad.csv"];
        let create = |more: &[&str]| env.run(&[&["create", "-f", "batch.csv"], &flags[..], more].concat());
        insta::allow_duplicates! {
            insta::assert_snapshot!(create(&[]).transcript(), @r"
            $ payouts create -f batch.csv --decimal , --ignore memo --errors bad.csv
            --- stderr
            not read: memo
            Line  Column   Value           Reason
               3  creator  nobody          no creator has this id, e-mail address or Stripe account
               5  creator  zoe             no creator has this id, e-mail address or Stripe account
               6           ann;8,00        2 cells, but the header has 4
               7           ann;1;9;00;R-6  5 cells, but the header has 4
            by reason: 2 cells, 2 unknown creator
            error: 4 rows of batch.csv cannot be created; nothing was created
            hint: `payouts creators list TEXT` finds creators by name or e-mail address
            hint: the bad rows are in bad.csv; --skip-bad creates the others, and that file the rest once it is put right
            --- exit 1
            ");
        }
        assert_eq!(stored(&db), Vec::<String>::new());
        let bad = std::fs::read_to_string(env.path("bad.csv")).unwrap();
        insta::allow_duplicates! {
            insta::assert_snapshot!(bad, @r#"
            "creator";"amount";"reference";"memo";"error"
            "nobody";"0,50";"R-2";"say ""hi""";"creator: no creator has this id, e-mail address or Stripe account"
            "zoe";"7,00";"'-R-4";"x";"creator: no creator has this id, e-mail address or Stripe account"
            "ann";"8,00";"2 cells, but the header has 4"
            "ann";"1";"9";"00";"R-6";"5 cells, but the header has 4"
            "#);
        }
        let mode = std::fs::metadata(env.path("bad.csv")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // Nothing is ever written over.
        insta::allow_duplicates! {
            insta::assert_snapshot!(create(&["--skip-bad"]).transcript(), @r"
            $ payouts create -f batch.csv --decimal , --ignore memo --errors bad.csv --skip-bad
            --- stderr
            error: bad.csv is there already; name another file for bad rows, or remove it
            --- exit 3
            ");
        }
        assert_eq!(std::fs::read_to_string(env.path("bad.csv")).unwrap(), bad);
        std::fs::remove_file(env.path("bad.csv")).unwrap();
        insta::allow_duplicates! {
            insta::assert_snapshot!(create(&["--skip-bad", "--dry-run"]).transcript(), @r"
            $ payouts create -f batch.csv --decimal , --ignore memo --errors bad.csv --skip-bad --dry-run
            Would create    2 payouts, 11.00 USD
            Already loaded  0 payouts
            Skipped         4 bad rows
            Next            the same command without --dry-run
            --- stderr
            not read: memo
            Line  Column   Value           Reason
               3  creator  nobody          no creator has this id, e-mail address or Stripe account
               5  creator  zoe             no creator has this id, e-mail address or Stripe account
               6           ann;8,00        2 cells, but the header has 4
               7           ann;1;9;00;R-6  5 cells, but the header has 4
            by reason: 2 cells, 2 unknown creator
            warning: 4 bad rows would be skipped
            hint: `payouts creators list TEXT` finds creators by name or e-mail address
            hint: the bad rows are in bad.csv; put them right and load that file
            --- exit 1
            ");
        }
        assert_eq!(stored(&db), Vec::<String>::new());
        std::fs::remove_file(env.path("bad.csv")).unwrap();
        insta::allow_duplicates! {
            insta::assert_snapshot!(create(&["--skip-bad"]).transcript(), @r"
            $ payouts create -f batch.csv --decimal , --ignore memo --errors bad.csv --skip-bad
            Batch           c000000000000000000000001
            Created         2 payouts, 11.00 USD
            Already loaded  0 payouts
            Skipped         4 bad rows
            State           held: nothing of it is paid before it is released
            Next            payouts release c000000000000000000000001
            --- stderr
            not read: memo
            Line  Column   Value           Reason
               3  creator  nobody          no creator has this id, e-mail address or Stripe account
               5  creator  zoe             no creator has this id, e-mail address or Stripe account
               6           ann;8,00        2 cells, but the header has 4
               7           ann;1;9;00;R-6  5 cells, but the header has 4
            by reason: 2 cells, 2 unknown creator
            warning: 4 bad rows were skipped
            hint: `payouts creators list TEXT` finds creators by name or e-mail address
            hint: the bad rows are in bad.csv; put them right and load that file
            --- exit 1
            ");
        }
        assert_eq!(stored(&db), ["ann 500 R-1 2", "ben 600 -R-3 4"]);
        assert_eq!(std::fs::read_to_string(env.path("bad.csv")).unwrap(), bad);
        let summary = db.query_strings("SELECT summary FROM payout_runs WHERE exit_code = 1 AND summary LIKE 'created%'");
        assert_eq!(summary[0][0].as_deref(), Some("created 2 payouts, 11.00 USD; 0 already loaded; 4 bad rows skipped"));

        // Nothing of it was put right: all of it is refused again, and no row for another reason than before.
        let again = env.run(&["create", "-f", "bad.csv", "--decimal", ",", "--ignore", "memo", "--errors", "worse.csv"]).expect_code(1);
        assert!(again.stderr.contains("4 rows of bad.csv cannot be created"), "{again}");
        // A file of bad rows of a file of bad rows has one column of errors.
        let worse = std::fs::read_to_string(env.path("worse.csv")).unwrap();
        assert_eq!(worse.lines().next(), bad.lines().next());
        // Put right it is loaded, and the references are the very same.
        let fixed = bad
            .replace("\"nobody\";\"0,50\"", "\"ann\";\"1,50\"")
            .replace("\"zoe\"", "\"ben\"")
            .replace("\"ann\";\"8,00\";", "\"ann\";\"8,00\";\"R-5\";\"\";")
            .replace("\"1\";\"9\";\"00\";\"R-6\"", "\"1900\";\"R-6\";\"\"");
        env.write("fixed.csv", fixed);
        env.run(&["create", "-f", "fixed.csv", "--decimal", ",", "--ignore", "memo"]).expect_code(0);
        let mut references: Vec<String> = stored(&db).iter().map(|row| row.split(' ').nth(2).unwrap().to_owned()).collect();
        references.sort();
        assert_eq!(references, ["-R-3", "-R-4", "R-1", "R-2", "R-5", "R-6"]);
        // The file of which rows were skipped is not taken for a loaded one.
        std::fs::remove_file(env.path("worse.csv")).unwrap();
        let told = env.run(&["create", "-f", "batch.csv", "--decimal", ",", "--ignore", "memo", "--skip-bad", "-o", "json"]).expect_code(1);
        let told = parsed(&told.stdout);
        assert_eq!((&told["created"], &told["already_loaded"], &told["bad_rows"]), (&json!(0), &json!(2), &json!(4)));
    }

    fn scenario_40_a_long_file_is_created_whole_and_all_its_faults_are_found(db: TestDb) {
        const ROWS: usize = 12_000;
        let env = two_creators(&db);
        let file = |bad: &dyn Fn(usize) -> bool| {
            let row = |n: usize| format!("{},{}.50,R-{n:090}\n", if bad(n) { "nobody" } else { "ann" }, 1 + n % 90);
            (0..ROWS).map(row).fold("creator,amount,reference\n".to_owned(), |text, row| text + &row)
        };
        env.write("bad.csv", file(&|n| n % 4 == 3) + &format!("ann,5,R-{:090}\n", 11));
        let run = env.run(&["create", "-f", "bad.csv", "--errors", "errors.csv"]).expect_code(1);
        assert!(run.stderr.contains("… and 2,981 more\nby reason: 3,000 unknown creator, 1 duplicate\n"), "{run}");
        assert!(run.stderr.contains("error: 3,001 rows of bad.csv cannot be created; nothing was created"), "{run}");
        assert_eq!(std::fs::read_to_string(env.path("errors.csv")).unwrap().lines().count(), 3_002);
        assert_eq!(stored(&db).len(), 0);

        env.write("good.csv", file(&|_| false));
        let told = parsed(&env.run(&["create", "-f", "good.csv", "-o", "json"]).expect_code(0).stdout);
        assert_eq!(told["created"], ROWS);
        assert_eq!(told["payouts"].as_array().unwrap().len(), 1_000);
        let whole = "SELECT COUNT(*), SUM(p.amount_cents), MIN(b.payout_count), MIN(b.total_cents)
            FROM payouts p JOIN payout_batch_items i ON i.payout_id = p.id JOIN payout_batches b ON b.id = i.batch_id
            JOIN payout_history h ON h.payout_id = p.id AND h.seq = 1 JOIN payout_history_heads e ON e.payout_id = p.id AND e.hash = h.hash";
        let totals = db.query_strings(whole);
        let sum: usize = (0..ROWS).map(|n| 150 + 100 * (n % 90)).sum();
        let text = |n: usize| Some(n.to_string());
        assert_eq!(totals, [[text(ROWS), text(sum), text(ROWS), text(sum)]]);
        // One more row in a copy of it, from a pipe.
        let more = file(&|_| false) + "ben,5,R-more\n";
        let told = parsed(&env.run_with_input(&["create", "-f", "-", "-o", "json"], more).expect_code(0).stdout);
        assert_eq!((&told["created"], &told["already_loaded"]), (&json!(1), &json!(ROWS)));
    }

    fn scenario_41_rows_that_were_loaded_are_counted_and_not_paid_again(db: TestDb) {
        let env = two_creators(&db);
        let all = "creator,amount,reference\nann,5,R-1\nben,6,R-2\nann,7,R-3\nben,8,R-4\n";
        env.write("all.csv", all);
        env.write("copy.csv", all);
        env.write("half.csv", "reference;amount_cents;creator\nR-3;700;ann@example.com\nR-4;800;ben\nR-5;900;ben\n");
        let counts = |file: &str| {
            let told = parsed(&env.run(&["create", "-f", file, "-o", "json"]).expect_code(0).stdout);
            (told["created"].clone(), told["already_loaded"].clone(), told["loaded_before"].clone())
        };
        assert_eq!(counts("all.csv"), (json!(4), json!(0), json!(false)));
        assert_eq!(counts("all.csv"), (json!(0), json!(4), json!(true)));
        assert_eq!(counts("copy.csv"), (json!(0), json!(4), json!(true)));
        assert_eq!(counts("half.csv"), (json!(1), json!(2), json!(false)));
        assert_eq!(stored(&db).len(), 5);
    }

    // A comma in an amount is also what stands between cells.
    fn scenario_42_an_amount_that_its_own_comma_cuts_in_two_is_refused(db: TestDb) {
        let env = two_creators(&db);
        for rows in [
            "creator,amount,reference\nann,12,500.00,\n",
            "creator,amount,reference\nann,1250,50,\n",
            "creator,amount,reference\nann,12,500.00\n",
            "creator,amount,reference\nann,1,250.00,INV-7\n",
            "creator,amount,reference,error\nann,1,250.00,INV-7,\n",
        ] {
            env.write("cut.csv", rows);
            let told = parsed(&env.run(&["create", "-f", "cut.csv", "-o", "json"]).expect_code(1).stdout);
            assert_eq!(told["created"], 0, "{rows}: {told:#}");
        }
        // A row is as wide as the header, whose last columns may have no name.
        env.write("wide.csv", "creator,amount,reference,,\nann,12.00,W-1,,\nann,\"12,500.00\",W-2,,\nann,13.00,W-3,\n");
        let told = parsed(&env.run(&["create", "-f", "wide.csv", "-o", "json"]).stdout);
        assert!(told["errors"].as_array().is_none_or(|errors| errors.iter().all(|error| error["line"] == 3)), "{told:#}");
        // Whoever ignores what a file says of its currency would pay yen as dollars.
        env.write("yen.csv", "creator,amount,reference,currency,memo\nann,500,Y-1,JPY,a\nann,500,Y-2,usd,b\n");
        let told = env.run(&["create", "-f", "yen.csv", "--ignore", "*"]).expect_code(1);
        assert!(told.stderr.contains("this database pays in USD"), "{told}");
    }

    fn scenario_42_what_is_no_amount_is_refused_with_the_reason(db: TestDb) {
        let env = two_creators(&db);
        let odd = ["1.234", "-5", "−5", "+5", "$5", "5 USD", "1e3", "５", "٥", "5.", ".5", "1 000", "1'000", "0x10", "1.2.3", "NaN", "0", "21474836.48"];
        let rows = odd.iter().enumerate().map(|(n, text)| format!("ann\t{text}\tR-{n}\n")).collect::<Vec<_>>().concat();
        env.write("odd.tsv", format!("creator\tamount\treference\n{rows}"));
        for decimal in [".", ","] {
            let told = parsed(&env.run(&["create", "-f", "odd.tsv", "--decimal", decimal, "-o", "json"]).expect_code(1).stdout);
            // With a decimal comma a point is one of thousands.
            let groups = usize::from(decimal == ",");
            assert_eq!(told["bad_rows"], odd.len() - groups);
            let errors = told["errors"].as_array().unwrap();
            assert!(errors.iter().all(|error| error["kind"] == "amount" && error["column"] == "amount"), "{errors:?}");
        }
        let told = env.run(&["create", "-f", "odd.tsv"]).expect_code(1);
        let reasons: Vec<&str> = told.stderr.lines().filter(|line| line.contains(" amount ")).collect();
        insta::allow_duplicates! {
            insta::assert_snapshot!(reasons.join("\n"), @r"
             2  amount  1.234        USD has 2 decimals, not 3
             3  amount  -5           a sign has no place in an amount; payouts are always positive
             4  amount  −5           a sign has no place in an amount; payouts are always positive
             5  amount  +5           a sign has no place in an amount; payouts are always positive
             6  amount  $5           '$' has no place in an amount; write digits with a point for decimals, such as 1250.00
             7  amount  5 USD        ' ' has no place in an amount; write digits with a point for decimals, such as 1250.00
             8  amount  1e3          'e' has no place in an amount; write digits with a point for decimals, such as 1250.00
             9  amount  ５           '５' has no place in an amount; write digits with a point for decimals, such as 1250.00
            10  amount  ٥            '٥' has no place in an amount; write digits with a point for decimals, such as 1250.00
            11  amount  5.           a decimal point needs digits on both sides
            12  amount  .5           a decimal point needs digits on both sides
            13  amount  1 000        ' ' has no place in an amount; write digits with a point for decimals, such as 1250.00
            14  amount  1'000        '\'' has no place in an amount; write digits with a point for decimals, such as 1250.00
            15  amount  0x10         'x' has no place in an amount; write digits with a point for decimals, such as 1250.00
            16  amount  1.2.3        '.' has no place in an amount; write digits with a point for decimals, such as 1250.00
            17  amount  NaN          'N' has no place in an amount; write digits with a point for decimals, such as 1250.00
            18  amount  0            the amount is zero
            19  amount  21474836.48  the amount is larger than the payouts table can hold (2147483647 in minor units)
            ");
        }
        assert_eq!(stored(&db), Vec::<String>::new());
    }

    fn scenario_43_what_a_cell_holds_harms_nobody(db: TestDb) {
        let env = two_creators(&db);
        statement(&db, "s1", "ann");
        let long = "x".repeat(10_000);
        env.write("odd.csv", format!("creator,amount,reference,=cmd\n\
            \x1b[2Jann,5,R-1,\n\
            =HYPERLINK(1),5,@R-2,\n\
            {long},5,R-3,\n\
            ann,5,{long},\n\
            ann,5,R-\u{202e}5,\n\
            ann,5,R\u{fffd}6,\n\
            ann,5,'R-7,+1\n"));
        let run = env.run(&["create", "-f", "odd.csv", "--ignore", "=cmd", "--errors", "bad.csv"]).expect_code(1);
        assert!(!run.stderr.contains('\x1b') && !run.stderr.contains('\u{202e}'), "{run}");
        assert!(run.stderr.lines().all(|line| line.chars().count() < 200), "{run}");
        let bad = std::fs::read_to_string(env.path("bad.csv")).unwrap();
        for cell in bad.lines().flat_map(|line| line.split(',')) {
            assert!(!cell.starts_with(['=', '+', '-', '@']) && !cell.trim_start_matches('"').starts_with(['=', '+', '-', '@']), "{cell}");
        }
        // What a quote was put before is read as it was.
        let told = env.run(&["create", "-f", "bad.csv", "--ignore", "=cmd", "-o", "json"]).expect_code(1);
        let told = parsed(&told.stdout);
        let values: Vec<&str> = told["errors"].as_array().unwrap().iter().filter_map(|error| error["value"].as_str()).collect();
        assert!(values.contains(&"=HYPERLINK(1)"), "{values:?}");
    }
}
