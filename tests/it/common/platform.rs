//! A PostgreSQL database that the platform's own software made and filled: its tables have columns
//! this tool does not know, some of them NOT NULL without a default, and its founding table is
//! already there, as `prisma/migrations/005_add_payouts_table.sql` made it.

use super::catalog::lines;
use super::db::TestDb;

/// Makes and fills the platform's tables.
pub(crate) fn install(db: &TestDb) {
    install_tables(db);
    db.execute(ROWS);
}

/// Makes the platform's tables, for software of its own to fill.
pub(crate) fn install_tables(db: &TestDb) {
    db.execute(TABLES);
    db.execute(FOUNDING);
}

/// Everything about the platform's tables that anybody could notice: objects of the schema that are
/// not ours, their definitions, and every row as text.
pub(crate) fn state(db: &TestDb) -> Vec<String> {
    const NOT_OURS: &str = r"relname !~ '^(payout_|__diesel)'";
    let mut state = lines(
        db,
        &format!(
            "SELECT concat_ws(' ', c.relname, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                pg_get_expr(d.adbin, d.adrelid))
             FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
               LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
             WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND {NOT_OURS}
             UNION ALL
             SELECT concat_ws(' ', c.relname, k.conname, pg_get_constraintdef(k.oid))
             FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
             WHERE k.connamespace = current_schema()::regnamespace AND {NOT_OURS}
             UNION ALL
             SELECT concat_ws(' ', tablename, indexname, indexdef) FROM pg_indexes
             WHERE schemaname = current_schema() AND tablename !~ '^(payout_|__diesel)'
             UNION ALL
             SELECT concat_ws(' ', c.relname, g.tgname)
             FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
             WHERE c.relnamespace = current_schema()::regnamespace AND NOT g.tgisinternal AND {NOT_OURS}
             UNION ALL
             SELECT concat_ws(' ', t.typname, e.enumlabel, e.enumsortorder)
             FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid
             WHERE t.typnamespace = current_schema()::regnamespace"
        ),
    );
    for table in [
        "users",
        "creators",
        "royalty_runs",
        "royalty_statements",
        "payouts",
        "_prisma_migrations",
    ] {
        state.extend(lines(db, &format!("SELECT t::text FROM {table} t")));
    }
    state.sort();
    state
}

const TABLES: &str = r#"
CREATE TYPE "RoyaltyRunStatus" AS ENUM ('DRAFT', 'CALCULATED', 'LOCKED', 'PROCESSING', 'COMPLETED', 'FAILED');
CREATE TYPE "RoyaltyStatementStatus" AS ENUM ('PENDING', 'REVIEWED', 'DISPUTED', 'RESOLVED', 'PAID');
CREATE TYPE "UserRole" AS ENUM ('ADMIN', 'CREATOR');

CREATE TABLE "users" (
    "id" TEXT NOT NULL,
    "passwordHash" TEXT NOT NULL,
    "email" TEXT NOT NULL,
    "role" "UserRole" NOT NULL,
    "name" TEXT,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,
    CONSTRAINT "users_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "users_email_key" ON "users" ("email");

CREATE TABLE "creators" (
    "id" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "specialties" JSONB NOT NULL,
    "stageName" TEXT NOT NULL,
    "stripeAccountId" TEXT,
    "onboardingStatus" TEXT NOT NULL DEFAULT 'pending',
    "verificationStatus" TEXT NOT NULL DEFAULT 'pending',
    "portfolioUrl" TEXT,
    "deletedAt" TIMESTAMP(3),
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,
    CONSTRAINT "creators_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "creators_userId_fkey" FOREIGN KEY ("userId") REFERENCES "users" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "creators_userId_key" ON "creators" ("userId");
CREATE UNIQUE INDEX "creators_stripeAccountId_key" ON "creators" ("stripeAccountId");

CREATE TABLE "royalty_runs" (
    "id" TEXT NOT NULL,
    "period_start" TIMESTAMP(3) NOT NULL,
    "period_end" TIMESTAMP(3) NOT NULL,
    "status" "RoyaltyRunStatus" NOT NULL DEFAULT 'DRAFT',
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMP(3) NOT NULL,
    CONSTRAINT "royalty_runs_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "royalty_runs_created_by_fkey" FOREIGN KEY ("created_by") REFERENCES "users" ("id")
);

CREATE TABLE "royalty_statements" (
    "id" TEXT NOT NULL,
    "royalty_run_id" TEXT NOT NULL,
    "creator_id" TEXT NOT NULL,
    "pdf" BYTEA NOT NULL,
    "total_earnings_cents" INTEGER NOT NULL,
    "platform_fee_cents" INTEGER NOT NULL,
    "net_payable_cents" INTEGER NOT NULL,
    "status" "RoyaltyStatementStatus" NOT NULL DEFAULT 'PENDING',
    "disputed_at" TIMESTAMP(3),
    "paid_at" TIMESTAMP(3),
    "payment_reference" TEXT,
    "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMP(3) NOT NULL,
    CONSTRAINT "royalty_statements_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "royalty_statements_royalty_run_id_fkey" FOREIGN KEY ("royalty_run_id") REFERENCES "royalty_runs" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "royalty_statements_creator_id_fkey" FOREIGN KEY ("creator_id") REFERENCES "creators" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "royalty_statements_royalty_run_id_creator_id_key" ON "royalty_statements" ("royalty_run_id", "creator_id");

CREATE TABLE "_prisma_migrations" ("id" TEXT PRIMARY KEY, "migration_name" TEXT NOT NULL);
"#;

/// The founding document's statements, word for word.
const FOUNDING: &str = r#"
CREATE TYPE "PayoutStatus" AS ENUM ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED');
CREATE TABLE "payouts" (
    "id" TEXT NOT NULL,
    "creator_id" TEXT NOT NULL,
    "royalty_statement_id" TEXT,
    "amount_cents" INTEGER NOT NULL,
    "stripe_transfer_id" TEXT,
    "status" "PayoutStatus" NOT NULL DEFAULT 'PENDING',
    "processed_at" TIMESTAMP(3),
    "failed_reason" TEXT,
    "retry_count" INTEGER NOT NULL DEFAULT 0,
    "last_retry_at" TIMESTAMP(3),
    "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "payouts_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "payouts_stripe_transfer_id_key"
  ON "payouts"("stripe_transfer_id");
CREATE INDEX "payouts_creator_id_status_idx"
  ON "payouts"("creator_id", "status");
CREATE INDEX "payouts_status_created_at_idx"
  ON "payouts"("status", "created_at");
CREATE INDEX "payouts_stripe_transfer_id_idx"
  ON "payouts"("stripe_transfer_id");
ALTER TABLE "payouts"
  ADD CONSTRAINT "payouts_creator_id_fkey"
  FOREIGN KEY ("creator_id")
  REFERENCES "creators"("id")
  ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "payouts"
  ADD CONSTRAINT "payouts_royalty_statement_id_fkey"
  FOREIGN KEY ("royalty_statement_id")
  REFERENCES "royalty_statements"("id")
  ON DELETE SET NULL ON UPDATE CASCADE;
"#;

const ROWS: &str = r#"
INSERT INTO "users" VALUES ('user_1', 'argon2', 'ann@example.com', 'CREATOR', 'Ann', '2026-01-01', '2026-01-01');
INSERT INTO "creators" VALUES ('creator_1', 'user_1', '["drums"]', 'Ann', 'acct_ann', 'complete', 'verified', NULL, NULL, '2026-01-01', '2026-01-01');
INSERT INTO "royalty_runs" VALUES ('royalty_run_1', '2026-09-01', '2026-10-01', 'LOCKED', 'user_1', '2026-10-01', '2026-10-01');
INSERT INTO "royalty_statements" VALUES
    ('statement_1', 'royalty_run_1', 'creator_1', '\x25504446', 60000, 10000, 50000, 'REVIEWED', NULL, NULL, NULL, '2026-10-01', '2026-10-01');
INSERT INTO "payouts" ("id", "creator_id", "royalty_statement_id", "amount_cents", "updated_at")
VALUES ('payout_of_platform', 'creator_1', 'statement_1', 50000, '2026-10-02');
INSERT INTO "_prisma_migrations" VALUES ('1', '005_add_payouts_table');
"#;
