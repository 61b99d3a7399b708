//! A PostgreSQL database that the platform's own software made and filled: its tables have columns
//! this tool does not know, some of them NOT NULL without a default, and its founding table is
//! already there, as `prisma/migrations/005_add_payouts_table.sql` made it.

use super::db::TestDb;

/// Makes and fills the platform's tables.
pub(crate) fn install(db: &TestDb) {
    db.execute(TABLES);
    db.execute(FOUNDING);
    db.execute(ROWS);
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
