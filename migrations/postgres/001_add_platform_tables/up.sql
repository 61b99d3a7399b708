-- The platform's parent tables, for a database that has none. Where the
-- platform made them already, every statement here changes nothing.

-- Remembers which of the founding tables this tool made itself: imports write
-- to those alone, and only those may ever be reverted.
CREATE TABLE IF NOT EXISTS "payout_own_tables" (
    "name" TEXT NOT NULL,

    CONSTRAINT "payout_own_tables_pkey" PRIMARY KEY ("name")
);

INSERT INTO "payout_own_tables" ("name")
SELECT "name"
FROM unnest(ARRAY['users', 'creators', 'royalty_runs', 'royalty_statements', 'payouts']) AS t ("name")
WHERE NOT EXISTS (
    -- Not information_schema, which hides the tables that this role has no right to.
    SELECT 1 FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = current_schema() AND relname = t."name"
)
ON CONFLICT DO NOTHING;

DO $$ BEGIN
    CREATE TYPE "RoyaltyRunStatus" AS ENUM ('DRAFT', 'CALCULATED', 'LOCKED', 'PROCESSING', 'COMPLETED', 'FAILED');
EXCEPTION WHEN duplicate_object THEN NULL; END $$;

DO $$ BEGIN
    CREATE TYPE "RoyaltyStatementStatus" AS ENUM ('PENDING', 'REVIEWED', 'DISPUTED', 'RESOLVED', 'PAID');
EXCEPTION WHEN duplicate_object THEN NULL; END $$;

CREATE TABLE IF NOT EXISTS "users" (
    "id" TEXT NOT NULL,
    "email" TEXT NOT NULL,
    "name" TEXT,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "users_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "users_email_key" UNIQUE ("email")
);

CREATE TABLE IF NOT EXISTS "creators" (
    "id" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "stageName" TEXT NOT NULL,
    "stripeAccountId" TEXT,
    "onboardingStatus" TEXT NOT NULL DEFAULT 'pending',
    "verificationStatus" TEXT NOT NULL DEFAULT 'pending',
    "deletedAt" TIMESTAMP(3),
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "creators_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "creators_userId_key" UNIQUE ("userId"),
    CONSTRAINT "creators_stripeAccountId_key" UNIQUE ("stripeAccountId"),
    CONSTRAINT "creators_userId_fkey" FOREIGN KEY ("userId") REFERENCES "users" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

CREATE TABLE IF NOT EXISTS "royalty_runs" (
    "id" TEXT NOT NULL,
    "period_start" TIMESTAMP(3) NOT NULL,
    "period_end" TIMESTAMP(3) NOT NULL,
    "status" "RoyaltyRunStatus" NOT NULL DEFAULT 'DRAFT',
    "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "royalty_runs_pkey" PRIMARY KEY ("id")
);

CREATE TABLE IF NOT EXISTS "royalty_statements" (
    "id" TEXT NOT NULL,
    "royalty_run_id" TEXT NOT NULL,
    "creator_id" TEXT NOT NULL,
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
    CONSTRAINT "royalty_statements_royalty_run_id_creator_id_key" UNIQUE ("royalty_run_id", "creator_id"),
    CONSTRAINT "royalty_statements_royalty_run_id_fkey" FOREIGN KEY ("royalty_run_id") REFERENCES "royalty_runs" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "royalty_statements_creator_id_fkey" FOREIGN KEY ("creator_id") REFERENCES "creators" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);
