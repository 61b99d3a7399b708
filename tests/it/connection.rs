//! Reaching a PostgreSQL server by the URL that the platform's own software uses.

use std::path::{Path, PathBuf};

use crate::common::db::TestDb;
use crate::common::env::TestEnv;
use crate::common::tls::TlsFront;

/// The parameters of a test database's URL, and the schema that stands for the database.
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) user: String,
    pub(crate) database: String,
    pub(crate) schema: String,
}

impl Address {
    pub(crate) fn of(db: &TestDb) -> Self {
        let row = db
            .query_strings(
                "SELECT current_setting('unix_socket_directories'), current_user::text,
                    current_database()::text, current_schema()::text",
            )
            .swap_remove(0);
        let [host, user, database, schema]: [String; 4] = row
            .into_iter()
            .map(Option::unwrap_or_default)
            .collect::<Vec<_>>()
            .try_into()
            .expect("four columns");
        Self {
            host,
            user,
            database,
            schema,
        }
    }

    /// As Prisma would be told of it.
    fn prisma(&self, more: &str) -> String {
        let Self {
            host,
            user,
            database,
            schema,
        } = self;
        format!("postgresql:///{database}?host={host}&user={user}&schema={schema}{more}")
    }

    fn socket(&self) -> PathBuf {
        Path::new(&self.host).join(".s.PGSQL.5432")
    }
}

#[test]
fn a_prisma_url_leads_to_the_schema_it_names() {
    let db = TestDb::postgres();
    let mut env = TestEnv::new();
    let url = Address::of(&db)
        .prisma("&connection_limit=5&pool_timeout=10&sslaccept=accept_invalid_certs");
    env.set("DATABASE_URL", &url);
    let run = env.run(&["init"]).expect_code(0);
    let said = "DATABASE_URL: connection_limit, pool_timeout, sslaccept mean nothing here";
    assert!(run.stderr.contains(said), "{run}");
    assert!(db.query_strings("SELECT id FROM payouts").is_empty());
    let quiet = env.run(&["list", "--quiet"]).expect_code(0);
    assert_eq!(quiet.stderr, "");
}

/// Behind a transaction pooler no session can be set up, so each transaction sees to itself: a read
/// outside one would look for the tables in another schema.
#[test]
fn prismas_word_for_a_pooler_is_understood() {
    let db = TestDb::postgres();
    let mut env = TestEnv::new();
    let url = Address::of(&db).prisma("&pgbouncer=true");
    env.set("DATABASE_URL", &url);
    let refused = env.run(&["init"]).expect_code(4);
    assert!(refused.stderr.contains("transaction pooler"), "{refused}");
    env.set("PAYOUTS_PG_POOLER", "none");
    env.run(&["init"]).expect_code(0);
    env.set("PAYOUTS_PG_POOLER", "");
    for command in [
        &["list"][..],
        &["creators", "list"],
        &["statements", "list"],
        &["batches", "list"],
        &["migrate", "--status"],
    ] {
        env.run(command).expect_code(0);
    }
    env.write(
        "creators.csv",
        "id,name,email,stripe_account\nann,Ann,ann@example.com,acct_ann\n",
    );
    env.run(&["creators", "import", "creators.csv"])
        .expect_code(0);
    env.run(&["creators", "show", "ann"]).expect_code(0);
    env.run(&[
        "create",
        "--creator",
        "ann",
        "--amount",
        "5.00",
        "--reference",
        "r1",
    ])
    .expect_code(0);
    env.run(&["show", "r1"]).expect_code(0);
}

#[test]
fn a_server_must_prove_itself_to_the_roots_of_this_system() {
    let db = TestDb::postgres();
    let address = Address::of(&db);
    let front = TlsFront::before(address.socket());
    let url = |host: &str, more: &str| {
        let Address {
            user,
            database,
            schema,
            ..
        } = &address;
        format!(
            "postgresql://{user}@{host}:{}/{database}?schema={schema}{more}",
            front.port()
        )
    };
    let mut env = TestEnv::new();
    let mut reach = |url: &str, roots: Option<&Path>| {
        env.set("DATABASE_URL", url);
        env.set(
            "SSL_CERT_FILE",
            roots
                .map(Path::to_string_lossy)
                .as_deref()
                .unwrap_or_default(),
        );
        env.run(&["init"])
    };
    // Nobody asked whose certificate it is.
    reach(&url("127.0.0.1", "&sslmode=require"), None).expect_code(0);
    // The system's own bundle is found and does not know the root, whatever the environment lacks.
    let strict = url("localhost", "&sslaccept=strict");
    let unknown = reach(&strict, None).expect_code(3);
    assert!(
        unknown
            .stderr
            .contains("not signed by a root certificate of this system"),
        "{unknown}"
    );
    // A system that knows the root.
    let root = front.root();
    reach(&strict, Some(&root)).expect_code(0);
    reach(&url("localhost", "&sslrootcert=system"), Some(&root)).expect_code(0);
    reach(
        &url(
            "localhost",
            &format!("&sslmode=verify-full&sslrootcert={}", root.display()),
        ),
        None,
    )
    .expect_code(0);
    let other_host = reach(&url("127.0.0.1", "&sslmode=verify-full"), Some(&root)).expect_code(3);
    assert!(
        other_host.stderr.contains("for another host"),
        "{other_host}"
    );
}
