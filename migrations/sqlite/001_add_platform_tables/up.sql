-- The platform's parent tables, for a database that has none. Where the
-- platform made them already, every statement here changes nothing.

-- Remembers which of the founding tables this tool made itself: imports write
-- to those alone, and only those may ever be reverted.
CREATE TABLE IF NOT EXISTS "payout_own_tables" (
    "name" TEXT NOT NULL,

    CONSTRAINT "payout_own_tables_pkey" PRIMARY KEY ("name")
) STRICT;

INSERT INTO "payout_own_tables" ("name")
WITH t ("name") AS (VALUES ('users'), ('creators'), ('royalty_runs'), ('royalty_statements'), ('payouts'))
SELECT "name"
FROM t
WHERE "name" NOT IN (SELECT "name" FROM sqlite_master WHERE "type" = 'table')
ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS "users" (
    "id" TEXT NOT NULL,
    "email" TEXT NOT NULL,
    "name" TEXT,
    "createdAt" TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TEXT NOT NULL,

    CONSTRAINT "users_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "users_email_key" UNIQUE ("email")
) STRICT;

CREATE TABLE IF NOT EXISTS "creators" (
    "id" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "stageName" TEXT NOT NULL,
    "stripeAccountId" TEXT,
    "onboardingStatus" TEXT NOT NULL DEFAULT 'pending',
    "verificationStatus" TEXT NOT NULL DEFAULT 'pending',
    "deletedAt" TEXT,
    "createdAt" TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TEXT NOT NULL,

    CONSTRAINT "creators_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "creators_userId_key" UNIQUE ("userId"),
    CONSTRAINT "creators_stripeAccountId_key" UNIQUE ("stripeAccountId"),
    CONSTRAINT "creators_userId_fkey" FOREIGN KEY ("userId") REFERENCES "users" ("id") ON DELETE CASCADE ON UPDATE CASCADE
) STRICT;

CREATE TABLE IF NOT EXISTS "royalty_runs" (
    "id" TEXT NOT NULL,
    "period_start" TEXT NOT NULL,
    "period_end" TEXT NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'DRAFT' CHECK ("status" IN ('DRAFT', 'CALCULATED', 'LOCKED', 'PROCESSING', 'COMPLETED', 'FAILED')),
    "created_at" TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TEXT NOT NULL,

    CONSTRAINT "royalty_runs_pkey" PRIMARY KEY ("id")
) STRICT;

CREATE TABLE IF NOT EXISTS "royalty_statements" (
    "id" TEXT NOT NULL,
    "royalty_run_id" TEXT NOT NULL,
    "creator_id" TEXT NOT NULL,
    "total_earnings_cents" INTEGER NOT NULL CHECK ("total_earnings_cents" BETWEEN -2147483648 AND 2147483647),
    "platform_fee_cents" INTEGER NOT NULL CHECK ("platform_fee_cents" BETWEEN -2147483648 AND 2147483647),
    "net_payable_cents" INTEGER NOT NULL CHECK ("net_payable_cents" BETWEEN -2147483648 AND 2147483647),
    "status" TEXT NOT NULL DEFAULT 'PENDING' CHECK ("status" IN ('PENDING', 'REVIEWED', 'DISPUTED', 'RESOLVED', 'PAID')),
    "disputed_at" TEXT,
    "paid_at" TEXT,
    "payment_reference" TEXT,
    "created_at" TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TEXT NOT NULL,

    CONSTRAINT "royalty_statements_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "royalty_statements_royalty_run_id_creator_id_key" UNIQUE ("royalty_run_id", "creator_id"),
    CONSTRAINT "royalty_statements_royalty_run_id_fkey" FOREIGN KEY ("royalty_run_id") REFERENCES "royalty_runs" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "royalty_statements_creator_id_fkey" FOREIGN KEY ("creator_id") REFERENCES "creators" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
) STRICT;
