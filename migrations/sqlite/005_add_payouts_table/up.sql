-- The founding table, exactly as the platform knows it. Running this again, or
-- where the platform made the table itself, changes nothing.

CREATE TABLE IF NOT EXISTS "payouts" (
    "id" TEXT NOT NULL,
    "creator_id" TEXT NOT NULL,
    "royalty_statement_id" TEXT,
    "amount_cents" INTEGER NOT NULL CHECK ("amount_cents" BETWEEN -2147483648 AND 2147483647),
    "stripe_transfer_id" TEXT,
    "status" TEXT NOT NULL DEFAULT 'PENDING' CHECK ("status" IN ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED')),
    "processed_at" TEXT,
    "failed_reason" TEXT,
    "retry_count" INTEGER NOT NULL DEFAULT 0,
    "last_retry_at" TEXT,
    "created_at" TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TEXT NOT NULL,

    CONSTRAINT "payouts_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "payouts_creator_id_fkey" FOREIGN KEY ("creator_id") REFERENCES "creators" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "payouts_royalty_statement_id_fkey" FOREIGN KEY ("royalty_statement_id") REFERENCES "royalty_statements" ("id") ON DELETE SET NULL ON UPDATE CASCADE
) STRICT;

CREATE UNIQUE INDEX IF NOT EXISTS "payouts_stripe_transfer_id_key" ON "payouts" ("stripe_transfer_id");
CREATE INDEX IF NOT EXISTS "payouts_creator_id_status_idx" ON "payouts" ("creator_id", "status");
CREATE INDEX IF NOT EXISTS "payouts_status_created_at_idx" ON "payouts" ("status", "created_at");
CREATE INDEX IF NOT EXISTS "payouts_stripe_transfer_id_idx" ON "payouts" ("stripe_transfer_id");
